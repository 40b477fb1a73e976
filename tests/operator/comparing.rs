//! `policy diff`: what is said, in which words, and with which exit code.

use harness::daemon::command;
use harness::run::{self, Outcome};
use harness::scratch::Scratch;
use serde_json::Value;

fn diff(scratch: &Scratch, words: &[&str]) -> Outcome {
    let mut command = command(scratch, &["policy", "diff"]);
    run::run(command.args(words).current_dir(scratch.join("etc")))
}

fn documents() -> Scratch {
    let scratch = Scratch::new();
    let data = scratch.folder("data", 0o755).display().to_string();
    scratch.write("etc/old.yaml", &format!("extends: native\nfilesystem: {{read: [{data}]}}\n"));
    let wide = "limits: {memory: 2GiB}\ntools: {allow: ['read_*']}\n";
    scratch.write("etc/new.yaml", &format!("filesystem: {{write: [{data}]}}\nextends: native\n{wide}"));
    scratch.write("etc/bad.yaml", "extends: nothing\n");
    let server = "command: only1mcp-probe, args: [serve], transport: stdio";
    scratch.write(
        "etc/config.yaml",
        &format!("servers:\n  - {{id: a, {server}, policy: native}}\n  - {{id: b, {server}, policy: go}}\n"),
    );
    scratch.write("more/config.yaml", &format!("servers: [{{id: a, {server}, policy: native}}]\n"));
    scratch
}

#[test]
fn a_wider_policy_exits_with_1_and_says_in_what() {
    let scratch = documents();
    let outcome = diff(&scratch, &["old.yaml", "new.yaml"]);
    let data = scratch.join("data");
    let expected = format!(
        "wider     new: may write {}\nwider     new: limit memory raised from 512MiB to 2GiB\n\
         narrower  new: all tools but read_* may no longer be called\nWider in 2, narrower in 1.\n",
        data.display()
    );
    assert_eq!((outcome.code, outcome.stdout.as_str()), (1, expected.as_str()), "{outcome:?}");
    let json = diff(&scratch, &["old.yaml", "new.yaml", "--json"]);
    let document: Value = serde_json::from_str(&json.stdout).unwrap();
    let first = &document["differences"][0];
    assert_eq!((json.code, &document["wider"]), (1, &true.into()));
    assert_eq!(
        (&first["direction"], &first["area"], &first["path"], &first["right"]),
        (&"wider".into(), &"files".into(), &data.display().to_string().into(), &"write".into())
    );
}

#[test]
fn an_equal_or_narrower_policy_exits_with_0() {
    let scratch = documents();
    for (old, new, said) in [
        ("old.yaml", "old.yaml", "No difference"),
        ("config.yaml", "config.yaml", "No difference"),
        (".", "../more", "narrower  b: is gone"),
    ] {
        let outcome = diff(&scratch, &[old, new]);
        assert_eq!(outcome.code, 0, "{outcome:?}");
        assert!(outcome.stdout.starts_with(said), "{outcome:?}");
    }
    assert_eq!(diff(&scratch, &["../more", "."]).code, 1, "a new server is wider");
}

#[test]
fn servers_are_named_by_their_ids() {
    let scratch = documents();
    let outcome = diff(&scratch, &["a", "b", "--config", "config.yaml"]);
    assert!([0, 1].contains(&outcome.code) && !outcome.stdout.is_empty(), "{outcome:?}");
    let same = diff(&scratch, &["a", "a", "--config", "config.yaml"]);
    assert_eq!((same.code, same.stdout.as_str()), (0, "No difference: both allow the same.\n"));
}

#[test]
fn bad_input_has_its_exit_code_and_its_mend() {
    let scratch = documents();
    scratch.folder("etc/empty", 0o755);
    let cases = [
        (["old.yaml", "bad.yaml"], 65, "`extends` cannot be `nothing`"),
        (["old.yaml", "empty"], 65, "has no policy"),
        (["old.yaml", "nowhere.yaml"], 74, "cannot be opened"),
        (["a", "old.yaml"], 64, "are not of one kind"),
        (["a", "nobody"], 64, "no server `nobody`"),
    ];
    for (words, code, said) in cases {
        let outcome = diff(&scratch, &[words[0], words[1], "--config", "config.yaml"]);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (code, ""), "{words:?} {outcome:?}");
        assert!(outcome.stderr.contains(said), "{words:?} {outcome:?}");
    }
}
