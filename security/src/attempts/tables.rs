//! Attacks by number: the calls no server needs, and every number against the policy's own list.

use std::collections::BTreeSet;

use nix::errno::Errno;

use super::twins::{self, in_child};
use crate::call;
use crate::catalogue::{Attempt, BLANK, Control, Expected, Tried};
use crate::probe::kernel::{Answer, garbage};
use crate::probe::{Act, Targets};

/// Numbers tried one by one; beyond the newest call of any kernel today.
const NUMBERS: std::ops::Range<i64> = 0..601;
/// Calls that wait for ever with useless arguments are cut short after this, in seconds.
const ALARM_SECONDS: i32 = 1;

/// uretprobe and uprobe: the kernel lets them past every filter, and refuses or kills whoever calls them outside a probe.
const PAST_EVERY_FILTER: [i64; 2] = [335, 336];

/// Calls only an administrator's program makes. With all arguments -1 each of them does nothing.
const ADMINISTRATION: &[(&str, i64)] = &[
    ("bpf", libc::SYS_bpf),
    ("userfaultfd", libc::SYS_userfaultfd),
    ("perf_event_open", libc::SYS_perf_event_open),
    ("kexec_load", libc::SYS_kexec_load),
    ("init_module", libc::SYS_init_module),
    ("finit_module", libc::SYS_finit_module),
    ("delete_module", libc::SYS_delete_module),
    ("iopl", libc::SYS_iopl),
    ("ioperm", libc::SYS_ioperm),
    ("swapon", libc::SYS_swapon),
    ("swapoff", libc::SYS_swapoff),
    ("reboot", libc::SYS_reboot),
    ("acct", libc::SYS_acct),
    ("quotactl", libc::SYS_quotactl),
    ("sethostname", libc::SYS_sethostname),
    ("setdomainname", libc::SYS_setdomainname),
    ("syslog", libc::SYS_syslog),
    ("settimeofday", libc::SYS_settimeofday),
    ("clock_settime", libc::SYS_clock_settime),
    ("fanotify_init", libc::SYS_fanotify_init),
];

fn administration(_: &Targets) -> Tried {
    let mut acts: Vec<Act> =
        ADMINISTRATION.iter().map(|&(name, number)| Act::taken(name, in_child(|| garbage(number)))).collect();
    acts.push(Act::of("modify_ldt", call!(libc::SYS_modify_ldt, 0, 0, 0)));
    Ok(acts)
}

fn memory_nodes(_: &Targets) -> Tried {
    Ok(vec![
        Act::taken("mbind", in_child(|| garbage(libc::SYS_mbind))),
        Act::taken("set_mempolicy", in_child(|| garbage(libc::SYS_set_mempolicy))),
        Act::taken("move_pages", in_child(|| garbage(libc::SYS_move_pages))),
        Act::taken("migrate_pages", in_child(|| garbage(libc::SYS_migrate_pages))),
    ])
}

/// Which numbers the kernel takes up though the policy does not list them.
fn every_number(targets: &Targets) -> Tried {
    let listed: BTreeSet<i64> =
        targets.text("system_calls")?.split(',').filter_map(|number| number.parse().ok()).collect();
    let open: Vec<String> = NUMBERS
        .filter(|number| !listed.contains(number) && is_open(*number))
        .map(|number| number.to_string())
        .collect();
    let detail = if open.is_empty() { "none".to_owned() } else { open.join(" ") };
    Ok(vec![Act::fact("calls beyond the policy's list", (!open.is_empty()).into(), detail)])
}

fn is_open(number: i64) -> bool {
    let answer = in_child(|| {
        let _ = call!(libc::SYS_alarm, ALARM_SECONDS);
        garbage_or_zero(number)
    });
    match answer {
        Err(Errno::EPERM | Errno::ENOSYS) => false,
        // Refused or killed by the kernel itself.
        Err(Errno::ENXIO | Errno::EINTR) => !PAST_EVERY_FILTER.contains(&number),
        _ => true,
    }
}

/// alarm itself must not be asked for four billion seconds.
fn garbage_or_zero(number: i64) -> Answer {
    if number == libc::SYS_alarm { call!(number, 0) } else { garbage(number) }
}

/// The part of the catalogue that goes by number.
pub const ATTEMPTS: &[Attempt] = &[
    Attempt {
        id: "K01",
        what: "try every system call number from 0 to 600 against the policy's own list",
        wall: "seccomp: an allow list",
        user: Expected::all("hidden"),
        root: Expected::all("hidden"),
        twin: "ask who it is",
        reference: "table tests of gVisor and Chromium",
        run: every_number,
        twin_run: twins::own_identity,
        ..BLANK
    },
    Attempt {
        id: "K09",
        what: "make the calls only an administrator's program makes",
        wall: "seccomp, no capabilities",
        control: Control::Root,
        root_control: Control::Root,
        twin: "ask who it is",
        reference: "container runtimes' default filters",
        run: administration,
        twin_run: twins::own_identity,
        ..BLANK
    },
    Attempt {
        id: "K12",
        what: "move memory between nodes",
        wall: "seccomp",
        twin: "share memory with its own child",
        reference: "flatpak's list",
        run: memory_nodes,
        twin_run: twins::shared_memory,
        ..BLANK
    },
];
