//! Differences of documents, and what holds of any two confinements.

use super::*;
use crate::check::tests::{host, input};
use crate::check::{check, whole_policy};
use crate::confinement::Place;
use crate::document::Source;
use crate::finding::Findings;
use crate::view::{ToolRules, Verdict};

/// The confinement of a policy on the test machine.
fn policy(text: &str) -> Confinements {
    let tree = host().dir("/data/in/deep").dir("/data/more");
    let input = input(&tree, "servers: []\n", &[]);
    let source = Source { path: "p.yaml".into(), text: format!("extends: node\n{text}\n") };
    let mut findings = Findings::default();
    let (policy, root) = whole_policy("p", &source, &input, &mut findings).unwrap();
    assert!(!findings.has_errors(), "{}", findings.to_text());
    Confinements::of_policy(&policy, &root)
}

fn said(old: &str, new: &str) -> Vec<String> {
    let word = |direction| if direction == Direction::Wider { "+" } else { "-" };
    let found = diff(&policy(old), &policy(new));
    found.iter().map(|one| format!("{} {}", word(one.direction), one.text)).collect()
}

#[test]
fn every_area_is_said_in_words() {
    let cases: [(&str, &str, &[&str]); 10] = [
        ("", "filesystem: {read: [/data/in]}", &["+ may read /data/in"]),
        ("filesystem: {read: [/data/in]}", "filesystem: {write: [/data/in]}", &["+ may write /data/in"]),
        (
            "filesystem: {execute: [/data/in]}",
            "filesystem: {read: [/data/in]}",
            &["- may no longer execute files in /data/in"],
        ),
        ("memory: {jit: false}", "", &["+ may write memory and execute it (jit)"]),
        (
            "limits: {memory: 64MiB, cpu: 50%}",
            "limits: {memory: 128MiB, cpu: 20%}",
            &["+ limit memory raised from 64MiB to 128MiB", "- limit cpu lowered from 50% to 20%"],
        ),
        ("requires: {cgroup: true}", "", &["+ is started even without limits by cgroup"]),
        ("", "requires: {landlock: 7}", &["- is no longer started without landlock at level 7"]),
        ("tools: {allow: [a]}", "tools: {allow: [a, 'b*']}", &["+ the tools b* may be called"]),
        ("tools: {allow: ['*']}", "tools: {deny: [a]}", &["- the tool a may no longer be called"]),
        (
            "tools: {allow: [a, 'a*', 'b*']}",
            "tools: {allow: ['*'], deny: ['bb*', c]}",
            &["+ all tools but a*, b*, c may be called", "- the tools bb* may no longer be called"],
        ),
    ];
    for (old, new, expected) in cases {
        assert_eq!(said(old, new), expected, "{old} -> {new}");
    }
}

#[test]
fn a_write_grant_covers_what_lies_below_it() {
    let (wide, narrow) = ("filesystem: {write: [/data/in]}", "filesystem: {write: [/data/in/deep]}");
    let narrower = ["- may no longer read /data/in", "- may no longer write /data/in"];
    assert_eq!(said(wide, narrow), narrower);
    let both = "filesystem: {write: [/data/in], read: [/data/in/deep]}";
    assert_eq!(said(wide, both), ["- may no longer write /data/in/deep"]);
}

#[test]
fn order_and_form_are_no_difference() {
    let one = "filesystem: {read: [/data/in, /data/more]}\nlimits: {memory: 1GiB}";
    let other = "limits:\n  memory: 1024MiB\nfilesystem:\n  read:\n    - /data/more\n    - /data/in";
    assert_eq!(said(one, other), Vec::<String>::new());
    assert_eq!(said("tools: {allow: [a, b]}", "tools: {allow: [b, a, a]}"), Vec::<String>::new());
    assert_eq!(said("tools: {allow: ['*']}", "tools: {allow: ['*', 'a*', b]}"), Vec::<String>::new());
}

#[test]
fn servers_come_go_and_know_other_things() {
    let of = |config: &str| {
        let tree = host();
        let input = input(&tree, config, &[]);
        let mut findings = Findings::default();
        let checked = check(&input, &mut findings);
        assert!(!findings.has_errors(), "{}", findings.to_text());
        Confinements::of_servers(&checked)
    };
    let server = |id: &str, more: &str| {
        format!("  - {{id: {id}, transport: stdio, command: node, policy: node{more}}}\n")
    };
    let old = of(&format!("servers:\n{}{}", server("a", ", env: {X: one, Y: two}"), server("b", "")));
    let new =
        of(&format!("servers:\n{}{}", server("a", ", env: {X: two, T: {credential: t}}"), server("c", "")));
    let found: Vec<String> =
        diff(&old, &new).iter().map(|one| format!("{} {}", one.subject, one.text)).collect();
    assert_eq!(
        found,
        [
            "a the variable X has another value: not to be compared",
            "a may know the credential t (variable T)",
            "a may no longer know the variable Y",
            "b is gone, with all it was allowed",
            "c is new: all it may do was not allowed",
        ]
    );
    assert!(is_wider(&diff(&old, &new)) && diff(&old, &old).is_empty());
}

/// A small generator of random numbers: the same ones in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, count: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % count
    }

    fn coin(&mut self) -> bool {
        self.below(2) == 0
    }

    fn some(&mut self, all: &[&str]) -> Vec<String> {
        all.iter().filter(|_| self.below(3) == 0).map(|&one| one.to_owned()).collect()
    }
}

