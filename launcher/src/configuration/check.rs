//! The second look at a plan: whatever a taken-over compiler prints, these rules hold.

use crate::confine::seccomp::HIGHEST_KNOWN;
use crate::machine::INIT_INSIDE;
use only1mcp_wire::ServerPlan;
use only1mcp_wire::plan::{STATE_DIRECTORY, VariableValue};
use std::fmt;

/// System calls that no policy can grant.
const FORBIDDEN: [libc::c_long; 68] = [
    // Other processes' memory, state and descriptors.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_process_mrelease,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_migrate_pages,
    libc::SYS_move_pages,
    // Namespaces, roots and mounts.
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    libc::SYS_fanotify_init,
    // Other identities.
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setreuid,
    libc::SYS_setregid,
    libc::SYS_setresuid,
    libc::SYS_setresgid,
    libc::SYS_setfsuid,
    libc::SYS_setfsgid,
    libc::SYS_setgroups,
    libc::SYS_capset,
    // Keyrings: one of them once took Landlock away.
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    // The kernel itself.
    libc::SYS_bpf,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_modify_ldt,
    libc::SYS_syslog,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    // Past every filter that looks at single calls.
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_clone3,
    libc::SYS_seccomp,
    libc::SYS_vhangup,
];

/// What is wrong with a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A path that is not absolute and plain.
    Path(String),
    /// Something of the plan stands where the launcher puts things of its own.
    Taken(String),
    /// A system call no policy can grant.
    SystemCall(u32),
    /// A list that is not sorted.
    Unsorted(&'static str),
    /// A text with a zero byte in it, or an empty one that may not be.
    Text(&'static str),
    /// A credential's or variable's name that is not one.
    Name(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "{path:?} is not an absolute path without '.', '..' and '//'"),
            Self::Taken(path) => write!(f, "{path:?} belongs to the launcher"),
            Self::SystemCall(number) => write!(f, "system call {number} can never be granted"),
            Self::Unsorted(list) => write!(f, "the {list} are not sorted"),
            Self::Text(what) => write!(f, "{what} is empty or holds a zero byte"),
            Self::Name(name) => write!(f, "{name:?} is not a name"),
        }
    }
}

/// Checks everything that the launcher relies on.
pub fn check(plan: &ServerPlan) -> Result<(), Fault> {
    inside_paths(plan).try_for_each(path)?;
    plan.binds.iter().try_for_each(|bind| path(&bind.source))?;
    placed_paths(plan).try_for_each(free)?;
    path(&plan.working_directory)?;
    if !plan.system_calls.is_sorted_by(|a, b| a < b) {
        return Err(Fault::Unsorted("system calls"));
    }
    plan.system_calls.iter().try_for_each(|&number| grantable(number))?;
    if plan.arguments.is_empty() {
        return Err(Fault::Text("argv[0]"));
    }
    plan.arguments.iter().try_for_each(|argument| no_zero(argument, "an argument"))?;
    plan.links.iter().try_for_each(|link| no_zero(&link.target, "the target of a link"))?;
    plan.environment.iter().try_for_each(variable)
}

fn inside_paths(plan: &ServerPlan) -> impl Iterator<Item = &str> {
    let rules = plan.rules.iter().map(|rule| rule.path.as_str());
    rules.chain(placed_paths(plan)).chain([plan.program.as_str()])
}

/// Where something is put into the root.
fn placed_paths(plan: &ServerPlan) -> impl Iterator<Item = &str> {
    let binds = plan.binds.iter().map(|bind| bind.target.as_str());
    let links = plan.links.iter().map(|link| link.path.as_str());
    let files = plan.files.iter().map(|file| file.path.as_str());
    let scratch = plan.scratch.iter().map(|scratch| scratch.path.as_str());
    binds.chain(links).chain(files).chain(scratch)
}

fn path(text: &str) -> Result<(), Fault> {
    let parts = text.strip_prefix('/').ok_or_else(|| Fault::Path(text.to_owned()))?;
    let plain = text == "/" || parts.split('/').all(|part| !matches!(part, "" | "." | ".."));
    if plain && !text.contains('\0') { Ok(()) } else { Err(Fault::Path(text.to_owned())) }
}

