//! Root and system mode: whom the launcher can become, and what it insists on before it serves.

use crate::support::plans::{Home, shell};
use crate::support::running::{ACCOUNT, Launcher, PERSON, Who, eventually, eventually_within, everyone};
use nix::sys::signal::Signal;
use std::os::unix::fs::{chown, symlink};
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

/// The first uid of the default pool, and the first that a server may get.
const POOL: u32 = 1_879_048_192;
const FIRST_SERVER: u32 = POOL + 16;

/// The modes with a pool, as far as this test may start them.
fn with_a_pool() -> impl Iterator<Item = Who> {
    everyone().into_iter().filter(|&who| who != Who::Person)
}

#[expect(clippy::disallowed_methods, reason = "tests start programs")]
fn run(words: &[&str]) -> Output {
    Command::new(words[0]).args(&words[1..]).output().unwrap()
}

/// Whether a process with every capability in the launcher's user namespace can become this uid or gid: what
/// a launcher that was taken over could do at most.
fn become_in_its_namespace(launcher: &Launcher, flag: &str, id: u32) -> Result<(), String> {
    let (pid, id) = (launcher.process.id().to_string(), id.to_string());
    let other = if flag == "--setuid" { ["--setgid", "1879048300"] } else { ["--setuid", "1879048300"] };
    let enter = ["nsenter", "--target", &pid, "--user"];
    let output = run(&[&enter[..], &other, &[flag, &id, "true"]].concat());
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() { Ok(()) } else { Err(said) }
}

#[test]
fn a_launcher_that_is_taken_over_can_become_nobody_outside_its_pool() {
    for who in with_a_pool() {
        let launcher = Launcher::start(who, Home::new(vec![shell("any", "exit 0")]));
        drop(launcher.proxy());
        let own = if who == Who::Root { POOL } else { ACCOUNT };
        // Root, the first person, another person, the reserved uids of which one is root mode's proxy.
        let outside = [0, 1000, PERSON, POOL + 1, FIRST_SERVER - 1, POOL + 65_536, u32::MAX - 1];
        for (flag, call) in [("--setuid", "setuid"), ("--setgid", "setgid")] {
            for id in outside {
                let control = format!("--re{}", call.trim_start_matches("set"));
                let outside = run(&["setpriv", &control, &id.to_string(), "--clear-groups", "true"]);
                assert!(outside.status.success(), "control: {outside:?}");
                let refused = become_in_its_namespace(&launcher, flag, id).unwrap_err();
                let expected = format!("nsenter: {call} failed: Invalid argument");
                assert_eq!(refused, expected, "{who:?} {id}");
            }
            for id in [own, FIRST_SERVER, POOL + 65_535] {
                assert_eq!(become_in_its_namespace(&launcher, flag, id), Ok(()), "{who:?} {id}");
            }
        }
    }
}

#[test]
fn the_launcher_keeps_six_capabilities_over_its_pool_and_none_over_the_machine() {
    for who in with_a_pool() {
        let launcher = Launcher::start(who, Home::new(vec![shell("any", "exit 0")]));
        drop(launcher.proxy());
        let proc = |file: &str| format!("/proc/{}/{file}", launcher.process.id());
        let status = std::fs::read_to_string(proc("status")).unwrap();
        let has =
            |line: &str| assert!(status.lines().any(|found| found == line), "{who:?}: {line}\n{status}");
        has("CapInh:\t0000000000000000");
        has("CapPrm:\t00000000000000eb");
        has("CapEff:\t00000000000000eb");
        has("CapBnd:\t00000000000000eb");
        has("CapAmb:\t0000000000000000");
        has("NoNewPrivs:\t1");
        has("Groups:\t ");
        let namespace = |path: &str| std::fs::read_link(path).unwrap();
        assert_ne!(namespace(&proc("ns/user")), namespace("/proc/self/ns/user"), "{who:?}");
        let map = std::fs::read_to_string(proc("uid_map")).unwrap();
        let own = if who == Who::Root { POOL } else { ACCOUNT };
        let words: Vec<&str> = map.split_whitespace().collect();
        let own = own.to_string();
        let expected = [own.as_str(), &own, "1", "1879048208", "1879048208", "65520"];
        assert_eq!(words, expected, "{who:?}");
    }
}

/// A launcher of system mode that reads this configuration with the real compiler.
fn reading(home: Home, config: &Path) -> Launcher {
    let real = Path::new(env!("CARGO_BIN_EXE_only1mcp-launcher")).with_file_name("only1mcp-compile");
    assert!(real.exists(), "build only1mcp-compile first: cargo build -p only1mcp-policy");
    let program = home.path.join("programs/only1mcp-compile");
    std::fs::remove_file(&program).unwrap();
    symlink(real, program).unwrap();
    Launcher::start_within(&[], Who::System, home, &["--config", config.to_str().unwrap()])
}

