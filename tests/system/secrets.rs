//! The credentials of a server: where they can be found, by whom.

use crate::machine::{self, LAUNCHER, PROXY, main_process, shell};
use crate::service;
use serde_json::json;
use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::FileExt;

/// Looks, as the account $1, for the lines on standard input: in every file that changed since they were made (just
/// after the unit that mounts the parts), and in every command line and environment. Root names the files, so that
/// one in a directory that the account cannot list counts, too. Whoever writes a file moves its time of change;
/// nobody can move it back.
const SEARCH: &str = r#"
needles=$(cat)
look() { printf %s "$needles" | setpriv --reuid $1 --regid $1 --clear-groups grep -lsaF -f - -- "${@:2}"; }
files=()
while IFS= read -r -d '' file; do files+=("$file"); done < <(
  find / /run /run/credentials/* /tmp /dev/shm -xdev -type f -cnewer /etc/systemd/system/parts.service -print0)
for ((first = 0; first < ${#files[@]}; first += 200)); do look $1 "${files[@]:first:200}"; done
look $1 /proc/[0-9]*/environ /proc/[0-9]*/cmdline
true"#;

/// The places where `account` finds a planted credential.
fn found_by(account: &str) -> BTreeSet<String> {
    let script = format!("set -- {account}\n{SEARCH}");
    shell(&script, &service::credentials().join("\n")).lines().map(str::to_owned).collect()
}

#[test]
fn no_file_and_no_environment_readable_by_the_proxy_holds_a_credential() {
    service::ready();
    // The server it is for has it.
    let environment = service::call("everything__get-env", &json!({}));
    assert!(
        service::credentials().iter().all(|credential| environment.contains(credential)),
        "{environment}"
    );
    let by_root = found_by("root");
    let files = [
        "/var/lib/only1mcp/credentials/planted",
        "/var/lib/only1mcp/credentials/by-root",
        "/run/credentials/only1mcp-launcher.service/of-systemd",
    ];
    let files = BTreeSet::from(files.map(str::to_owned));
    assert!(by_root.is_superset(&files), "control: {by_root:?}");
    assert!(
        by_root.iter().any(|path| path.ends_with("/environ")),
        "control: a server's environment: {by_root:?}"
    );
    assert_eq!(found_by("only1mcp"), BTreeSet::new());
    // Nor may the launcher's account look into a server's environment from outside.
    assert_eq!(found_by("only1mcp-launcher"), files);
    println!("root finds it in {} places, the proxy's account in none", by_root.len());
}

#[test]
fn the_proxys_memory_does_not_hold_it() {
    service::ready();
    // A server may say in an answer what it holds, as one did for another test; then it has passed through here.
    machine::said(&format!("systemctl restart {PROXY}"));
    service::wait_until_ready();
    service::assert_all_answer();
    let needles = service::credentials();
    let holds = |pid: i32| {
        let holds = |part: &Vec<u8>| needles.iter().any(|needle| contains(part, needle.as_bytes()));
        memory(pid).iter().any(holds)
    };
    let everything = service::status().unwrap()["servers"][0]["pid"].as_i64().unwrap();
    let inside = machine::servers().into_iter().find(|process| i64::from(process.parent) == everything);
    assert!(holds(inside.expect("a server below its init").pid), "control: its server's memory does");
    assert!(!holds(main_process(PROXY).unwrap().pid), "the proxy's memory");
}

#[test]
fn the_account_of_the_proxy_reads_no_configuration_and_no_state() {
    service::ready();
    let read = |account: &str, path: &str| {
        machine::outcome(&format!("setpriv --reuid {account} --regid {account} --clear-groups cat {path}"))
    };
    for path in [
        "/etc/only1mcp/config.yaml",
        "/var/lib/only1mcp/credentials/planted",
        "/var/lib/only1mcp/servers/.uids",
    ] {
        assert_eq!(read("only1mcp-launcher", path).code, 0, "twin: the launcher's account reads {path}");
        let refused = read("only1mcp", path);
        assert!(refused.code == 1 && refused.stderr.contains("Permission denied"), "{path}: {refused:?}");
    }
    let launcher = main_process(LAUNCHER).unwrap().pid;
    let refused = read("only1mcp", &format!("/proc/{launcher}/environ"));
    assert!(refused.stderr.contains("Permission denied"), "{refused:?}");
}

fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}

/// The readable memory of a process, mapping by mapping.
fn memory(pid: i32) -> Vec<Vec<u8>> {
    const MAPPING_BYTES_MAX: u64 = 256 << 20;
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).expect("read the maps");
    let memory = File::open(format!("/proc/{pid}/mem")).expect("open the memory");
    let range = |line: &str| {
        let mut fields = line.split(' ');
        let (begin, end) = fields.next()?.split_once('-')?;
        let (begin, end) = (u64::from_str_radix(begin, 16).ok()?, u64::from_str_radix(end, 16).ok()?);
        // Programs and libraries are files: they were searched.
        let written = fields.next()?.starts_with("rw");
        (written && end - begin <= MAPPING_BYTES_MAX).then_some((begin, end))
    };
    let ranges = maps.lines().filter_map(range);
    let read = |(begin, end): (u64, u64)| {
        let mut bytes = vec![0; usize::try_from(end - begin).ok()?];
        memory.read_exact_at(&mut bytes, begin).ok()?;
        Some(bytes)
    };
    let found: Vec<Vec<u8>> = ranges.filter_map(read).collect();
    assert!(!found.is_empty(), "no memory of {pid} could be read");
    found
}
