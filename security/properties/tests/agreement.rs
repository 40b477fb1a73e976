//! Our YAML reader against `serde_yaml` on documents made up here: most of them sound, some damaged.
//!
//! `ONLY1MCP_TEST_SEED` chooses other documents than those of every run; the seed is printed.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends by panicking")]

use only1mcp_properties::yaml_agreement::{ONLY_OURS, ONLY_TEXT, Opinion, STRICTER, UNENDED, compare};
use std::collections::{BTreeMap, BTreeSet};

/// Documents of one run.
const DOCUMENTS: usize = 20_000;
/// The seed if none is given.
const SEED: u64 = 3;
/// What most documents should come to.
const AGREED: &str = "both read it and agree";
/// Plain and quoted scalars as people write them, and as they should not.
const SCALARS: [&str; 64] = [
    "a",
    "x y",
    "node",
    "512MiB",
    "1",
    "0",
    "-1",
    "+1",
    "017",
    "0x1F",
    "1_000",
    "1.5",
    ".5",
    "5.",
    "1e3",
    "1e400",
    "-0",
    "-0.0",
    "18446744073709551615",
    "18446744073709551616",
    "-9223372036854775809",
    "true",
    "True",
    "TRUE",
    "false",
    "null",
    "Null",
    "NULL",
    "~",
    "''",
    "\"\"",
    "'it''s'",
    "\"a\\nb\"",
    "\"\\x41\\u00e9\"",
    "\"\\/\"",
    "'a: b'",
    "\"#\"",
    "a#b",
    "a:b",
    "http://h:1/p",
    "/data/in",
    "*.txt",
    "2026-11-25",
    "1:30",
    "y",
    "n",
    "yes",
    "No",
    "ON",
    "off",
    ".inf",
    "-.INF",
    ".nan",
    "=",
    "<<",
    "&x a",
    "*x",
    "!!str 1",
    "! a",
    "[&x a, *x]",
    "a\u{200b}b",
    "é 日本",
    "-",
    "?",
];
/// Keys.
const KEYS: [&str; 12] =
    ["a", "b", "id", "env", "'quoted'", "\"q\\t\"", "1", "true", "null", "d e", "é", "policy"];
/// What damage puts in.
const PIECES: [&str; 24] = [
    "\n", "  ", "\t", ": ", ":", "- ", "-", "{", "}", "[", "]", ",", "'", "\"", "|\n", ">-\n", "#", " #",
    "&a ", "*a", "!t ", "---\n", "...\n", "%Y\n",
];

/// A small generator of random numbers (SplitMix64): the same documents for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % bound as u64).unwrap()
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    /// A block node below a key or a dash, at this indentation.
    fn block(&mut self, out: &mut String, indent: usize, depth: usize) {
        match self.below(if depth > 3 { 4 } else { 9 }) {
            0..=2 => *out += &format!(" {}\n", self.one(&SCALARS)),
            3 => {
                let head = self.one(&["|", "|-", "|+", ">", ">-", "|2"]);
                *out += &format!(" {head}\n{0}  one\n\n{0}   two\n", " ".repeat(indent));
            }
            4 => {
                *out += " ";
                self.flow(out, depth);
                *out += self.one(&["\n", " # remark\n", "\n\n", "\r\n"]);
            }
            5 | 6 => {
                *out += "\n";
                let deeper = indent + self.below(3);
                self.list(out, deeper, depth + 1);
            }
            _ => {
                *out += "\n";
                let deeper = indent + 1 + self.below(3);
                self.mapping(out, deeper, depth + 1);
            }
        }
    }

    fn list(&mut self, out: &mut String, indent: usize, depth: usize) {
        for _ in 0..=self.below(3) {
            *out += &format!("{}-", " ".repeat(indent));
            self.block(out, indent + 1, depth);
        }
    }

    fn mapping(&mut self, out: &mut String, indent: usize, depth: usize) {
        for _ in 0..=self.below(3) {
            *out += &format!("{}{}:", " ".repeat(indent), self.one(&KEYS));
            self.block(out, indent, depth);
        }
    }

    fn flow(&mut self, out: &mut String, depth: usize) {
        let (open, close) = [("[", "]"), ("{", "}")][self.below(2)];
        *out += open;
        for index in 0..self.below(4) {
            if index > 0 {
                *out += self.one(&[", ", ",", ",\n      "]);
            }
            if open == "{" {
                *out += &format!("{}: ", self.one(&KEYS));
            }
            if depth < 4 && self.below(4) == 0 {
                self.flow(out, depth + 1)
            } else {
                *out += self.one(&SCALARS)
            }
        }
        *out += close;
    }

    fn document(&mut self) -> String {
        let mut out = self
            .one(&["", "", "", "", "", "", "# remark\n", "---\n", "--- # x\n", "%YAML 1.2\n---\n"])
            .to_owned();
        match self.below(8) {
            0 => self.list(&mut out, 0, 0),
            1 => self.flow(&mut out, 0),
            _ => self.mapping(&mut out, 0, 0),
        }
        out
    }

    fn damaged(&mut self, text: &str) -> String {
        let mut letters: Vec<char> = text.chars().collect();
        for _ in 0..=self.below(3) {
            let at = self.below(letters.len() + 1);
            let end = (at + self.below(4)).min(letters.len());
            let piece = if self.below(3) == 0 { self.one(&SCALARS) } else { self.one(&PIECES) };
            letters.splice(at..end, piece.chars());
        }
        letters.into_iter().collect()
    }
}