#[test]
fn a_configuration_of_somebody_else_is_refused_and_noticed_once_it_is_roots() {
    if !everyone().contains(&Who::System) {
        return;
    }
    let home = Home::new(Vec::new());
    let config = home.path.join("config.yaml");
    std::fs::write(&config, "servers: []\n").unwrap();
    chown(&config, Some(PERSON), None).unwrap();
    let launcher = reading(home, &config);
    let line = format!("belongs to uid {PERSON}, who could change it");
    eventually("the owner is named", || launcher.log().contains(&line));
    let status = std::fs::read_to_string(format!("/proc/{}/uid_map", launcher.process.id())).unwrap();
    assert!(status.contains("4294967295"), "it must not give up its view of owners yet: {status}");
    chown(&config, Some(0), None).unwrap();
    assert_eq!(launcher.proxy().machine.generation, 1);
    assert!(launcher.log().contains("generation 1 of the configuration is in force"), "{}", launcher.log());
}

/// The exit code of a launcher that must not serve, and what it says.
fn ended(mut launcher: Launcher) -> (Option<i32>, String) {
    eventually("it ends", || !Path::new(&format!("/proc/{}/exe", launcher.process.id())).exists());
    let status = launcher.process.wait().unwrap();
    (status.code(), launcher.log())
}

#[test]
fn it_does_not_serve_on_a_socket_that_is_open_to_others() {
    for who in with_a_pool().filter(|&who| who == Who::System) {
        let home = Home::new(vec![shell("any", "exit 0")]);
        let open = format!("chmod 0666 {0}/launch.sock && exec \"$@\"", home.path.display());
        // The socket is root's: opened for others before the launcher becomes the account.
        let launcher = Launcher::start_by_root(&["/bin/sh", "-c", &open, "sh"], who, home);
        let (code, log) = ended(launcher);
        assert_eq!(code, Some(77), "{log}");
        assert!(log.contains("launch.sock can be reached by others (mode 666)"), "{log}");
    }
}

#[test]
fn in_system_mode_it_must_not_be_root_at_its_start() {
    for who in with_a_pool().filter(|&who| who == Who::Root) {
        let home = Home::new(vec![shell("any", "exit 0")]);
        let launcher = Launcher::start_within(&[], who, home, &["--mode", "system"]);
        let (code, log) = ended(launcher);
        assert_eq!(code, Some(77), "{log}");
        assert!(log.contains("must not be root, not even at its start"), "{log}");
        assert!(log.contains("help: only1mcp-launcher.service starts it"), "{log}");
    }
}

#[test]
fn without_the_right_to_choose_uids_it_does_not_serve() {
    for who in with_a_pool().filter(|&who| who == Who::System) {
        let home = Home::new(vec![shell("any", "exit 0")]);
        let bare = ["setpriv", "--ambient-caps", "-all", "--inh-caps", "-all"];
        let (code, log) = ended(Launcher::start_within(&bare, who, home, &[]));
        assert_eq!(code, Some(77), "{log}");
        assert!(log.contains("id maps: EPERM"), "{log}");
    }
}

#[test]
fn what_the_compiler_printed_is_decoded_by_nobody_who_could_still_leave_the_pool() {
    for who in with_a_pool().filter(|&who| who == Who::System) {
        let garbage = || {
            let home = Home::new(Vec::new());
            home.compiler("echo no plan at all");
            home
        };
        let (code, log) = ended(Launcher::start(who, garbage()));
        assert_eq!(code, Some(65), "{log}");
        assert!(log.contains("only1mcp-compile printed no plan"), "{log}");
        assert!(log.contains("help: only1mcp-launcher and only1mcp-compile must be of one version"), "{log}");
        // One that cannot enter the namespace never comes to look at it.
        let bare = ["setpriv", "--ambient-caps", "-all", "--inh-caps", "-all"];
        let (code, log) = ended(Launcher::start_within(&bare, who, garbage(), &[]));
        assert_eq!(code, Some(77), "{log}");
        assert!(log.contains("id maps: EPERM") && !log.contains("printed no plan"), "{log}");
    }
}

#[test]
fn a_launcher_that_waits_for_a_sound_configuration_reads_again_at_sighup_and_unasked() {
    for who in with_a_pool().filter(|&who| who == Who::System) {
        for told in [true, false] {
            let home = Home::new(vec![shell("any", "exit 0")]);
            home.compiler("echo 'error: the program is not there yet' >&2; exit 65");
            let launcher = Launcher::start(who, home);
            eventually("it waits", || launcher.log().contains("no server is started before this is mended"));
            launcher.home.compiler(&format!("exec cat {}", launcher.home.path.join("plan").display()));
            if told {
                launcher.signal(Signal::SIGHUP);
            }
            let again = Duration::from_secs(30);
            eventually_within(again, "it reads again", || launcher.log().contains("generation 1 of the"));
            assert_eq!(launcher.proxy().machine.generation, 1);
        }
        let home = Home::new(Vec::new());
        home.compiler("exit 65");
        let launcher = Launcher::start(who, home);
        eventually("it waits", || launcher.log().contains("no server is started before this is mended"));
        launcher.signal(Signal::SIGTERM);
        let (code, log) = ended(launcher);
        assert_eq!(code, None, "{log}");
    }
}
