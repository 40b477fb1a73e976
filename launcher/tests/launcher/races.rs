//! What an attacker can only win by being quick: ends against stops, replaced sources, replaced configurations,
//! recycled process ids.

use crate::support::plans::{Home, bind, plan, rule, shell};
use crate::support::proxy::Proxy;
use crate::support::running::{Launcher, Who, eventually, everyone};
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use nix::sys::signal::Signal;
use only1mcp_wire::plan::{BindKind, ServerPlan, SpawnLimits};
use only1mcp_wire::{Exit, RefusalCode, Reply, Step};
use std::collections::BTreeSet;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const STOP_ROUNDS: u32 = 1000;
const SOURCE_ROUNDS: usize = 200;
const RELOAD_ROUNDS: usize = 150;
/// How often somebody else may take the wanted process id before it counts as a failure.
const REUSE_TRIES: usize = 200;

fn often(plan: ServerPlan) -> ServerPlan {
    ServerPlan { spawn: SpawnLimits { instances: 8, burst: 20_000, per_minute: 60_000 }, ..plan }
}

#[test]
fn i11_a_thousand_stops_against_ends_leave_no_descriptor_no_zombie_and_one_end_each() {
    for who in everyone() {
        // Ends by itself when its input does.
        let launcher = Launcher::start(who, Home::new(vec![often(plan("echo", "/usr/bin/cat", &["cat"]))]));
        let mut proxy = launcher.proxy();
        proxy.run("echo");
        let before = launcher.descriptors();
        let (mut by_itself, mut stopped) = (0, 0);
        for round in 0..STOP_ROUNDS {
            let mut server = proxy.spawn("echo").unwrap();
            let instance = server.spawned.instance;
            // Every other one is about to end by itself when the stop comes, sooner or later.
            if round % 2 == 0 {
                server.stdin = None;
                std::thread::sleep(Duration::from_micros(u64::from(round) * 4));
            }
            match proxy.stop(&server, round % 3) {
                Reply::Stopping => {}
                Reply::Refused(refusal) => assert_eq!(refusal.code, RefusalCode::UnknownInstance),
                other => panic!("{other:?}"),
            }
            match proxy.exit(instance) {
                Exit::Status(0) => by_itself += 1,
                Exit::Signal(9 | 15) => stopped += 1,
                other => panic!("{other:?}"),
            }
        }
        println!("{who:?}: {by_itself} ended by themselves, {stopped} by the stop");
        assert!(by_itself > 0 && stopped > 0, "no race: {by_itself}, {stopped}");
        assert_eq!(
            (launcher.descriptors(), launcher.children(), launcher.cgroups()),
            (before, 0, 0),
            "{who:?}"
        );
    }
}

/// A directory of the test with a file that says what it is; whose it is does not matter.
fn directory(home: &Path, name: &str) -> std::path::PathBuf {
    let path = home.join(name);
    std::fs::create_dir(&path).unwrap();
    std::fs::write(path.join("file"), name).unwrap();
    path
}

#[test]
fn f19_a_source_that_is_swapped_for_a_link_during_the_launch_shows_the_checked_one_or_nothing() {
    for who in everyone() {
        let home = Home::new(Vec::new());
        let granted = directory(&home.path, "granted");
        directory(&home.path, "secret");
        let link = home.path.join("link");
        symlink(home.path.join("secret"), &link).unwrap();
        let path = granted.to_str().unwrap();
        let mut reader = often(shell("reader", &format!("cat {path}/file")));
        reader.binds.push(bind(path, BindKind::Directory));
        reader.rules.push(rule(path, false, false));
        home.write(vec![reader]);
        let launcher = Launcher::start(who, home);
        let mut proxy = launcher.proxy();
        // The control: unswapped, it is shown.
        assert_eq!(proxy.run("reader").0, "granted", "{}", launcher.log());
        let swapping = AtomicBool::new(true);
        let (mut shown, mut refused) = (0, 0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while swapping.load(Ordering::Relaxed) {
                    renameat2(AT_FDCWD, &granted, AT_FDCWD, &link, RenameFlags::RENAME_EXCHANGE).unwrap();
                }
            });
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                for _ in 0..SOURCE_ROUNDS {
                    match one_read(&mut proxy) {
                        Some(text) if text == "granted" => shown += 1,
                        Some(text) => panic!("it read {text:?}"),
                        None => refused += 1,
                    }
                }
            }));
            // Whatever came of it, the swapping ends.
            swapping.store(false, Ordering::Relaxed);
            outcome.unwrap_or_else(|panic| resume_unwind(panic));
        });
        println!("{who:?}: {shown} saw the checked directory, {refused} did not start");
        assert!(shown > 0 && refused > 0, "no race: {shown}, {refused}");
    }
}

