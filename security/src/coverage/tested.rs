//! What of the catalogue a test of its own holds.

use super::Tested;

/// In the order of the catalogue.
pub const TESTED: &[Tested] = &[
    Tested {
        id: "P09",
        what: "outlive the stop in a session of its own, deaf to every signal but one",
        test: "launcher/tests/launcher/ending.rs::a_stubborn_server_is_killed_with_all_it_started",
    },
    Tested {
        id: "C06",
        what: "run as root, as the proxy or as another server does",
        test: "tests/operator/walls.rs::two_servers_share_no_namespace_and_in_root_mode_no_uid",
    },
    Tested {
        id: "C07",
        what: "be given the uid, and with it the files, of a server that was there before",
        test: "launcher/src/state/uids.rs::a_uid_is_free_again_only_when_its_directory_is_gone",
    },
    Tested {
        id: "R02",
        what: "start threads without end",
        test: "tests/limits/processes.rs::r02_a_thread_bomb_meets_the_process_limit",
    },
    Tested {
        id: "R03",
        what: "take memory without end",
        test: "tests/limits/memory.rs::r03_anonymous_memory_ends_at_the_memory_limit",
    },
    Tested {
        id: "R04",
        what: "escape the memory limit into swap",
        test: "tests/limits/memory.rs::r04_a_server_cannot_escape_its_memory_limit_into_swap",
    },
    Tested {
        id: "R18",
        what: "keep a disk to itself",
        test: "tests/limits/disks.rs::r18_a_writer_is_slowed_down_to_its_rate",
    },
    Tested {
        id: "L09",
        what: "have a secret of a command line shown; whoever writes one there is warned",
        test: "policy/src/redact.rs::secrets_in_arguments_are_left_out",
    },
    Tested {
        id: "L10",
        what: "find a secret in what is shown of a configuration; core files are R19",
        test: "tests/operator/documents.rs::show_prints_a_configuration_that_check_accepts_without_any_secret",
    },
];
