//! What a server sees: the runtime root, its program, the paths its policy grants.

use super::Input;
use super::server::Server;
use crate::files::FileKind;
use crate::finding::{Findings, Place, Spot};
use crate::floor::Access;
use crate::path::{follow, form_error, is_within, join};
use crate::policy::{Grant, Policy};
use crate::protected;
use crate::resolve::Resolution;
use crate::root::{Root, Use, Variant};
use only1mcp_wire::Mode;

/// The root of a server: the table, and what its profile, program and policy add.
pub fn root(
    policy: &Policy,
    resolution: &Resolution,
    input: &Input<'_>,
    place: &Place,
    findings: &mut Findings,
) -> Root {
    let variant = Variant {
        scratch_bytes: policy.scratch_bytes,
        scratch_inodes: policy.scratch_inodes(),
        tmp_executable: policy.profile.tmp_executable,
        state_executable: policy.profile.state_executable,
    };
    let mut root = Root::build(input.files, variant);
    for entry in &policy.profile.etc {
        match entry.name.strip_suffix('*') {
            Some(prefix) => root.add_matching(input.files, prefix, &entry.reason),
            None => root.add_data(input.files, &entry.name, &entry.reason),
        }
    }
    for need in &resolution.needs {
        match follow(input.files, &need.source) {
            Ok(way) => root.mount(&need.source, &need.target, way.status, Use::Execute, &need.reason),
            Err(error) => {
                let (message, help) = error.explain();
                findings.error(place, message, help);
            }
        }
    }
    add_grants(&mut root, policy, resolution, input, findings);
    root.sort();
    root
}

fn add_grants(
    root: &mut Root,
    policy: &Policy,
    resolution: &Resolution,
    input: &Input<'_>,
    findings: &mut Findings,
) {
    for grant in &policy.grants {
        let program = resolution.needs.iter().find(|need| is_within(&grant.path, &need.target));
        let usage = match (grant.access, program) {
            // A program that can change itself keeps what it was told beyond its own end.
            (Access::Write, Some(need)) => {
                let message = format!("{} cannot be written: it belongs to {}", grant.path, need.reason);
                findings.error(&grant.place, message, "keep what is written apart from what is executed");
                continue;
            }
            // Visible already, and executable: a second mount would only take that away.
            (Access::Read | Access::Execute, Some(_)) => continue,
            (Access::Read, None) => Use::Read,
            (Access::Execute, None) => Use::Execute,
            (Access::Write, None) => Use::Write,
        };
        let reason = format!("granted by the policy {}", policy.name);
        root.mount(&grant.path, &grant.path, grant.status, usage, &reason);
        if usage == Use::Write && grant.status.kind == FileKind::Directory {
            protect(root, &grant.path, &grant.place, input, findings);
            warn_program_within(&grant.path, resolution, &grant.place, findings);
        }
    }
}

/// The program below a writable directory is mounted read-only over it, but what lies beside it is not.
fn warn_program_within(grant: &str, resolution: &Resolution, place: &Place, findings: &mut Findings) {
    for need in resolution.needs.iter().filter(|need| is_within(&need.target, grant)) {
        let message = format!("{} is executed and lies in {grant}, which may be written", need.target);
        let help = "it stays read-only itself; better keep programs and data apart";
        findings.warning(place, message, help);
    }
}