#[test]
fn two_readers_of_yaml_agree_on_what_both_read() {
    let seed = std::env::var("ONLY1MCP_TEST_SEED").map_or(SEED, |seed| seed.parse().unwrap());
    println!("seed {seed}");
    let mut random = Random(seed);
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut differences = Vec::new();
    for number in 0..DOCUMENTS {
        let sound = random.document();
        let text = if number % 2 == 0 { sound } else { random.damaged(&sound) };
        let kinds = match compare(&text) {
            Opinion::Same => vec![AGREED],
            Opinion::Refused => vec!["neither reads it"],
            Opinion::Stricter(reasons) => reasons,
            Opinion::Known(reason) => vec![reason],
            Opinion::Unnamed(how) | Opinion::Different(how) => {
                differences.push(format!("{how}\n--- document {number}:\n{text}"));
                vec!["different"]
            }
        };
        for kind in kinds {
            *counts.entry(kind).or_default() += 1;
        }
    }
    for (kind, count) in &counts {
        println!("{count:6} {kind}");
    }
    differences.truncate(10);
    assert!(differences.is_empty(), "seed {seed}: {}", differences.join("\n\n"));
    assert!(counts[AGREED] > DOCUMENTS / 5, "hardly any document was read by both");
}

/// One document for each named difference: a difference that is gone must not stay named.
const EXAMPLES: [(&str, &str); 28] = [
    ("a: &x 1\n", "no anchors"),
    ("a: [&x a, *x]\n", "no aliases"),
    ("<<: {b: 1}\n", "no merge keys"),
    ("a: !!str 1\n", "no tags"),
    ("a: no\n", "no booleans of YAML 1.1"),
    ("%YAML 1.2\n---\na: 1\n", "no directives"),
    ("a: \"x\n\ty\"\n", "no tabs as indentation"),
    ("a: [b, ?c]\n", "no text that begins with ?"),
    ("a: b\u{200b}\n", "no characters that hide text"),
    ("a: 0X1F\n", "no numbers of another base than ten"),
    ("a: .inf\n", "no endless numbers"),
    ("~: a\n", "a key is text"),
    ("{}: a\n", "a key is no list and no mapping"),
    ("a: [-]\n", "a - in brackets is no text"),
    ("&aa:b }\n", "brackets match"),
    ("! &UUUUUdUUUUUUU?1#t+t 't+", "quotes are closed"),
    ("&a:' &+ |;\n2[+1", "behind | and > stands nothing but a remark"),
    ("[]#a", "a remark has a blank before it"),
    ("-\n|\n   a\n-\n", "a block text starts where its key stands"),
    ("a: 18446744073709551616\n", "a number of more than 64 bits"),
    ("{a\n b: c}\n", "a key over several lines in braces"),
    ("{a: :b}\n", "a word that begins with a colon in brackets"),
    ("[t:]\n", "a colon before a bracket"),
    ("- - \ta\n", "a tab between two words"),
    ("...\n{}\n", "the end of a document before its beginning"),
    ("a: |\n  b", UNENDED),
    (">-\na: b\n", ONLY_TEXT),
    ("a: 1", AGREED),
];

#[test]
fn each_named_difference_still_is_one() {
    let named = STRICTER.iter().chain(&ONLY_OURS).map(|(_, why)| *why).chain([UNENDED, ONLY_TEXT, AGREED]);
    let shown: BTreeSet<&str> = EXAMPLES.iter().map(|(_, why)| *why).collect();
    assert_eq!(shown, named.collect());
    let mut wrong = Vec::new();
    for (text, why) in EXAMPLES {
        let opinion = compare(text);
        let fits = match &opinion {
            Opinion::Same => why == AGREED,
            Opinion::Stricter(reasons) => reasons.contains(&why),
            Opinion::Known(reason) => *reason == why,
            Opinion::Refused | Opinion::Unnamed(_) | Opinion::Different(_) => false,
        };
        if !fits {
            wrong.push(format!("{text:?} is no example of {why:?}: {opinion:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