/// Nothing of a plan may cover the root itself, `/proc` or `only1mcp-init`, nor stand at `/state`.
fn free(text: &str) -> Result<(), Fault> {
    let own = ["/proc", INIT_INSIDE];
    let covers = ["/", STATE_DIRECTORY, "/opt", "/opt/only1mcp"];
    let taken = covers.contains(&text)
        || own
            .iter()
            .any(|own| text.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')));
    if taken { Err(Fault::Taken(text.to_owned())) } else { Ok(()) }
}

fn grantable(number: u32) -> Result<(), Fault> {
    if number > HIGHEST_KNOWN || FORBIDDEN.contains(&number.into()) {
        return Err(Fault::SystemCall(number));
    }
    Ok(())
}

fn variable(variable: &only1mcp_wire::plan::Variable) -> Result<(), Fault> {
    let named = !variable.name.is_empty() && !variable.name.contains(['=', '\0']);
    if !named {
        return Err(Fault::Name(variable.name.clone()));
    }
    match &variable.value {
        VariableValue::Literal(value) => no_zero(value, "a variable"),
        VariableValue::Credential(name) => {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            let named = !name.is_empty() && name.chars().all(plain) && !name.starts_with('.');
            if named { Ok(()) } else { Err(Fault::Name(name.clone())) }
        }
    }
}

fn no_zero(text: &str, what: &'static str) -> Result<(), Fault> {
    if text.contains('\0') { Err(Fault::Text(what)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use only1mcp_wire::ServerName;
    use only1mcp_wire::plan::{
        AccessRule, Bind, BindKind, Limits, Link, Requires, Scratch, SpawnLimits, SyntheticFile, Variable,
    };

    fn sound() -> ServerPlan {
        let bind = Bind {
            source: "/usr".into(),
            target: "/usr".into(),
            kind: BindKind::Directory,
            device: 0,
            inode: 0,
            writable: false,
            executable: true,
        };
        ServerPlan {
            name: ServerName::new("x").unwrap(),
            digest: [0; 32],
            program: "/usr/bin/x".into(),
            arguments: vec!["x".into()],
            environment: vec![Variable { name: "A".into(), value: VariableValue::Literal("b=c".into()) }],
            working_directory: "/state".into(),
            binds: vec![bind],
            links: vec![Link { path: "/bin".into(), target: "usr/bin".into() }],
            files: vec![SyntheticFile { path: "/etc/passwd".into(), content: String::new() }],
            scratch: vec![Scratch { path: "/tmp".into(), bytes: 1, inodes: 1, executable: false }],
            state_executable: false,
            rules: vec![AccessRule { path: "/state".into(), read: true, write: true, execute: false }],
            system_calls: vec![0, 1, 462],
            jit: false,
            limits: Limits {
                memory_bytes: 0,
                processes: 0,
                cpu_percent: 0,
                open_files: 0,
                file_bytes: 0,
                io_read_bytes: None,
                io_write_bytes: None,
            },
            requires: Requires { cgroup: false, landlock_abi: 0 },
            spawn: SpawnLimits { instances: 0, burst: 0, per_minute: 0 },
        }
    }

    fn fault(change: impl FnOnce(&mut ServerPlan)) -> Option<Fault> {
        let mut plan = sound();
        change(&mut plan);
        check(&plan).err()
    }

    #[test]
    fn a_sound_plan_passes() {
        assert_eq!(check(&sound()), Ok(()));
    }

    #[test]
    fn paths_are_absolute_and_plain() {
        for bad in ["", "usr", "/usr/", "/usr/../etc", "/./usr", "//usr", "/usr\0"] {
            let expected = Some(Fault::Path(bad.to_owned()));
            assert_eq!(fault(|plan| plan.binds[0].source = bad.into()), expected);
            assert_eq!(fault(|plan| plan.rules[0].path = bad.into()), expected);
            assert_eq!(fault(|plan| plan.working_directory = bad.into()), expected);
            assert_eq!(fault(|plan| plan.program = bad.into()), expected);
        }
    }

    #[test]
    fn nothing_stands_in_the_launchers_places() {
        for taken in ["/", "/proc", "/proc/self", "/state", "/opt", "/opt/only1mcp", "/opt/only1mcp/init"] {
            let expected = Some(Fault::Taken(taken.to_owned()));
            assert_eq!(fault(|plan| plan.binds[0].target = taken.into()), expected);
            assert_eq!(fault(|plan| plan.files[0].path = taken.into()), expected);
            assert_eq!(fault(|plan| plan.links[0].path = taken.into()), expected);
            assert_eq!(fault(|plan| plan.scratch[0].path = taken.into()), expected);
        }
        assert_eq!(fault(|plan| plan.binds[0].target = "/opt/only1mcp/only1mcp-probe".into()), None);
    }

    #[test]
    fn no_plan_grants_what_no_policy_may() {
        for call in FORBIDDEN {
            let number = u32::try_from(call).unwrap();
            assert_eq!(fault(|plan| plan.system_calls = vec![number]), Some(Fault::SystemCall(number)));
        }
        assert_eq!(fault(|plan| plan.system_calls = vec![463]), Some(Fault::SystemCall(463)));
        assert_eq!(fault(|plan| plan.system_calls = vec![1, 0]), Some(Fault::Unsorted("system calls")));
    }

    #[test]
    fn names_and_texts_fit_where_they_go() {
        assert_eq!(fault(|plan| plan.environment[0].name = "A=B".into()), Some(Fault::Name("A=B".into())));
        let credential =
            |name: &str| fault(|plan| plan.environment[0].value = VariableValue::Credential(name.into()));
        assert_eq!(credential("github-token"), None);
        for bad in ["", "../token", ".uids", "a/b"] {
            assert_eq!(credential(bad), Some(Fault::Name(bad.into())));
        }
        assert_eq!(fault(|plan| plan.arguments.clear()), Some(Fault::Text("argv[0]")));
        assert_eq!(fault(|plan| plan.arguments.push("a\0b".into())), Some(Fault::Text("an argument")));
    }
}