/// What one server read; nothing if it was refused for the one reason it may be.
fn one_read(proxy: &mut Proxy) -> Option<String> {
    match proxy.spawn("reader") {
        Ok(mut server) => {
            let mut text = String::new();
            server.stdout.read_to_string(&mut text).unwrap();
            proxy.exit(server.spawned.instance);
            Some(text)
        }
        Err(refusal) => {
            let why = (refusal.step, refusal.errno);
            let expected = [(Some(Step::OpenSource), libc::ELOOP), (Some(Step::SourceChanged), libc::ESTALE)];
            assert!(expected.contains(&why), "{refusal:?}");
            None
        }
    }
}

#[test]
fn i16_a_configuration_swapped_during_spawns_is_the_old_or_the_new_and_never_a_mixture() {
    for who in everyone() {
        let version = |number: u8| ServerPlan {
            digest: [number; 32],
            ..often(shell("good", &format!("echo {number}")))
        };
        let launcher = Launcher::start(who, Home::new(vec![version(1)]));
        let mut proxy = launcher.proxy();
        let (mut seen, mut stale) = (BTreeSet::new(), 0);
        for round in 0..RELOAD_ROUNDS {
            match round % 8 {
                // Half a plan, as an editor without rename would leave it for a moment.
                7 => std::fs::write(launcher.home.path.join("plan"), [1, 0, 0]).unwrap(),
                number => launcher.home.write(vec![version(u8::try_from(number % 2 + 1).unwrap())]),
            }
            launcher.signal(Signal::SIGHUP);
            match proxy.spawn("good") {
                Ok(mut server) => {
                    let number = server.spawned.digest[0];
                    assert_eq!(server.hear(), number.to_string(), "the digest is of another plan");
                    proxy.take_news();
                    proxy.wait_for_exit(server.spawned.instance);
                    seen.insert(number);
                }
                Err(refusal) => {
                    assert_eq!(refusal.code, RefusalCode::StaleGeneration);
                    stale += 1;
                }
            }
            proxy.take_news();
        }
        println!(
            "{who:?}: versions {seen:?}, {stale} refused as stale, generation {}",
            proxy.machine.generation
        );
        assert_eq!(seen.len(), 2, "it was never swapped");
        assert!(launcher.log().contains("only1mcp-compile printed no plan"), "{}", launcher.log());
    }
}

