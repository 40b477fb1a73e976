//! A hostile proxy, a stranger or a hostile server against the launcher itself.

use super::{BLANK, Driven};

const SPAWNS: &str = "an honest proxy starts a server";
const CLOSED: &str = "connection closed, told in the log";
const DESIGN: &str = "this project's own threat model";
const CONTAINERS: &str = "CVE-2024-21626";

/// In the order of the catalogue.
pub const DRIVEN: &[Driven] = &[
    Driven {
        id: "F07.cwd",
        what: "a working directory by a descriptor of /proc, or by a link that the server planted in its own directory",
        wall: "all descriptors are closed; the working directory must lie in the new root",
        answer: "launch refused at the step of the working directory, or the new root",
        control: "the link is followed: it leads to the new root",
        twin: "a real directory of its own",
        reference: CONTAINERS,
        test: "launcher/tests/launcher/races.rs::f07_no_working_directory_leads_out_neither_by_a_descriptor_nor_by_a_link_of_the_server",
        ..BLANK
    },
    Driven {
        id: "F18",
        what: "links planted in the state directory and swapped during 200 restarts",
        wall: "nobody outside opens anything in a state directory",
        answer: "a watched file and directory of the host are not even opened",
        control: "whoever follows such a link is seen and changes the file",
        twin: "200 restarts succeed",
        reference: "CVE-2026-1386, CVE-2026-8052",
        test: "launcher/tests/launcher/planting.rs::f18_links_swapped_during_two_hundred_restarts_are_followed_by_nobody",
        ..BLANK
    },
    Driven {
        id: "F18.minimal",
        what: "the same in minimal mode, where the directory for temporary files lies in the state directory",
        wall: "no rule is made from what a server left there",
        answer: "a watched file and directory of the host are not even opened",
        control: "whoever follows such a link is seen and changes the file",
        twin: "200 restarts succeed",
        reference: "CVE-2026-1386, CVE-2026-8052",
        test: "launcher/tests/launcher/planting.rs::f18_links_swapped_during_two_hundred_restarts_are_followed_by_nobody_in_minimal_mode",
        ..BLANK
    },
    Driven {
        id: "F19",
        what: "a granted directory swapped for a link to a secret one, during 200 launches",
        wall: "openat2 without symbolic links; device and inode of the checked plan",
        answer: "the checked directory, or ELOOP, or ESTALE",
        control: "both outcomes occur",
        twin: "unswapped, the granted file is read",
        reference: "CVE-2021-30465",
        test: "launcher/tests/launcher/races.rs::f19_a_source_that_is_swapped_for_a_link_during_the_launch_shows_the_checked_one_or_nothing",
        ..BLANK
    },
    Driven {
        id: "P09.daemon",
        what: "a twice forked daemon in its own session, deaf to signals, outlives the stop",
        wall: "pid namespace; cgroup.kill",
        answer: "dead when the end is told",
        control: "it runs before the stop",
        twin: "a server that listens to SIGTERM ends by it",
        reference: "cgroup.kill",
        test: "launcher/tests/launcher/ending.rs::p09_a_daemon_that_left_its_session_and_its_parent_is_dead_when_the_end_is_told",
        ..BLANK
    },
    Driven {
        id: "P10",
        what: "a grandchild keeps the server's output open after its end",
        wall: "pid namespace",
        answer: "end of file at once",
        control: "the grandchild holds both streams",
        twin: "the server's own last line is read",
        reference: "orphans that hold pipes",
        test: "launcher/tests/launcher/ending.rs::p10_the_end_of_a_server_closes_the_streams_that_its_grandchild_holds",
        ..BLANK
    },
    Driven {
        id: "P12",
        what: "STOP of an ended server whose process id another process got",
        wall: "random instance ids; pidfds",
        answer: "refused: no such instance",
        control: "the kernel gives the same process id to a bystander",
        twin: "the next instance is stopped",
        reference: "CVE-2019-6133",
        test: "launcher/tests/launcher/races.rs::p12_a_stop_never_reaches_the_process_that_got_the_old_process_id",
        ..BLANK
    },
    Driven {
        id: "I01",
        what: "connect to the launcher from inside a sandbox",
        wall: "mount namespace",
        answer: "ENOENT",
        control: "the harness connects from outside",
        twin: "its own socket inside",
        reference: DESIGN,
        test: "launcher/tests/launcher/strangers.rs::i01_a_server_finds_no_socket_of_the_launcher_from_inside",
        ..BLANK
    },
    Driven {
        id: "I01.user",
        what: "connect as another user",
        wall: "the socket's mode; the peer's uid",
        answer: "connection closed, told in the log",
        control: "the socket's mode lets it connect",
        twin: SPAWNS,
        reference: DESIGN,
        test: "launcher/tests/launcher/strangers.rs::i01_another_user_is_sent_away_and_told_in_the_log",
        ..BLANK
    },
    Driven {
        id: "I02",
        what: "a second proxy while the first is connected",
        wall: "one connection",
        answer: "sent away",
        control: "alone it would be served",
        twin: "the first goes on",
        reference: DESIGN,
        test: "launcher/tests/launcher/wire.rs::a_second_proxy_is_sent_away_and_the_first_stays",
        ..BLANK
    },
    Driven {
        id: "I02.heir",
        what: "a connection is handed to another process, and the one that made it ends",
        wall: "the peer's pidfd",
        answer: "connection closed",
        control: "HELLO was answered on it",
        twin: SPAWNS,
        reference: "SO_PEERPIDFD",
        test: "launcher/tests/launcher/strangers.rs::i02_a_connection_ends_with_the_process_that_made_it_whoever_else_holds_it",
        ..BLANK
    },
    Driven {
        id: "I03",
        what: "unknown operations, versions, magics, lengths; every request cut at every byte and lengthened",
        wall: "fixed layout; bounded decoder",
        answer: CLOSED,
        control: "the same request whole is answered",
        twin: SPAWNS,
        reference: "OpenSSH's monitor",
        test: "launcher/tests/launcher/hostile.rs::i03_whatever_is_malformed_ends_the_connection_and_is_told_a_bounded_number_of_times",
        ..BLANK
    },
    Driven {
        id: "I04",
        what: "names that are paths, flags, homographs, files of the kernel",
        wall: "names are [a-z0-9][a-z0-9-]{0,31}",
        answer: CLOSED,
        control: "a name that could be a server is refused and the connection stays",
        twin: SPAWNS,
        reference: "cgroup delegation",
        test: "launcher/tests/launcher/hostile.rs::i04_no_name_that_is_a_path_or_a_file_of_the_kernel_names_anything",
        ..BLANK
    },
    Driven {
        id: "I05",
        what: "a command, a variable, a path, a uid after the fields of SPAWN; a partition that looks like a path",
        wall: "no such field; a partition becomes hexadecimal digits",
        answer: CLOSED,
        control: "the same SPAWN without it starts the server",
        twin: SPAWNS,
        reference: DESIGN,
        test: "launcher/tests/launcher/hostile.rs::i05_there_is_no_field_for_a_command_a_path_a_variable_or_a_uid",
        ..BLANK
    },
    Driven {
        id: "I06",
        what: "forged generations, instance ids of others, one request three times under one id",
        wall: "ownership by connection; random ids",
        answer: "refused, nothing stops",
        control: "its own instance is stopped",
        twin: "the untouched server answers",
        reference: "replay",
        test: "launcher/tests/launcher/hostile.rs::i06_forged_generations_ids_and_repeated_requests_get_only_what_is_ones_own",
        ..BLANK
    },
    Driven {
        id: "I07",
        what: "up to 253 descriptors with a message, before and after the connection is accepted",
        wall: "SO_PASSRIGHTS=0; no room for control data",
        answer: "EPERM at the sender, or connection closed and nothing kept",
        control: "the kernel carries as many (unit test of the peer)",
        twin: "the same message without them",
        reference: "LWN 1023085",
        test: "launcher/tests/launcher/descriptors.rs::i07_no_descriptor_ever_arrives_however_many_and_however_early_they_are_sent",
        ..BLANK
    },
    Driven {
        id: "I07.kept",
        what: "the same on a kernel that carries them",
        wall: "no room for control data: the kernel installs none",
        answer: "connection closed, no descriptor kept",
        control: "they were sent",
        twin: "a message without them is read",
        reference: "16 of each message leaked here once",
        test: "launcher/src/peer.rs::i07_descriptors_that_the_kernel_carries_end_the_connection_and_are_not_taken",
        ..BLANK
    },
    Driven {
        id: "I08",
        what: "5,000 SPAWNs as fast as they are answered",
        wall: "token bucket; cap of instances; bounded log",
        answer: "refused: started too often",
        control: "the bucket's content starts",
        twin: "a neighbour answers in between",
        reference: DESIGN,
        test: "launcher/tests/launcher/hostile.rs::i08_a_flood_of_spawns_starts_what_the_bucket_holds_and_others_are_served",
        ..BLANK
    },
    Driven {
        id: "I09",
        what: "the proxy ends and leaves its servers",
        wall: "end of the connection",
        answer: "all are killed",
        control: "they run before",
        twin: "another proxy comes",
        reference: DESIGN,
        test: "launcher/tests/launcher/ending.rs::nothing_is_left_when_the_proxy_goes_away_and_another_may_come",
        ..BLANK
    },
    Driven {
        id: "I10",
        what: "the launcher is killed",
        wall: "parent-death signal; pid namespaces",
        answer: "nothing is left",
        control: "they run before",
        twin: "the next start (lifecycle suite)",
        reference: DESIGN,
        test: "launcher/tests/launcher/ending.rs::nothing_is_left_when_the_launcher_is_killed",
        ..BLANK
    },
    Driven {
        id: "I11",
        what: "1,000 STOPs against servers that are just ending",
        wall: "pidfds; one burial",
        answer: "one end each; no descriptor, zombie or cgroup more",
        control: "both ends occur",
        twin: SPAWNS,
        reference: "descriptor leaks",
        test: "launcher/tests/launcher/races.rs::i11_a_thousand_stops_against_ends_leave_no_descriptor_no_zombie_and_one_end_each",
        ..BLANK
    },
    Driven {
        id: "I12",
        what: "something else among the descriptors of a reply",
        wall: "fresh pipes",
        answer: "two pipe ends to read, one to write, one pidfd",
        control: "the launcher keeps no stream",
        twin: "the server answers over them",
        reference: CONTAINERS,
        test: "launcher/tests/launcher/descriptors.rs::i12_a_spawn_hands_out_three_pipe_ends_and_a_pidfd_and_nothing_else",
        ..BLANK
    },
    Driven {
        id: "I13",
        what: "a proxy that asks and never reads, while its servers write",
        wall: "sends never block; bounded outbox",
        answer: CLOSED,
        control: "974 answers go out first",
        twin: SPAWNS,
        reference: DESIGN,
        test: "launcher/tests/launcher/hostile.rs::i13_a_proxy_that_never_reads_is_cut_off_and_holds_nobody_up",
        ..BLANK
    },
    Driven {
        id: "I14",
        what: "1,000 damaged requests",
        wall: "bounded decoder",
        answer: "answered, refused or cut off",
        control: "the undamaged ones are answered",
        twin: SPAWNS,
        reference: "fuzzing of sudo-rs and Firecracker",
        test: "launcher/tests/launcher/hostile.rs::i14_a_thousand_damaged_requests_leave_a_launcher_that_serves",
        ..BLANK
    },
    Driven {
        id: "I15",
        what: "a process under the proxy's lock: execute, open, trace, signal, connect, spawn",
        wall: "no new privileges, Landlock, seccomp, own root; the wire",
        answer: "the table of the threat model",
        control: "the same acts without the lock",
        twin: "naming a configured server",
        reference: DESIGN,
        test: "security/tests/taken_over/main.rs::try_all",
        ..BLANK
    },
    Driven {
        id: "I16",
        what: "the plan is swapped while servers are spawned",
        wall: "one reading, one generation",
        answer: "the old plan or the new, as a whole",
        control: "both occur",
        twin: SPAWNS,
        reference: "time of check, time of use",
        test: "launcher/tests/launcher/races.rs::i16_a_configuration_swapped_during_spawns_is_the_old_or_the_new_and_never_a_mixture",
        ..BLANK
    },
    Driven {
        id: "I16.document",
        what: "the document is swapped while it is compiled",
        wall: "each file is read once, from one descriptor",
        answer: "one of both documents, as a whole",
        control: "both occur",
        twin: "unswapped, it is compiled",
        reference: "time of check, time of use",
        test: "policy/tests/language.rs::i16_a_document_swapped_while_it_is_compiled_is_one_of_both_as_a_whole",
        ..BLANK
    },
];
