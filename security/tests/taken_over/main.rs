//! A proxy that somebody has taken over: a process under exactly the proxy's lock tries what an attacker would.
//!
//! It is the same code that locks the proxy, in the same order, in a process of its own (this very program), beside
//! the real launcher. Before the lock the same acts succeed: that is the control. The answers stand in
//! `security/threat-model.md`; `BLESS=1` writes them there. No test framework: the lock wants a single thread.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test ends by panicking")]

mod acts;
mod attacker;
mod stage;
mod wire;

use stage::Stage;
use std::collections::BTreeMap;
use std::process::ExitCode;

/// The heading of the table in the threat model, and what stands before it.
const HEADING: &str = "## What a simulated taken-over proxy gets\n\n\
<!-- Generated: BLESS=1 cargo test -p only1mcp-escape --test taken_over -->\n\n\
| act | without the lock | in user mode | in root mode |\n|---|---|---|---|\n";

/// The answers to all acts, in order.
type Answers = Vec<(String, String)>;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().collect();
    if words.get(1).is_some_and(|word| word == attacker::WORD) {
        attacker::run(&words[2..]);
        return ExitCode::SUCCESS;
    }
    let root = nix::unistd::geteuid().is_root();
    let user = try_all(&Stage::new(stage::Mode::User));
    let as_root = root.then(|| try_all(&Stage::new(stage::Mode::Root)));
    match &as_root {
        Some(as_root) => compare(&table(&user, as_root)),
        None => println!("root mode not run: needs root\n"),
    }
    let count = 1 + usize::from(root);
    println!("test result: ok. {count} passed; 0 failed; 0 ignored; 0 measured; 0 filtered out");
    ExitCode::SUCCESS
}

/// The answers under the lock and without it, each checked.
fn try_all(stage: &Stage) -> (Answers, Answers) {
    let (locked, free) = (stage.attack(), stage.control());
    let mut wrong = Vec::new();
    let controls: BTreeMap<&str, &str> =
        free.iter().map(|(act, answer)| (act.as_str(), answer.as_str())).collect();
    for (act, answer) in &locked {
        let still = acts::STILL.contains(&act.as_str());
        let control = controls.get(act.as_str()).copied().unwrap_or("not tried");
        let denied = answer != acts::DONE && answer != acts::REACHED;
        if still == denied {
            wrong.push(format!("{act}: {answer} under the lock"));
        }
        if !still && control != acts::DONE && !stage.needs_more(act) {
            wrong.push(format!("{act}: {control} without the lock, so its failure shows nothing"));
        }
    }
    assert!(wrong.is_empty(), "{:?}:\n{}\n{}", stage.mode, wrong.join("\n"), stage.log());
    stage.untouched();
    println!("{:?}: {} acts under the lock, each as expected", stage.mode, locked.len());
    (locked, free)
}

fn table(user: &(Answers, Answers), root: &(Answers, Answers)) -> String {
    let of = |answers: &Answers, act: &str| {
        answers.iter().find(|(one, _)| one == act).map(|(_, answer)| answer.clone())
    };
    let mut text = HEADING.to_owned();
    for ((act, in_user), (_, in_root)) in user.0.iter().zip(&root.0) {
        let control = match (of(&user.1, act), of(&root.1, act)) {
            (Some(own), _) if own == acts::DONE => own,
            (Some(_), Some(of_root)) => format!("as root: {of_root}"),
            _ => "-".to_owned(),
        };
        text.push_str(&format!("| {act} | {control} | {in_user} | {in_root} |\n"));
    }
    text
}

/// Holds the table in the threat model against what was measured.
fn compare(table: &str) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/threat-model.md");
    let text = std::fs::read_to_string(path).unwrap();
    let end = text.find("\n## What holds this page true").unwrap();
    let begin = text.find("## What a simulated taken-over proxy gets").unwrap_or(end + 1);
    let end = end.max(begin);
    if std::env::var_os("BLESS").is_some() {
        let written = format!("{}{table}\n{}", &text[..begin], &text[end..].trim_start());
        std::fs::write(path, written).unwrap();
    } else {
        assert_eq!(&text[begin..end], table, "{path} says something else; run this test with BLESS=1");
    }
}
