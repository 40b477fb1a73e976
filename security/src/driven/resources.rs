//! Hostile servers beside a good one, whose answers keep coming.

use super::{BLANK, Driven};

const GOOD: &str = "the good server's answers keep coming";
const STOPPED: &str = "server stopped with a reason, and started again";
const HOLDS: &str = "without the bound memory or the log would grow with the flood";

/// In the order of the catalogue.
pub const DRIVEN: &[Driven] = &[
    Driven {
        id: "R11",
        what: "a flood on standard output without a newline",
        wall: "bounded line",
        answer: STOPPED,
        control: HOLDS,
        twin: GOOD,
        reference: "Firecracker's note on serial output",
        test: "tests/bad_input/hostile.rs::r11_a_flood_without_a_newline_stops_that_server_alone_and_holds_little_memory",
        ..BLANK
    },
    Driven {
        id: "R11.dribble",
        what: "one byte at a time and never a newline",
        wall: "time of a request",
        answer: "error that names the time",
        control: "the call would wait for ever",
        twin: GOOD,
        reference: "slow loris",
        test: "tests/bad_input/hostile.rs::r11_a_server_that_dribbles_is_given_up_after_the_time_of_the_request",
        ..BLANK
    },
    Driven {
        id: "R11.deaf",
        what: "a server that reads nothing, asked with 48 MiB",
        wall: "bounded queue",
        answer: "each call ends with an error",
        control: "more than pipe and queue hold",
        twin: GOOD,
        reference: "back-pressure",
        test: "tests/bad_input/hostile.rs::r11_a_server_that_reads_nothing_holds_up_only_those_who_ask_it",
        ..BLANK
    },
    Driven {
        id: "R12",
        what: "a flood on standard error",
        wall: "read away; bounded tail",
        answer: "under 64 KiB of log",
        control: HOLDS,
        twin: "the flooding server answers",
        reference: "unbounded logs",
        test: "tests/bad_input/hostile.rs::r12_a_flood_on_standard_error_is_read_away_and_kept_short",
        ..BLANK
    },
    Driven {
        id: "R13",
        what: "answers 100,000 levels deep, without UTF-8, given twice",
        wall: "bounded nesting; one answer per request",
        answer: "the call fails or gets its first answer",
        control: "a sound answer comes through",
        twin: "its lists still come",
        reference: "serde_json's recursion limit",
        test: "tests/bad_input/hostile.rs::r13_answers_that_are_too_deep_no_text_or_come_twice_are_refused_and_the_next_one_works",
        ..BLANK
    },
    Driven {
        id: "R14",
        what: "escapes, line ends and bidi in output, errors, standard error",
        wall: "everything shown is made printable",
        answer: "written out as \\u{1b} and the like",
        control: "--json has them as the server sent them",
        twin: "the text is told",
        reference: "RUSTSEC-2025-0055",
        test: "tests/bad_input/hostile.rs::r14_what_a_server_says_never_steers_a_terminal_or_forges_a_line_of_the_log",
        ..BLANK
    },
    Driven {
        id: "R14.document",
        what: "the same in names, keys and commands of a document",
        wall: "findings are made printable",
        answer: "written out",
        control: "the names reach the finding",
        twin: "the valid neighbour is accepted",
        reference: "Trojan Source",
        test: "policy/tests/language.rs::y01_to_y14_configurations_too",
        ..BLANK
    },
    Driven {
        id: "R15",
        what: "a crash loop at start, and one after the greeting",
        wall: "doubling waits",
        answer: "a handful of starts in six seconds",
        control: "the first restarts follow at once",
        twin: GOOD,
        reference: "systemd's StartLimit",
        test: "tests/bad_input/hostile.rs::r15_a_crash_loop_slows_down_and_says_so_a_few_times",
        ..BLANK
    },
    Driven {
        id: "R16",
        what: "a server deaf to the end of its input and to SIGTERM, taken out of the configuration",
        wall: "SIGKILL after the grace",
        answer: "killed with its grandchild",
        control: "it ran, grandchild included",
        twin: GOOD,
        reference: "MCP's shutdown",
        test: "tests/bad_input/hostile.rs::r16_a_server_that_ignores_every_request_to_end_is_killed_with_its_daemon",
        ..BLANK
    },
    Driven {
        id: "R17",
        what: "a server that waits in the kernel where not even SIGKILL reaches it",
        wall: "the launcher waits for nobody; an instance counts until it is buried",
        answer: "the stop is under way; no second instance",
        control: "its process is in state D on a frozen file system",
        twin: "a neighbour answers; once thawed it is dead and starts again",
        reference: "hung network file systems",
        test: "launcher/tests/launcher/stuck.rs::r17_a_server_that_cannot_be_killed_holds_up_nobody_and_is_not_replaced_before_it_is_gone",
        ..BLANK
    },
];
