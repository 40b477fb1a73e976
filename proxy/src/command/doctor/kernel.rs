//! Settings of the kernel that decide what walls can be had, or that make an attacker's life easier.

use super::finding::{Finding, Group, Outcome};
use nix::sys::utsname::uname;

/// One setting below /proc/sys.
struct Setting {
    name: &'static str,
    path: &'static str,
    /// What to say when the kernel has no such setting.
    absent: &'static str,
    /// Values with a meaning: outcome, words, mend.
    values: &'static [(&'static str, Outcome, &'static str, Option<&'static str>)],
    /// What any other value means.
    otherwise: &'static str,
}

const SETTINGS: [Setting; 7] = [
    Setting {
        name: "user.max_user_namespaces",
        path: "/proc/sys/user/max_user_namespaces",
        absent: "the kernel has no user namespaces",
        values: &[(
            "0",
            Outcome::Note,
            "user namespaces are switched off",
            Some("sysctl -w user.max_user_namespaces=15000"),
        )],
        otherwise: "user namespaces may be created",
    },
    Setting {
        name: "kernel.unprivileged_userns_clone",
        path: "/proc/sys/kernel/unprivileged_userns_clone",
        absent: "no such switch in this kernel",
        values: &[(
            "0",
            Outcome::Note,
            "ordinary users may not create user namespaces",
            Some("sysctl -w kernel.unprivileged_userns_clone=1"),
        )],
        otherwise: "ordinary users may create user namespaces",
    },
    Setting {
        name: "kernel.apparmor_restrict_unprivileged_userns",
        path: "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        absent: "no such switch in this kernel",
        values: &[(
            "1",
            Outcome::Note,
            "AppArmor takes the power out of ordinary users' namespaces",
            Some("install the package, whose AppArmor profile allows `userns,` for only1mcp-launcher"),
        )],
        otherwise: "AppArmor does not restrict user namespaces",
    },
    Setting {
        name: "kernel.io_uring_disabled",
        path: "/proc/sys/kernel/io_uring_disabled",
        absent: "no such switch in this kernel; servers are refused io_uring by the call filter",
        values: &[(
            "0",
            Outcome::Note,
            "on; servers are refused io_uring by the call filter alone",
            Some("sysctl -w kernel.io_uring_disabled=1, if nothing here needs it"),
        )],
        otherwise: "off or restricted",
    },
    Setting {
        name: "kernel.yama.ptrace_scope",
        path: "/proc/sys/kernel/yama/ptrace_scope",
        absent: "no Yama; servers are refused ptrace by the call filter and their pid namespace",
        values: &[(
            "0",
            Outcome::Note,
            "processes of one user may trace each other; servers are refused ptrace by the call filter",
            Some("sysctl -w kernel.yama.ptrace_scope=1"),
        )],
        otherwise: "restricted",
    },
    Setting {
        name: "dev.tty.legacy_tiocsti",
        path: "/proc/sys/dev/tty/legacy_tiocsti",
        absent: "no such switch in this kernel; servers have no terminal",
        values: &[(
            "1",
            Outcome::Note,
            "keystrokes can be forged on a terminal; servers have none",
            Some("sysctl -w dev.tty.legacy_tiocsti=0"),
        )],
        otherwise: "off",
    },
    Setting {
        name: "kernel.unprivileged_bpf_disabled",
        path: "/proc/sys/kernel/unprivileged_bpf_disabled",
        absent: "no such switch in this kernel; servers are refused bpf by the call filter",
        values: &[(
            "0",
            Outcome::Note,
            "on; servers are refused bpf by the call filter alone",
            Some("sysctl -w kernel.unprivileged_bpf_disabled=2"),
        )],
        otherwise: "off",
    },
];

/// Reads them.
#[must_use]
pub fn examine() -> Vec<Finding> {
    SETTINGS
        .iter()
        .map(|setting| judge(setting, std::fs::read_to_string(setting.path).ok().as_deref()))
        .collect()
}

fn judge(setting: &Setting, value: Option<&str>) -> Finding {
    let finding = |detail: String| Finding::ok(Group::Kernel, setting.name, detail);
    let Some(value) = value.map(str::trim) else { return finding(setting.absent.to_owned()) };
    let Some((_, outcome, words, mend)) = setting.values.iter().find(|(known, ..)| *known == value) else {
        return finding(format!("{value}: {}", setting.otherwise));
    };
    let found = finding(format!("{value}: {words}")).but(*outcome);
    match mend {
        Some(mend) => found.help(*mend),
        None => found,
    }
}

/// Kernel and user, for the heading.
#[must_use]
pub fn machine() -> String {
    let kernel = uname().map_or_else(
        |_| "Linux".into(),
        |found| format!("Linux {} {}", found.release().to_string_lossy(), found.machine().to_string_lossy()),
    );
    let uid = nix::unistd::geteuid();
    let who = if uid.is_root() { "root".into() } else { format!("uid {uid}") };
    format!("{kernel}, as {who}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_value_has_a_mend_and_an_absent_setting_an_explanation() {
        for setting in &SETTINGS {
            for (value, ..) in setting.values {
                let finding = judge(setting, Some(value));
                assert_eq!(finding.outcome, Outcome::Note, "{finding:?}");
                assert!(finding.help.is_some(), "{finding:?}");
            }
            assert_eq!(judge(setting, None).detail, setting.absent);
            assert_eq!(judge(setting, Some("77\n")).outcome, Outcome::Ok);
        }
    }
}
