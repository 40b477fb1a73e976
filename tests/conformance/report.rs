//! What the suite wrote down: one folder for each scenario, with its checks.

use serde_json::Value;
use std::path::Path;

/// What came of one scenario.
pub struct Scenario {
    /// As the suite calls it.
    pub name: String,
    /// How many checks were made.
    pub checks: usize,
    /// Those that failed or warned, in words.
    pub faults: Vec<String>,
}

/// All scenarios of a folder of results, by name.
pub fn read(results: &Path) -> Vec<Scenario> {
    let entries = std::fs::read_dir(results).map(|entries| entries.flatten().collect::<Vec<_>>());
    let mut scenarios: Vec<Scenario> =
        entries.unwrap_or_default().iter().filter_map(|entry| scenario(&entry.path())).collect();
    scenarios.sort_by(|one, other| one.name.cmp(&other.name));
    scenarios
}

/// A folder is called `server-NAME-TIME`.
fn scenario(folder: &Path) -> Option<Scenario> {
    let name = folder.file_name()?.to_str()?.strip_prefix("server-")?;
    let time = name.match_indices("-20").find(|(at, _)| name.as_bytes().get(at + 11) == Some(&b'T'));
    let name = name[..time?.0].to_owned();
    let text = std::fs::read_to_string(folder.join("checks.json")).unwrap_or_default();
    let checks: Vec<Value> = serde_json::from_str(&text).unwrap_or_default();
    let is_fault = |check: &&Value| matches!(check["status"].as_str(), Some("FAILURE" | "WARNING"));
    let faults = checks.iter().filter(is_fault);
    let faults = faults.map(|check| format!("{}: {}", check["id"], check["errorMessage"])).collect();
    Some(Scenario { name, checks: checks.len(), faults })
}
