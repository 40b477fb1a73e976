//! Hostile documents against the real `only1mcp-compile`.

use super::{BLANK, Driven};

const REFUSED: &str = "refused with line and column";
const NEIGHBOUR: &str = "the valid neighbour is accepted";
const LOAD: &str = "it would be read otherwise: the neighbour is";
const YAML: &str = "YAML 1.1";

/// In the order of the catalogue.
pub const DRIVEN: &[Driven] = &[
    Driven {
        id: "F07",
        what: "a working directory of /proc, by a link, relative or with ..",
        wall: "the checker",
        answer: REFUSED,
        control: LOAD,
        twin: NEIGHBOUR,
        reference: "CVE-2024-21626",
        test: "policy/tests/language.rs::y01_to_y14_configurations_too",
        ..BLANK
    },
    Driven {
        id: "Y01",
        what: "unknown and misspelt keys",
        wall: "the checker knows every key",
        answer: REFUSED,
        control: LOAD,
        twin: NEIGHBOUR,
        reference: "deny_unknown_fields",
        test: "policy/tests/language.rs::y01_to_y13_policies_that_ask_for_more_than_they_say_are_refused_where_they_do",
        ..BLANK
    },
    Driven {
        id: "Y02",
        what: "keys given twice",
        wall: "strict reader",
        answer: REFUSED,
        control: LOAD,
        twin: NEIGHBOUR,
        reference: YAML,
        test: "policy/tests/language.rs::y01_to_y13_policies_that_ask_for_more_than_they_say_are_refused_where_they_do",
        ..BLANK
    },
    Driven {
        id: "Y03",
        what: "no, off, 0777, 1_000, 1e3, .inf, 0x10, 1:30",
        wall: "strict booleans and numbers",
        answer: REFUSED,
        control: LOAD,
        twin: NEIGHBOUR,
        reference: "the Norway problem",
        test: "policy/tests/language.rs::y01_to_y13_policies_that_ask_for_more_than_they_say_are_refused_where_they_do",
        ..BLANK
    },
    Driven {
        id: "Y04",
        what: "alias bombs",
        wall: "no anchors; budgets",
        answer: "refused",
        control: "a list without aliases is accepted",
        twin: NEIGHBOUR,
        reference: "billion laughs",
        test: "policy/tests/language.rs::y04_y05_bombs_are_refused_within_the_compilers_own_limits",
        ..BLANK
    },
    Driven {
        id: "Y05",
        what: "60,000 brackets, mappings, lists",
        wall: "budgets; limits of the compiler's process",
        answer: "refused",
        control: "a shallow document is accepted",
        twin: NEIGHBOUR,
        reference: "quadratic parsers",
        test: "policy/tests/language.rs::y04_y05_bombs_are_refused_within_the_compilers_own_limits",
        ..BLANK
    },
    Driven {
        id: "Y06",
        what: "anchors, aliases, merge keys, tags, several documents, directives, NUL, bidi",
        wall: "no such features",
        answer: REFUSED,
        control: LOAD,
        twin: NEIGHBOUR,
        reference: YAML,
        test: "policy/tests/language.rs::y01_to_y13_policies_that_ask_for_more_than_they_say_are_refused_where_they_do",
        ..BLANK
    },
    Driven {
        id: "Y07",
        what: "relative, ~, $HOME, .., wildcards, trailing slash, links, absent",
        wall: "paths are absolute, plain and real",
        answer: REFUSED,
        control: LOAD,
        twin: NEIGHBOUR,
        reference: "CVE-2025-53109",
        test: "policy/tests/language.rs::y01_to_y13_policies_that_ask_for_more_than_they_say_are_refused_where_they_do",
        ..BLANK
    },
    Driven {
        id: "Y08",
        what: "write grants over /, /etc, /usr, /proc, the configuration, the programs, the state",
        wall: "deny floor",
        answer: REFUSED,
        control: LOAD,
        twin: NEIGHBOUR,
        reference: "mandatory deny paths of srt",
        test: "policy/tests/language.rs::y01_to_y13_policies_that_ask_for_more_than_they_say_are_refused_where_they_do",
        ..BLANK
    },
    Driven {
        id: "Y09",
        what: "policy files that others may write, links, pipes, directories, too large",
        wall: "the opener's checks",
        answer: "refused",
        control: "the same file with a sound mode is accepted",
        twin: NEIGHBOUR,
        reference: "ssh StrictModes",
        test: "policy/tests/language.rs::y09_a_policy_that_somebody_else_could_have_written_is_refused",
        ..BLANK
    },
    Driven {
        id: "Y10",
        what: "asking for less than the floor: seccomp, user, capabilities, system calls, host network",
        wall: "no syntax",
        answer: REFUSED,
        control: LOAD,
        twin: NEIGHBOUR,
        reference: "this project's own threat model",
        test: "policy/tests/language.rs::y01_to_y13_policies_that_ask_for_more_than_they_say_are_refused_where_they_do",
        ..BLANK
    },
    Driven {
        id: "Y11",
        what: "limits that are negative, endless, too large, without or with the wrong unit",
        wall: "ranges and units",
        answer: REFUSED,
        control: LOAD,
        twin: NEIGHBOUR,
        reference: "units confusion",
        test: "policy/tests/language.rs::y01_to_y13_policies_that_ask_for_more_than_they_say_are_refused_where_they_do",
        ..BLANK
    },
    Driven {
        id: "Y12",
        what: "an empty list",
        wall: "allow lists: empty means nothing",
        answer: "the same plan as without it",
        control: "one entry makes one mount more",
        twin: NEIGHBOUR,
        reference: "srt README",
        test: "policy/tests/language.rs::y12_an_empty_list_gives_what_its_absence_gives",
        ..BLANK
    },
    Driven {
        id: "Y13",
        what: "wildcards for all or nearly all hosts",
        wall: "the checker",
        answer: REFUSED,
        control: LOAD,
        twin: NEIGHBOUR,
        reference: "public suffixes",
        test: "policy/tests/language.rs::y01_to_y13_policies_that_ask_for_more_than_they_say_are_refused_where_they_do",
        ..BLANK
    },
    Driven {
        id: "Y14",
        what: "two policies of one name, other case, hidden files, copies of editors",
        wall: "only NAME.yaml",
        answer: "refused: there is no such policy",
        control: "with its exact name it is found",
        twin: NEIGHBOUR,
        reference: "editor backups",
        test: "policy/tests/language.rs::y14_only_the_exact_name_is_the_policy",
        ..BLANK
    },
    Driven {
        id: "Y15",
        what: "random policies and narrower ones",
        wall: "monotonic compiler",
        answer: "every act of the narrower is one of the wider",
        control: "the wider ones do allow more",
        twin: "both are accepted",
        reference: "property testing",
        test: "policy/src/check/tests/properties.rs::y15_whatever_a_random_narrower_policy_allows_the_wider_one_allows",
        ..BLANK
    },
];
