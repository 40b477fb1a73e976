//! Built-in profiles: what a runtime needs, as data files with a reason for every entry.

use crate::document::keys::{PROFILE, PROFILE_GROUP, PROFILE_ITEM, PROFILE_SWITCH, PROFILE_VARIABLE};
use crate::document::policy::{
    LimitsDocument, RequiresDocument, ToolsDocument, read_limits, read_requires, read_tools,
};
use crate::document::reader::Fields;
use crate::document::{self, Source};
use crate::finding::Findings;
use std::sync::LazyLock;

/// The names of all profiles and their files.
pub const PROFILES: [(&str, &str); 5] = [
    ("native", include_str!("../profiles/native.yaml")),
    ("node", include_str!("../profiles/node.yaml")),
    ("python", include_str!("../profiles/python.yaml")),
    ("jvm", include_str!("../profiles/jvm.yaml")),
    ("go", include_str!("../profiles/go.yaml")),
];

/// What a runtime needs.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// Where commands are looked up, inside and outside.
    pub path: Vec<String>,
    /// Variables: name, value, reason.
    pub environment: Vec<Explained>,
    /// Entries of `/etc` beside those every server has. A trailing `*` stands for any ending.
    pub etc: Vec<Explained>,
    /// Groups of system calls.
    pub groups: Vec<String>,
    /// Whether memory may be written and executed.
    pub jit: bool,
    /// Whether files in `/tmp` may be executed.
    pub tmp_executable: bool,
    /// Whether files in `/state` may be executed.
    pub state_executable: bool,
    /// Limits, all of them given.
    pub limits: LimitsDocument,
    /// Walls that must stand.
    pub requires: RequiresDocument,
    /// Which tools may be called unless a policy says otherwise.
    pub tools: ToolsDocument,
}

/// An entry of a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// A variable's name, or a path.
    pub name: String,
    /// A variable's value; empty for a path.
    pub value: String,
    /// Why it is there.
    pub reason: String,
}

/// The profile of this name. Profiles ship with the program, and a test sees that they have no findings.
#[must_use]
pub fn load(name: &str) -> Option<Profile> {
    static PARSED: LazyLock<Vec<Profile>> = LazyLock::new(|| {
        let mut findings = Findings::default();
        PROFILES.iter().filter_map(|(name, _)| parse(name, &mut findings)).collect()
    });
    PARSED.iter().find(|profile| profile.name == name).cloned()
}

fn parse(name: &str, findings: &mut Findings) -> Option<Profile> {
    let (_, content) = PROFILES.iter().find(|(known, _)| *known == name)?;
    let source = Source { path: format!("<profile {name}>"), text: (*content).to_owned() };
    let node = document::read(&source, findings)?;
    let fields = Fields::open(&node, PROFILE, findings)?;
    let groups = fields.mappings("system_calls", PROFILE_GROUP, findings);
    let paths = fields.texts("path", findings).unwrap_or_default();
    Some(Profile {
        name: name.to_owned(),
        path: paths.into_iter().map(|path| path.value).collect(),
        environment: explained(&fields, "environment", PROFILE_VARIABLE, "name", findings),
        etc: explained(&fields, "etc", PROFILE_ITEM, "path", findings),
        groups: groups.iter().map(|group| text(group, "group", findings)).collect(),
        jit: switch(&fields, "jit", findings),
        tmp_executable: switch(&fields, "tmp_executable", findings),
        state_executable: switch(&fields, "state_executable", findings),
        limits: read_limits(&fields, findings),
        requires: read_requires(&fields, findings),
        tools: read_tools(&fields, findings),
    })
}

fn text(fields: &Fields<'_>, name: &str, findings: &mut Findings) -> String {
    fields.text(name, findings).map(|spot| spot.value).unwrap_or_default()
}

fn switch(fields: &Fields<'_>, name: &str, findings: &mut Findings) -> bool {
    let below = fields.fields(name, PROFILE_SWITCH, findings);
    below.and_then(|below| below.switch("value", findings)).is_some_and(|value| value.value)
}

fn explained(
    fields: &Fields<'_>,
    list: &str,
    keys: &'static [crate::document::keys::Key],
    name: &str,
    findings: &mut Findings,
) -> Vec<Explained> {
    let entries = fields.mappings(list, keys, findings);
    let read = |entry: &Fields<'_>, findings: &mut Findings| Explained {
        name: text(entry, name, findings),
        value: entry.get("value").map(|_| text(entry, "value", findings)).unwrap_or_default(),
        reason: text(entry, "reason", findings),
    };
    entries.iter().map(|entry| read(entry, findings)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system_calls;

    #[test]
    fn every_profile_is_whole_and_gives_its_reasons() {
        for (name, content) in PROFILES {
            let mut findings = Findings::default();
            let profile = parse(name, &mut findings).unwrap();
            for group in &profile.groups {
                assert!(system_calls::groups().iter().any(|known| known.name == *group), "{name}: {group}");
            }
            assert_eq!(findings.to_text(), "", "{name}");
            // How fast disks may be used is nobody's guess: there is no such limit unless it is asked for.
            let LimitsDocument { memory, processes, cpu, open_files, scratch, file_size, .. } =
                profile.limits;
            for limit in [memory, processes, cpu, open_files, scratch, file_size] {
                assert!(limit.is_some(), "{name}: a limit is missing");
            }
            assert!(profile.environment.iter().chain(&profile.etc).all(|entry| !entry.reason.is_empty()));
            assert!(profile.tools.allow.is_some() && profile.requires.landlock.is_some(), "{name}");
            assert_eq!(content.matches("reason: \"\"").count(), 0, "{name}");
        }
    }

    #[test]
    fn there_is_no_profile_of_another_name() {
        assert!(load("Node").is_none());
    }
}
