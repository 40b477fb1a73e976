//! Attacks by execution: running what the server itself has written, to a file or to memory.

use super::twins::{self, execute_in_child, when_nobody_writes};
use super::{c_string, unlink, write_new};
use crate::call;
use crate::catalogue::{Attempt, BLANK, Expected, Tried};
use crate::probe::{Act, Targets};

fn execute_written(targets: &Targets) -> Tried {
    let mut acts = Vec::new();
    let directory = targets.text("scratch").unwrap_or(super::STATE).to_owned();
    let temporary = super::temporary();
    for (label, directory) in [("scratch", &directory), ("/tmp", &temporary)] {
        let path = format!("{directory}/only1mcp-probe-written");
        let name = c_string(&path)?;
        write_new(&name, b"#!/usr/bin/true\n").map_err(|errno| format!("write {path}: {errno}"))?;
        call!(libc::SYS_fchmodat, libc::AT_FDCWD, &*name, 0o755)
            .map_err(|errno| format!("chmod {path}: {errno}"))?;
        acts.push(Act::of(format!("execute a file written to {label}"), execute_in_child(&path)));
        let _ = unlink(&name);
    }
    Ok(acts)
}

/// A file that exists only in memory has no mount that could forbid executing it.
fn execute_memory(_: &Targets) -> Tried {
    let script = b"#!/usr/bin/true\n";
    let made = call!(libc::SYS_memfd_create, c"only1mcp-probe", 0);
    let Ok(file) = made else {
        return Ok(vec![Act::of("memfd_create", made), Act::of("execve(/proc/self/fd/memfd)", made)]);
    };
    call!(libc::SYS_write, file, script.as_slice(), script.len()).map_err(|errno| errno.to_string())?;
    let by_number = when_nobody_writes(|| {
        twins::in_child(|| {
            let nothing = [0_u8; 8];
            call!(libc::SYS_execveat, file, c"", nothing.as_slice(), nothing.as_slice(), libc::AT_EMPTY_PATH)
        })
    });
    let by_name = execute_in_child(&format!("/proc/self/fd/{file}"));
    Ok(vec![
        Act::of("memfd_create", made),
        Act::of("execveat(memfd)", by_number),
        Act::of("execve(/proc/self/fd/memfd)", by_name),
    ])
}

/// The part of the catalogue about execution.
pub const ATTEMPTS: &[Attempt] = &[
    Attempt {
        id: "F22",
        what: "execute a file it has written, where the policy grants no execution",
        wall: "noexec mount, Landlock",
        user: Expected::all("EACCES"),
        root: Expected::all("EACCES"),
        twin: "execute a granted program",
        reference: "dropped payloads",
        run: execute_written,
        twin_run: twins::execute_granted,
        ..BLANK
    },
    Attempt {
        id: "F23",
        what: "execute a file that exists only in memory, where the policy says memory.jit: false",
        wall: "seccomp: without jit only files that can never be executed; elsewhere runtimes make code in memory anyway",
        twin: "execute a granted program",
        reference: "vm.memfd_noexec",
        run: execute_memory,
        twin_run: twins::execute_granted,
        ..BLANK
    },
];