/// A process of the test that gets this id, if the kernel lets us ask for it.
#[expect(clippy::disallowed_methods, reason = "tests start programs")]
fn innocent_as(pid: u32) -> Child {
    for _ in 0..REUSE_TRIES {
        std::fs::write("/proc/sys/kernel/ns_last_pid", (pid - 1).to_string()).unwrap();
        let mut child = Command::new("/usr/bin/sleep").arg("99").spawn().unwrap();
        if child.id() == pid {
            return child;
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    panic!("process id {pid} was not to be had");
}

#[test]
fn p12_a_stop_never_reaches_the_process_that_got_the_old_process_id() {
    for who in everyone() {
        let launcher = Launcher::start(who, Home::new(vec![often(plan("echo", "/usr/bin/cat", &["cat"]))]));
        let mut proxy = launcher.proxy();
        let mut old = proxy.spawn("echo").unwrap();
        old.stdin = None;
        assert_eq!(proxy.exit(old.spawned.instance), Exit::Status(0));
        // Only root of the machine can ask for a process id.
        let mut innocent = nix::unistd::geteuid().is_root().then(|| innocent_as(old.spawned.pid));
        let mut ids = BTreeSet::from([old.spawned.instance]);
        for _ in 0..50 {
            match proxy.stop(&old, 0) {
                Reply::Refused(refusal) => assert_eq!(refusal.code, RefusalCode::UnknownInstance),
                other => panic!("{other:?}"),
            }
            let mut next = proxy.spawn("echo").unwrap();
            assert!(ids.insert(next.spawned.instance), "an instance id came twice");
            next.stdin = None;
            proxy.exit(next.spawned.instance);
        }
        let signalled = nix::sys::wait::waitid(
            nix::sys::wait::Id::PIDFd(old.pidfd.as_fd()),
            nix::sys::wait::WaitPidFlag::WEXITED | nix::sys::wait::WaitPidFlag::WNOHANG,
        );
        assert_eq!(
            signalled,
            Err(nix::errno::Errno::ECHILD),
            "the old pidfd stands for the old process alone"
        );
        if let Some(innocent) = &mut innocent {
            assert_eq!(innocent.try_wait().unwrap(), None, "{who:?}: the innocent one was killed");
            innocent.kill().unwrap();
            innocent.wait().unwrap();
        }
    }
}

#[test]
fn f07_no_working_directory_leads_out_neither_by_a_descriptor_nor_by_a_link_of_the_server() {
    for who in everyone() {
        let at = |name: &str, directory: &str| {
            let script = "pwd; ls -d etc root home srv granted secret plan 2>/dev/null";
            ServerPlan { working_directory: directory.into(), ..shell(name, script) }
        };
        let descriptors = (3..12).map(|number| (format!("fd{number}"), format!("/proc/self/fd/{number}")));
        let plans: Vec<_> = descriptors.map(|(name, directory)| at(&name, &directory)).collect();
        let names: Vec<String> = plans.iter().map(|plan| plan.name.to_string()).collect();
        let links = [
            ("up", "../../../../../.."),
            ("one", "/proc/1/root"),
            ("own", "/proc/self/root/.."),
            ("fd", "/proc/self/fd/3"),
        ];
        let linked = links.iter().map(|(name, _)| at(&format!("link-{name}"), "/state/link"));
        let mut all: Vec<_> = plans.into_iter().chain(linked).collect();
        all.push(at("twin", "/state/real"));
        let launcher = Launcher::start(who, Home::new(all));
        let place = |server: &str| launcher.home.path.join("state/servers").join(server).join("shared");
        let mut proxy = launcher.proxy();
        for name in names {
            let refusal = proxy.spawn(&name).err().expect("it started");
            assert_eq!(refusal.step, Some(Step::WorkingDirectory), "{name}");
            assert!(matches!(refusal.errno, libc::ENOENT | libc::ENOTDIR | libc::EACCES), "{refusal:?}");
        }
        for (name, target) in links {
            let server = format!("link-{name}");
            // The first start makes the directory; then the server would plant its link.
            assert_eq!(proxy.spawn(&server).err().unwrap().step, Some(Step::WorkingDirectory));
            symlink(target, place(&server).join("link")).unwrap();
            match proxy.spawn(&server) {
                Err(refusal) => assert_eq!(refusal.step, Some(Step::WorkingDirectory), "{target}"),
                Ok(mut started) => {
                    let mut seen = String::new();
                    started.stdout.read_to_string(&mut seen).unwrap();
                    assert_eq!(seen, "/\netc\n", "{who:?}: {target} leads to the new root");
                }
            }
        }
        assert!(proxy.spawn("twin").is_err());
        std::fs::create_dir(place("twin").join("real")).unwrap();
        if who == Who::Root {
            std::fs::set_permissions(place("twin").join("real"), PermissionsExt::from_mode(0o755)).unwrap()
        }
        eventually("all are buried", || launcher.children() == 0);
        let mut twin = proxy.spawn("twin").unwrap();
        assert_eq!(twin.hear(), "/state/real");
    }
}
