//! What each view saves of the recorded servers' definitions, counted in tokens by the program itself.

use crate::recorded;
use harness::daemon;
use harness::run::run;
use harness::scratch::Scratch;
use serde_json::Value;

#[test]
fn views_save_what_readme_promises() {
    let scratch = Scratch::new();
    let servers = recorded();
    let files: Vec<String> = servers.iter().map(|server| server.file.display().to_string()).collect();
    let words = |first: &[&'static str]| {
        let mut command = daemon::command(&scratch, first);
        command.args(&files);
        run(&mut command)
    };
    println!("{}", words(&["context"]).stdout);
    let told = words(&["context", "--json"]);
    let report: Value =
        serde_json::from_str(&told.stdout).unwrap_or_else(|cause| panic!("{cause}: {told:?}"));
    for (view, at_least) in [("compact", 45.0), ("brief", 70.0), ("search", 98.0)] {
        let saved = report["saved_percent"][view].as_f64().unwrap_or_else(|| panic!("{report}"));
        assert!(saved >= at_least, "{view} saves {saved} %, not {at_least} %");
    }
}
