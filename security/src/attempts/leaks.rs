//! Attacks on what a server may know: the environment, mounts, names, processes and users of the host.

use std::ffi::CStr;
use std::fs;

use super::{c_string, read, twins};
use crate::call;
use crate::catalogue::{Attempt, BLANK, Control, Expected, Tried};
use crate::probe::{Act, Targets};

/// How variables of credentials and of our own processes begin.
pub(crate) const FOREIGN_VARIABLES: [&str; 9] =
    ["AWS_", "SSH_", "GITHUB_", "OPENAI_", "ANTHROPIC_", "ONLY1MCP", "LISTEN_", "XDG_RUNTIME", "DBUS_"];
/// Processes a sandbox may show: PID 1, the server, this child and a margin for runtimes.
const PROCESSES_MAX: usize = 8;
/// Numbers of network interfaces tried.
const INTERFACES_MAX: i32 = 64;
const SIOCGIFNAME: i64 = 0x8910;
/// Lines a synthetic passwd may have.
const USERS_MAX: usize = 4;

fn environment(targets: &Targets) -> Tried {
    let canary = targets.text("variable")?;
    let names: Vec<String> =
        std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned()).collect();
    let foreign: Vec<&String> = names
        .iter()
        .filter(|name| FOREIGN_VARIABLES.iter().any(|prefix| name.starts_with(prefix)) && *name != canary)
        .collect();
    Ok(vec![
        Act::fact("the canary variable", names.iter().any(|name| name == canary).into(), names.join(" ")),
        Act::fact("variables of credentials", (!foreign.is_empty()).into(), format!("{foreign:?}")),
    ])
}

fn mounts(_: &Targets) -> Tried {
    let mounts = fs::read_to_string("/proc/self/mountinfo");
    let (own, root) = match &mounts {
        Ok(mounts) => {
            let root = mounts.lines().rev().find(|line| line.split(' ').nth(4) == Some("/"));
            (root.is_some_and(|line| line.contains(" - tmpfs ")), root.unwrap_or_default().to_owned())
        }
        // Without /proc there is still the type of the file system.
        Err(_) => root_by_type()?,
    };
    let cgroups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let deep = cgroups.lines().any(|line| !line.ends_with(":/"));
    Ok(vec![
        Act::fact("the host's root is mounted at /", (!own).into(), root),
        Act::fact("where in the cgroup tree it runs", deep.into(), cgroups.replace('\n', " ")),
    ])
}

fn root_by_type() -> Result<(bool, String), String> {
    const TMPFS: i64 = 0x0102_1994;
    let mut status = [0_u8; 120];
    call!(libc::SYS_statfs, c"/", status.as_mut_slice()).map_err(|errno| errno.to_string())?;
    let kind = status.first_chunk().map_or(0, |bytes| i64::from_ne_bytes(*bytes));
    Ok((kind == TMPFS, format!("file system {kind:#x} at /")))
}

fn names_of_the_machine(targets: &Targets) -> Tried {
    let mut names = [0_u8; 390];
    call!(libc::SYS_uname, names.as_mut_slice()).map_err(|errno| errno.to_string())?;
    let node: Vec<u8> = names.iter().skip(65).take_while(|&&byte| byte != 0).copied().collect();
    let node = String::from_utf8_lossy(&node).into_owned();
    let host = targets.text("hostname")?;
    let written = fs::read_to_string("/etc/hostname").unwrap_or_default();
    let mut acts = vec![
        Act::fact("the host's name", (node == host).into(), node),
        Act::fact("the host's name in /etc/hostname", (written.trim() == host).into(), written.trim()),
    ];
    let files: [&CStr; 4] = [c"/etc/machine-id", c"/proc/cmdline", c"/proc/version", c"/sys/kernel/notes"];
    acts.extend(
        files.into_iter().map(|file| Act::of(format!("read {}", file.to_string_lossy()), read(file))),
    );
    Ok(acts)
}

fn others(targets: &Targets) -> Tried {
    let entries = fs::read_dir("/proc").ok();
    let processes: Vec<String> = entries
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
        .collect();
    let victim = targets.text("victim")?;
    let seen = processes.len() > PROCESSES_MAX || processes.iter().any(|process| process == victim);
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default().lines().count();
    let port = targets.text("tcp")?.rsplit(':').next().and_then(|port| port.parse::<u16>().ok()).unwrap_or(0);
    let listening = fs::read_to_string("/proc/self/net/tcp").unwrap_or_default();
    let heard = listening.contains(&format!(":{port:04X} "));
    // Where no socket can be made nothing can be asked.
    let interfaces = interfaces().unwrap_or_default();
    let connected = interfaces.iter().any(|name| name != "lo");
    Ok(vec![
        Act::fact("network interfaces", connected.into(), interfaces.join(" ")),
        Act::fact("other processes", seen.into(), processes.join(" ")),
        Act::fact(
            "users of the machine",
            (users > USERS_MAX).into(),
            format!("{users} lines in /etc/passwd"),
        ),
        Act::fact("listening ports", heard.into(), "/proc/self/net/tcp"),
        Act::of("read /proc/partitions", read(c"/proc/partitions")),
    ])
}