fn protect(root: &mut Root, grant: &str, place: &Place, input: &Input<'_>, findings: &mut Findings) {
    let found = protected::find(input.files, grant);
    let mut pin = |path: &str, usage, reason| {
        // Below a program or a path that is only granted for reading all is read-only already; a mount
        // here would take that away.
        if root.writes(path)
            && let Ok(status) = input.files.status(path)
        {
            root.pin(path, path, status, usage, reason);
        }
    };
    for path in &found.pinned {
        pin(path, Use::Write, "cannot be renamed, so that the read-only part below it stays in its place");
    }
    for path in &found.read_only {
        pin(path, Use::Read, "stays read-only: shells, editors or git obey it");
    }
    for path in &found.closed {
        pin(path, Use::Read, "stays read-only: it cannot be searched for what shells, editors or git obey");
        findings.warning(
            place,
            format!("{path} cannot be looked into, and stays read-only"),
            "let only1mcp list it, such as with `chmod`, or grant another directory",
        );
    }
    if !found.read_only.is_empty() {
        let list: Vec<&str> = found.read_only.iter().map(String::as_str).collect();
        let message = format!("stays read-only below {grant}: {}", list.join(", "));
        findings.note(place, message, "shells, editors and git obey these; new ones can still be made");
    }
    // A git that runs as another user than the server does not trust what the server has made.
    let trusted = matches!(input.mode, Mode::User | Mode::Minimal);
    if trusted && input.files.status(&join(grant, ".git")).is_err() {
        findings.warning(
            place,
            format!("the server can make a .git in {grant}, and git obeys what is in it"),
            "do not use git in there, nor a prompt or an editor that does, or make it a repository first",
        );
    }
    for link in &found.links {
        let message = format!("{link} is a symbolic link and cannot be kept read-only");
        findings.warning(place, message, "replace the link by the file, or grant another directory");
    }
    // A server could bring this about itself, to get rid of what protects its directory from it.
    if found.too_large {
        findings.error(
            place,
            format!("{grant} is too large to be searched whole for files that must stay read-only"),
            "grant a smaller directory, made for this server, or remove what fills it",
        );
    }
    if found.too_deep {
        findings.warning(
            place,
            format!("{grant} is too deep to be searched whole for files that must stay read-only"),
            "grant a smaller directory, made for this server",
        );
    }
}

/// Whoever writes the program of another server becomes that server at its next start, with its files and
/// credentials.
pub fn keep_apart(servers: &[Server], findings: &mut Findings) {
    for writer in servers {
        let writable = writer.policy.grants.iter().filter(|grant| grant.access == Access::Write);
        for (grant, other) in writable.flat_map(|grant| servers.iter().map(move |other| (grant, other))) {
            if other.name != writer.name {
                keep_program(grant, writer, other, findings);
            }
        }
    }
}

fn keep_program(grant: &Grant, writer: &Server, other: &Server, findings: &mut Findings) {
    let meets = |path: &str| is_within(path, &grant.path) || is_within(&grant.path, path);
    let needs = other.resolution.needs.iter().map(|need| need.source.as_str());
    let executable = other.policy.grants.iter().filter(|other| other.access == Access::Execute);
    if let Some(path) = needs.chain(executable.map(|other| other.path.as_str())).find(|path| meets(path)) {
        findings.error(
            &grant.place,
            format!(
                "{} cannot be written by `{}`: `{}` executes {path}",
                grant.path, writer.name, other.name
            ),
            "keep what is written apart from what is executed, by whichever server",
        );
        return;
    }
    // Scripts for an interpreter, most often; but it may be data that they share.
    let named = other.arguments.iter().skip(1).chain([&other.working_directory]);
    let only_read = |path: &&String| {
        other.policy.grants.iter().any(|own| own.access != Access::Write && is_within(path, &own.path))
    };
    if let Some(path) = named.filter(only_read).find(|path| is_within(path, &grant.path)) {
        findings.warning(
            &grant.place,
            format!("`{}` may write {path}, which `{}` is started with", writer.name, other.name),
            format!("keep them apart if {path} is or holds a program"),
        );
    }
}

/// Arguments that name paths of the host which the server will not find.
pub fn warn_hidden(arguments: &[Spot<String>], root: &Root, input: &Input<'_>, findings: &mut Findings) {
    for argument in arguments {
        let text = argument.value.as_str();
        let path = text
            .split_once('=')
            .map_or(text, |(option, value)| if option.starts_with('-') { value } else { text });
        let hidden = path.len() > 1
            && form_error(path).is_none()
            && !root.shows(path)
            && input.files.status(path).is_ok();
        if hidden {
            findings.warning(
                &argument.place,
                format!("{path} exists on this machine, but the server will not see it"),
                format!("add {path} to filesystem.read or filesystem.write of its policy"),
            );
        }
    }
}
