//! What systemd and the kernel hold around the two services.

use crate::machine::{self, LAUNCHER, PROXY, main_process, outcome, said, uid};
use crate::service;
use std::fs;

/// The figure of `systemd-analyze security`.
fn exposure(unit: &str) -> f32 {
    let said = said(&format!("systemd-analyze security --no-pager {unit}"));
    let line = said.lines().last().unwrap_or_default().to_owned();
    println!("{line}");
    let figure =
        line.split(": ").nth(1).and_then(|rest| rest.split(' ').next()).and_then(|word| word.parse().ok());
    figure.unwrap_or_else(|| panic!("no figure in {line:?}"))
}

#[test]
fn systemd_rates_the_exposure_of_both_units_low() {
    service::ready();
    let control = exposure("dbus.service");
    assert!(control > 5.0, "control: an ordinary service is rated worse, {control}");
    assert!(exposure(PROXY) <= 1.5);
    assert!(exposure(LAUNCHER) <= 3.0);
}

/// A line of `/proc/PID/status`.
fn status_line(pid: i32, name: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("read the status");
    let line =
        status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t")).unwrap_or_default();
    line.to_owned()
}

#[test]
fn the_proxy_has_no_right_and_an_empty_root() {
    service::ready();
    let pid = main_process(PROXY).unwrap().pid;
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(status_line(pid, set), "0000000000000000", "{set}");
    }
    assert_eq!((status_line(pid, "NoNewPrivs"), status_line(pid, "Seccomp")), ("1".into(), "2".into()));
    let account = uid("only1mcp").to_string();
    assert_eq!(status_line(pid, "Uid"), [account.as_str(); 4].join("\t"));
    let root = said(&format!("find /proc/{pid}/root/ -mindepth 1"));
    let expected = ["/run", "/run/only1mcp", "/run/only1mcp/launch.sock"];
    let found: Vec<&str> = root.lines().map(|path| path.split_once("/root").unwrap().1).collect();
    assert!(expected.iter().all(|path| found.iter().any(|found| found.ends_with(path))), "{found:?}");
    assert!(found.len() <= 3, "{found:?}");
    // One that systemd's own filter had refused would be missing here.
    let log = machine::shell("journalctl --no-pager -o cat -u only1mcp.service", "");
    let locked = log.lines().rev().find(|line| line.contains(" locked ")).unwrap_or_default();
    assert!(locked.contains("own_root=true"), "{locked}");
    assert!(locked.contains("landlock=Partly") || locked.contains("landlock=Fully"), "{locked}");
}

/// What a process with every capability in the launcher's user namespace is answered: the most that a launcher
/// that was taken over could be.
fn enter_as(id: u32, command: &str) -> Result<String, String> {
    let pid = main_process(LAUNCHER).unwrap().pid;
    let done =
        outcome(&format!("nsenter --target {pid} --user --mount --setuid {id} --setgid {id} {command}"));
    if done.code == 0 { Ok(done.stdout.trim().to_owned()) } else { Err(done.stderr.trim().to_owned()) }
}

#[test]
fn no_process_of_ours_can_become_a_uid_outside_the_pool() {
    service::ready();
    for (account, outside) in
        [("root", 0), ("a person", 1000), ("the proxy", uid("only1mcp")), ("nobody", 65_534)]
    {
        let control = outcome(&format!("setpriv --reuid {outside} --regid {outside} --clear-groups true"));
        assert_eq!(control.code, 0, "control: {control:?}");
        let refused = enter_as(outside, "true").unwrap_err();
        assert_eq!(refused, "nsenter: setgid failed: Invalid argument", "{account}");
    }
    for inside in [uid("only1mcp-launcher"), 1_879_048_208, 1_879_113_727] {
        assert_eq!(enter_as(inside, "id -u"), Ok(inside.to_string()), "twin");
    }
    let mains = [PROXY, LAUNCHER].map(|unit| main_process(unit).unwrap().pid);
    let machines = fs::read_link("/proc/1/ns/user").unwrap();
    for process in machine::ours() {
        let own = fs::read_link(format!("/proc/{}/ns/user", process.pid)).unwrap();
        assert_ne!(own, machines, "{process:?} is in the machine's user namespace");
        let map = fs::read_to_string(format!("/proc/{}/uid_map", process.pid)).unwrap();
        assert!(map.lines().all(|line| line.split_whitespace().nth(1) != Some("0")), "{process:?}: {map}");
    }
    assert!(mains.iter().all(|pid| machine::ours().iter().any(|process| process.pid == *pid)));
}

#[test]
fn a_launcher_that_is_taken_over_reads_no_secret_of_the_machine_and_changes_none_of_its_files() {
    service::ready();
    let launcher = uid("only1mcp-launcher");
    said("cat /etc/shadow");
    assert!(enter_as(launcher, "cat /etc/shadow").unwrap_err().contains("Permission denied"));
    assert!(enter_as(launcher, "cat /etc/only1mcp/config.yaml").is_ok(), "twin: what it must read");
    for path in ["/etc/only1mcp/config.yaml", "/usr/lib/only1mcp/only1mcp-init", "/var/lib/only1mcp/token"] {
        let refused = enter_as(launcher, &format!("touch {path}")).unwrap_err();
        assert!(
            refused.contains("Read-only file system") || refused.contains("Permission denied"),
            "{refused}"
        );
    }
    assert_eq!(enter_as(launcher, "touch /var/lib/only1mcp/servers/.twin"), Ok(String::new()), "twin");
    fs::remove_file("/var/lib/only1mcp/servers/.twin").unwrap();
    assert!(enter_as(launcher, "ls /home").unwrap_err().contains("Permission denied"), "homes are closed");
}

#[test]
fn only_the_proxys_account_and_root_can_speak_to_the_launcher() {
    service::ready();
    let connect = |account: &str| {
        let script = "import socket; s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.connect('/run/only1mcp/launch.sock')";
        let words =
            ["setpriv", "--reuid", account, "--regid", account, "--clear-groups", "python3", "-c", script];
        let mut command = std::process::Command::new(words[0]);
        harness::run::run(command.args(&words[1..]))
    };
    for account in ["only1mcp", "root"] {
        assert_eq!(connect(account).code, 0, "{account}");
    }
    for account in ["only1mcp-launcher", "only1mcp-test", "65534", "1879048208"] {
        let refused = connect(account);
        assert!(refused.stderr.contains("PermissionError: [Errno 13]"), "{account}: {refused:?}");
    }
    service::assert_all_answer();
}
