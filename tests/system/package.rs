//! The package: upgraded over a running service, removed and purged without leftovers.

use crate::after_restart::NOTE;
use crate::machine::{self, LAUNCHER, PROXY, main_process, outcome, said, shell};
use crate::service::{self, Build, endpoint, package};
use serde_json::json;
use std::fs;
use std::path::Path;

#[test]
fn an_upgrade_over_a_running_service_serves_again() {
    service::ready();
    service::call("notes__add_note", &json!({"text": NOTE}));
    let token = endpoint().token;
    let config = fs::read_to_string("/etc/only1mcp/config.yaml").unwrap();
    let before = machine::ours();
    assert!(service::version().ends_with("-1"), "{}", service::version());
    said(&format!("dpkg -i {}", package(Build::Second).display()));
    assert!(service::version().ends_with("-2"), "{}", service::version());
    service::wait_until_ready();
    service::assert_all_answer();
    let left: Vec<_> = before.iter().filter(|process| process.lives()).collect();
    assert!(left.is_empty(), "still of the old programs: {left:?}");
    for unit in [PROXY, LAUNCHER] {
        let program = fs::read_link(format!("/proc/{}/exe", main_process(unit).unwrap().pid)).unwrap();
        assert!(!program.display().to_string().contains("deleted"), "{unit} runs {}", program.display());
    }
    assert_eq!(endpoint().token, token, "clients keep their token");
    assert!(service::call("notes__list_notes", &json!({})).contains(NOTE), "servers keep their state");
    assert_eq!(fs::read_to_string("/etc/only1mcp/config.yaml").unwrap(), config);
    assert_eq!(machine::cgroups().iter().filter(|path| path.ends_with("supervisor")).count(), 1);
}

#[test]
fn a_pool_that_is_somebody_elses_or_not_the_units_is_refused_with_the_mend() {
    service::ready();
    let configure = || outcome("/var/lib/dpkg/info/only1mcp.postinst configure");
    assert_eq!(configure().code, 0, "twin");
    let own = fs::read_to_string("/etc/subuid").unwrap();
    let moved = own.replace("only1mcp-launcher:1879048192:", "only1mcp-launcher:1779048192:");
    let shared = format!("{own}mallory:1879048300:10\n");
    for (text, why) in [
        (
            &moved,
            "gives only1mcp-launcher only1mcp-launcher:1779048192:65536, and the launcher's pool is 1879048192:65536",
        ),
        (
            &shared,
            "/etc/subuid promises numbers of the pool 1879048192-1879113727 to others: mallory:1879048300:10",
        ),
    ] {
        fs::write("/etc/subuid", text).unwrap();
        let refused = configure();
        fs::write("/etc/subuid", &own).unwrap();
        assert!(refused.code == 1 && refused.stderr.contains(why), "{refused:?}");
        assert!(refused.stderr.contains("help: give only1mcp-launcher a free range"), "{refused:?}");
    }
    said("useradd --no-create-home --uid 1879048400 only1mcp-vm-stranger");
    let refused = configure();
    said("userdel only1mcp-vm-stranger");
    assert!(
        refused.code == 1 && refused.stderr.contains("the number of only1mcp-vm-stranger"),
        "{refused:?}"
    );
    assert_eq!(configure().code, 0);
}

/// Runs in a call of its own, after everything else: see `tests/system/guest`.
#[test]
fn removal_ends_everything_and_a_purge_leaves_nothing() {
    service::ready();
    let before = machine::ours();
    said("dpkg --remove only1mcp");
    let left: Vec<_> = before.iter().filter(|process| process.lives()).collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(Path::new("/var/lib/only1mcp/servers/notes").exists(), "a removal keeps the state");
    assert_eq!(shell("ls /run/only1mcp 2>/dev/null || true", ""), "");
    let known = said("systemctl list-units --all --plain --no-legend only1mcp.* only1mcp-[lra]*");
    assert_eq!(known, "", "no unit of ours is loaded");
    // The administrator's own, which a package leaves alone.
    fs::remove_dir_all(format!("/etc/systemd/system/{LAUNCHER}.d")).unwrap();
    said("dpkg --purge only1mcp");
    let named = said("find / -xdev -name *only1mcp* -not -path /srv/* -not -path /stage/*");
    let not_ours = |path: &&str| !path.contains("only1mcp-vm") && !path.contains("only1mcp-test");
    let leftovers: Vec<&str> =
        named.lines().filter(not_ours).filter(|path| !path.starts_with("/srv/only1mcp-parts")).collect();
    assert_eq!(leftovers, Vec::<&str>::new());
    for file in ["/etc/passwd", "/etc/group", "/etc/subuid", "/etc/subgid"] {
        let text = fs::read_to_string(file).unwrap();
        let ours =
            text.lines().filter(|line| line.starts_with("only1mcp:") || line.contains("only1mcp-launcher"));
        assert_eq!(ours.count(), 0, "{file}: {text}");
    }
    let owned = said("find / -xdev ( -nouser -o -nogroup ) -not -path /srv/* -not -path /stage/*");
    assert_eq!(owned, "", "no file belongs to an account that is gone");
    assert_eq!(outcome("dpkg-query --show only1mcp").code, 1);
}
