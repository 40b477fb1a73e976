//! The second boot: what was enabled serves again by itself, with its state.

use crate::machine;
use crate::service;
use serde_json::json;
use std::path::Path;

/// What is written in the first boot.
pub const NOTE: &str = "written before the restart";

#[test]
fn the_machine_comes_back_serving_with_its_state() {
    let mark = std::env::var("VM_MARK").unwrap_or_default();
    assert_eq!(mark, "restarted", "this is for the second boot: see tests/system/guest");
    assert!(Path::new("/usr/bin/only1mcp").exists(), "installed in the first boot");
    let took = service::wait_until_ready();
    service::assert_all_answer();
    assert!(service::call("notes__list_notes", &json!({})).contains(NOTE));
    assert_eq!(machine::cgroups().iter().filter(|path| path.ends_with("supervisor")).count(), 1);
    assert!(service::version().ends_with("-2"), "the upgrade lasts");
    println!("ready {took:?} after the test began");
}
