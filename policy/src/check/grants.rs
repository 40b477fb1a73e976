//! Paths of the host that a policy grants: their form, the deny floor, and what they really are.

use super::Input;
use crate::document::policy::PolicyDocument;
use crate::files::{FileKind, Right};
use crate::finding::{Findings, Spot};
use crate::floor::{self, Access};
use crate::path::{follow, form_error, is_within};
use crate::policy::Grant;
use only1mcp_wire::Mode;

/// The word for the server's own directory.
const STATE: &str = "state";

/// Checks every path that a policy grants.
pub fn check(document: &PolicyDocument, input: &Input<'_>, findings: &mut Findings) -> Vec<Grant> {
    let lists = [
        (&document.read, Access::Read),
        (&document.execute, Access::Execute),
        (&document.write, Access::Write),
    ];
    let mut grants: Vec<Grant> = Vec::new();
    for (list, access) in lists {
        for spot in list {
            if spot.value == STATE {
                explain_state(spot, access, findings);
                continue;
            }
            let Some(grant) = check_one(spot, access, input, findings) else { continue };
            if let Some(other) = grants.iter().find(|other| other.path == grant.path) {
                let message = format!("{} is granted twice, from line {} on", grant.path, other.place.line);
                findings.error(&spot.place, message, "keep the one that is meant; write includes read");
                continue;
            }
            grants.push(grant);
        }
    }
    grants
}

/// `state` is there without being asked for; asking for less than it is makes no sense.
fn explain_state(spot: &Spot<String>, access: Access, findings: &mut Findings) {
    if access != Access::Write {
        findings.error(
            &spot.place,
            format!("`state` cannot be granted to be only {}", access.phrase()),
            "the server's own directory, /state, is always there and writable; remove the entry",
        );
    }
}

fn check_one(
    spot: &Spot<String>,
    access: Access,
    input: &Input<'_>,
    findings: &mut Findings,
) -> Option<Grant> {
    let path = spot.value.as_str();
    let mut refuse = |message: String, help: String| {
        findings.error(&spot.place, message, help);
        None
    };
    if let Some((why, help)) = form_error(path) {
        return refuse(format!("the path `{path}` {why}"), help);
    }
    // Before looking: the floor holds for paths that do not exist, too.
    if let Some((why, help)) = floor::refuse(path, access, &input.own) {
        return refuse(format!("{path} cannot be {}: it {why}", access.phrase()), help);
    }
    let way = match follow(input.files, path) {
        Ok(way) => way,
        Err(error) => {
            let (message, help) = error.explain();
            return refuse(message, help);
        }
    };
    if way.real != path {
        return refuse(format!("{path} is or goes through a symbolic link"), format!("write {}", way.real));
    }
    if !matches!(way.status.kind, FileKind::Directory | FileKind::File) {
        let message = format!("{path} is neither a directory nor a regular file");
        return refuse(message, "sockets, pipes and devices cannot be granted".to_owned());
    }
    if let Some(missing) = missing_right(path, way.status.kind, input) {
        let message = format!("the server's user may not {missing} {path}");
        return refuse(
            message,
            format!("allow it, such as with `setfacl` or `chmod`, or choose another path than {path}"),
        );
    }
    if access == Access::Write && !input.files.may(path, Right::Write) {
        warn_unwritable(spot, input.mode, findings);
    }
    if access != Access::Write && is_within(path, "/usr") {
        let message = format!("{path} is visible in every sandbox, as all of /usr is");
        findings.note(&spot.place, message, "the entry changes nothing; it may stay");
        return None;
    }
    Some(Grant { path: path.to_owned(), access, status: way.status, place: spot.place.clone() })
}

fn missing_right(path: &str, kind: FileKind, input: &Input<'_>) -> Option<&'static str> {
    if !input.files.may(path, Right::Read) {
        return Some("read");
    }
    (kind == FileKind::Directory && !input.files.may(path, Right::Execute)).then_some("go through")
}

/// Not an error: outside user mode each server has a uid of its own, which may have been let in by an
/// access control list, and that cannot be seen from the mode bits.
fn warn_unwritable(spot: &Spot<String>, mode: Mode, findings: &mut Findings) {
    let path = &spot.value;
    let help = match mode {
        Mode::User | Mode::Minimal => {
            format!("see who may write it with `ls -ld {path}`, or grant it for reading")
        }
        Mode::Root | Mode::System => {
            format!(
                "let the server's own uid in: setfacl -m u:UID:rwx {path}; its state directory belongs to that UID"
            )
        }
    };
    findings.warning(&spot.place, format!("the server's user may perhaps not write {path}"), help);
}