/// Every interface of this network namespace, asked one by one.
fn interfaces() -> Result<Vec<String>, String> {
    let socket =
        call!(libc::SYS_socket, libc::AF_INET, libc::SOCK_DGRAM, 0).map_err(|errno| errno.to_string())?;
    let mut names = Vec::new();
    for index in 1..=INTERFACES_MAX {
        let mut request = [0_u8; 40];
        if let Some(slot) = request.get_mut(16..20) {
            slot.copy_from_slice(&index.to_ne_bytes());
        }
        if call!(libc::SYS_ioctl, socket, SIOCGIFNAME, request.as_mut_slice()).is_ok() {
            let name: Vec<u8> = request.iter().take(16).take_while(|&&byte| byte != 0).copied().collect();
            names.push(String::from_utf8_lossy(&name).into_owned());
        }
    }
    Ok(names)
}

/// Where the kernel is looked into and adjusted.
pub(super) const KNOBS: [&str; 12] = [
    "/proc/sys/kernel/core_pattern",
    "/proc/sys/kernel/modprobe",
    "/proc/sys/kernel/random/boot_id",
    "/proc/sysrq-trigger",
    "/proc/kcore",
    "/proc/kallsyms",
    "/proc/keys",
    "/proc/timer_list",
    "/proc/scsi",
    "/sys/kernel/uevent_helper",
    "/sys/fs/cgroup/cgroup.procs",
    "/sys/class/net",
];

fn knobs(targets: &Targets) -> Tried {
    let mut acts = Vec::new();
    for file in targets.text("knobs")?.split(',') {
        let path = c_string(file)?;
        let answer = super::open(&path, libc::O_PATH);
        acts.push(Act::of(format!("find {file}"), answer));
    }
    Ok(acts)
}

/// The part of the catalogue about leaks.
pub const ATTEMPTS: &[Attempt] = &[
    Attempt {
        id: "C10",
        minimal: Some(Expected::all("allowed")),
        what: "find the kernel's knobs: /proc/sys, kcore, kallsyms, sysrq, /sys",
        wall: "/proc shows processes only, no /sys",
        user: Expected::all("ENOENT"),
        root: Expected::all("ENOENT"),
        control: Control::SameUid,
        twin: "read its own /proc/self/status",
        reference: "CVE-2025-31133",
        run: knobs,
        twin_run: twins::read_own_status,
        ..BLANK
    },
    Attempt {
        id: "L01",
        what: "find variables of the host and of our own processes in the environment",
        wall: "the environment is built from the policy alone",
        user: Expected::all("hidden"),
        root: Expected::all("hidden"),
        twin: "find HOME and PATH",
        reference: "pipelock issue 267",
        run: environment,
        twin_run: twins::own_environment,
        ..BLANK
    },
    Attempt {
        id: "L02",
        minimal: Some(Expected::but("hidden", &[("the host's root", "allowed")])),
        what: "learn the host's mounts and its place in the cgroup tree",
        wall: "mount namespace, cgroup namespace",
        user: Expected::all("hidden"),
        root: Expected::all("hidden"),
        alone: &[("where in the cgroup tree", "outside it may run in the root group too")],
        twin: "read its own /proc/self/status",
        reference: "container runtimes' masked paths",
        run: mounts,
        twin_run: twins::read_own_status,
        ..BLANK
    },
    Attempt {
        id: "L03",
        minimal: Some(Expected::but(
            "EACCES",
            &[("the host's name in /etc/hostname", "hidden"), ("the host's name", "allowed")],
        )),
        what: "learn the machine's name, identity and kernel command line",
        wall: "uts namespace, mount namespace, /proc shows processes only",
        user: Expected::but("ENOENT", &[("the host's name", "hidden")]),
        root: Expected::but("ENOENT", &[("the host's name", "hidden")]),
        twin: "uname",
        reference: "fingerprinting",
        run: names_of_the_machine,
        twin_run: twins::uname,
        ..BLANK
    },
    Attempt {
        id: "L04",
        minimal: Some(Expected::but("hidden", &[("read /proc/partitions", "EACCES")])),
        what: "list processes, users, network interfaces, listening ports and disks of the machine",
        wall: "pid, mount and network namespaces",
        user: Expected::but("hidden", &[("read /proc/partitions", "ENOENT")]),
        root: Expected::but("hidden", &[("read /proc/partitions", "ENOENT")]),
        twin: "list its own threads",
        reference: "reconnaissance",
        run: others,
        twin_run: twins::own_processes,
        ..BLANK
    },
];
