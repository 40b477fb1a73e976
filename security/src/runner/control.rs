//! The control outside: the same probe, the same uid, no sandbox. It must succeed, or the attempt proves nothing.

use std::path::Path;
use std::process::{Command, Stdio};

use nix::unistd::Uid;

use super::canaries::{LOADERS, VARIABLE};
use super::fault::{Context, Fault};
use super::machine::{Person, Programs};
use super::surroundings::Mover;
use crate::catalogue::{Attempt, Control, Mode};
use crate::probe::{Report, Targets};

/// Answers by which a kernel says that it was built without something.
const NOT_BUILT: [&str; 4] = ["EAFNOSUPPORT", "EPROTONOSUPPORT", "ESOCKTNOSUPPORT", "ENOSYS"];
/// Answers by which a machine says that it has no such thing. A wall may answer the same, so they count only
/// for attempts of which the catalogue says so.
const NOT_HERE: [&str; 4] = ["ENOENT", "ENXIO", "ENODEV", "EOPNOTSUPP"];

/// A fresh user namespace with one of each other kind, as its root.
const NAMESPACES: [&str; 8] =
    ["--user", "--map-root-user", "--mount", "--net", "--ipc", "--uts", "--pid", "--fork"];

/// What the control found.
pub struct Outside {
    /// In a few words, for the table.
    pub words: String,
    /// Why it proves nothing.
    pub failures: Vec<String>,
    /// The targets it was aimed at.
    pub aims: Vec<String>,
}

/// Runs the control of `attempt` as `person` (the server's own uid, as the host sees it).
///
/// # Errors
/// If it cannot be started.
pub fn run(
    attempt: &Attempt,
    mode: Mode,
    person: &Person,
    targets: &Targets,
    base: &Path,
    programs: &Programs,
) -> Result<Outside, Fault> {
    let control = attempt.control(mode);
    if control == Control::Root && !Uid::current().is_root() {
        return Ok(Outside {
            words: "not run: needs root".to_owned(),
            failures: Vec::new(),
            aims: Vec::new(),
        });
    }
    let mut targets = targets.clone();
    targets.set("scratch", base.join("outside").to_string_lossy());
    targets.set("outside_uid", person.uid.to_string());
    targets.set("outside_gid", person.gid.to_string());
    // Outside, the victim stands in for the sandbox's own PID 1.
    if let Ok(victim) = targets.text("victim").map(str::to_owned) {
        targets.set("init", victim);
    }
    if let Ok(granted) = targets.text("readonly").map(str::to_owned) {
        targets.set("uncover", granted);
    }
    if control == Control::UnmappedNamespace {
        targets.set("fresh", "yes");
    }
    let probe = programs.find("only1mcp-probe")?;
    let mut command = prepared(attempt, control, person, base, &probe);
    command.arg("attempt").arg(attempt.id).env(VARIABLE, "canary").env("AWS_SECRET_ACCESS_KEY", "canary");
    command.envs(LOADERS);
    let _moving = Mover::wanted_by(attempt.id, base, person)?;
    for (key, value) in targets.iter() {
        command.arg("--target").arg(format!("{key}={value}"));
    }
    let output = command.stdin(Stdio::null()).output();
    let output = output.doing(|| format!("run the control of {}", attempt.id))?;
    Ok(match serde_json::from_slice::<Report>(&output.stdout) {
        Ok(report) => judged(attempt, control, &report),
        Err(_) => failed(&format!("control said nothing: {}", String::from_utf8_lossy(&output.stderr))),
    })
}

fn failed(text: &str) -> Outside {
    Outside { words: "failed".to_owned(), failures: vec![text.to_owned()], aims: Vec::new() }
}

/// The command line up to the probe's arguments.
fn prepared(attempt: &Attempt, control: Control, person: &Person, base: &Path, probe: &Path) -> Command {
    match control {
        _ if attempt.id.starts_with("F06") => {
            let mut command = person.command("/bin/sh");
            command.arg("-c").arg("exec 7<\"$0\"; exec \"$@\"").arg(base.join("outside")).arg(probe);
            command
        }
        Control::SameUid | Control::MayBeAbsent | Control::UnmappedNamespace => person.command(probe),
        Control::Root => Person { uid: 0, gid: 0 }.command(probe),
        Control::UserNamespace => {
            let mut command = person.command("/usr/bin/unshare");
            command.args(NAMESPACES).arg(probe);
            command
        }
    }
}

fn judged(attempt: &Attempt, control: Control, report: &Report) -> Outside {
    let mut failures = Vec::new();
    let (mut allowed, mut absent) = (0, 0);
    for act in &report.acts {
        let alone = attempt.alone.iter().any(|(name, _)| act.act.starts_with(name));
        match act.answer() {
            "allowed" => allowed += 1,
            _ if alone => {}
            answer if NOT_BUILT.contains(&answer) => absent += 1,
            answer if control == Control::MayBeAbsent && NOT_HERE.contains(&answer) => absent += 1,
            answer => failures.push(format!("control outside: {}: {answer} ({})", act.act, act.detail)),
        }
    }
    if allowed == 0 && control != Control::MayBeAbsent {
        failures.push(format!("control outside: nothing succeeded: {}", report.detail));
    }
    let mut words = match (allowed, control) {
        (0, _) => "this kernel has none".to_owned(),
        (_, Control::SameUid | Control::MayBeAbsent) => format!("allowed {allowed}"),
        (_, control) => format!("allowed {allowed} ({})", control.in_words()),
    };
    if absent > 0 && allowed > 0 {
        words.push_str(&format!(", absent here {absent}"));
    }
    Outside { words, failures, aims: report.aims.clone() }
}