const PATHS: [&str; 8] = ["/a", "/a/b", "/a/b/c", "/a/d", "/ab", "/e/f", "/e/f/g/h", "/e"];
const CALLS: [&str; 5] = ["read", "write", "mmap", "execve", "socket"];
const PATTERNS: [&str; 9] = ["*", "a*", "ab*", "a", "ab", "abc", "b", "b*", "ba*"];
const LIMITS: [&str; 3] = ["memory", "processes", "cpu"];
const VARIABLES: [&str; 3] = ["X", "Y", "Z"];

fn confinement(random: &mut Random) -> Confinement {
    let places = random.some(&PATHS).into_iter().map(|path| {
        let (write, execute) = (random.coin(), random.coin());
        Place { source: path.clone(), path, write, execute }
    });
    let places = places.collect();
    Confinement {
        name: "p".into(),
        places,
        state_executable: random.coin(),
        tmp_executable: random.coin(),
        system_calls: random.some(&CALLS),
        jit: random.coin(),
        limits: LIMITS.iter().map(|&name| (name.to_owned(), random.below(3) as u64)).collect(),
        landlock_abi: u8::try_from(random.below(3)).unwrap(),
        cgroup: random.coin(),
        tools: ToolRules { allow: random.some(&PATTERNS), deny: random.some(&PATTERNS) },
        variables: random
            .some(&VARIABLES)
            .into_iter()
            .map(|name| Given { name, credential: None, digest: Some(random.below(2).to_string()) })
            .collect(),
    }
}

/// Every name of up to four letters, so that each pattern has names within, beside and beyond it.
fn names() -> Vec<String> {
    let mut all = vec![String::new()];
    for length in 0..4 {
        let last: Vec<String> = all.iter().filter(|name| name.len() == length).cloned().collect();
        all.extend(last.iter().flat_map(|name| ["a", "b", "c"].map(|letter| format!("{name}{letter}"))));
    }
    all
}

/// What a confinement allows, one by one, as far as the documents of these tests can tell.
fn acts(of: &Confinement) -> BTreeSet<String> {
    let mut acts = BTreeSet::new();
    for path in PATHS.iter().flat_map(|path| [(*path).to_owned(), format!("{path}/x"), format!("{path}/b/x")])
    {
        for right in Right::ALL {
            if files::allows(of, &path, right) {
                acts.insert(format!("{right:?} {path}"));
            }
        }
    }
    acts.extend(of.system_calls.iter().map(|call| format!("call {call}")));
    acts.extend(of.jit.then(|| "jit".to_owned()));
    acts.extend(of.state_executable.then(|| "own /state".to_owned()));
    acts.extend(of.tmp_executable.then(|| "own /tmp".to_owned()));
    for (name, value) in &of.limits {
        acts.extend((0..=*value).map(|used| format!("limit {name} {used}")));
    }
    acts.extend((of.landlock_abi..3).map(|abi| format!("wall landlock {abi}")));
    acts.extend((!of.cgroup).then(|| "wall cgroup".to_owned()));
    acts.extend(
        names()
            .iter()
            .filter(|name| of.tools.verdict(name) == Verdict::Allowed)
            .map(|name| format!("tool {name}")),
    );
    acts.extend(of.variables.iter().map(|one| format!("variable {}", one.name)));
    acts
}

/// Whether a difference speaks of this act.
fn mentions(act: &Act, done: &str) -> bool {
    let (kind, rest) = done.split_once(' ').unwrap_or((done, ""));
    match act {
        Act::Files { path, right } => kind == format!("{right:?}") && crate::path::is_within(rest, path),
        Act::SystemCalls { calls, .. } => kind == "call" && calls.iter().any(|call| call == rest),
        Act::Jit => kind == "jit",
        Act::ExecuteOwn { path } => kind == "own" && rest == path,
        Act::Limit { name, .. } => kind == "limit" && rest.starts_with(name.as_str()),
        Act::Wall { name } => kind == "wall" && (name.contains(rest.split(' ').next().unwrap())),
        Act::Tools { pattern, except } => {
            let within = pattern.strip_suffix('*').is_some_and(|prefix| rest.starts_with(prefix));
            let excepted = |name: &str| {
                except.iter().any(|one| match one.strip_suffix('*') {
                    Some(prefix) => name.starts_with(prefix),
                    None => name == one,
                })
            };
            kind == "tool" && (rest == pattern || within && !excepted(rest))
        }
        Act::Variable { name, .. } => kind == "variable" && rest == name,
        Act::Existence | Act::Source { .. } => false,
    }
}

#[test]
fn all_that_one_allows_beyond_the_other_is_mentioned_and_nothing_else() {
    let mut random = Random(7);
    for round in 0..3000 {
        let (old, new) = (confinement(&mut random), confinement(&mut random));
        let differences = compare(&old, &new);
        let (may_old, may_new) = (acts(&old), acts(&new));
        for (direction, beyond) in [
            (Direction::Wider, may_new.difference(&may_old).collect::<Vec<_>>()),
            (Direction::Narrower, may_old.difference(&may_new).collect()),
        ] {
            let told: Vec<&Act> =
                differences.iter().filter(|one| one.direction == direction).map(|one| &one.act).collect();
            for act in &beyond {
                assert!(told.iter().any(|one| mentions(one, act)), "{round}: {act} {direction:?} {told:?}");
            }
            for one in &told {
                let changed = matches!(one, Act::Variable { changed: true, .. });
                let real = changed || beyond.iter().any(|act| mentions(one, act));
                assert!(real, "{round}: {one:?} {direction:?}\n{old:?}\n{new:?}");
            }
        }
    }
}

#[test]
fn nothing_differs_from_itself() {
    let mut random = Random(11);
    for _ in 0..500 {
        let one = confinement(&mut random);
        assert_eq!(compare(&one, &one), []);
    }
}
