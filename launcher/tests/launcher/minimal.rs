//! Minimal mode: a machine without user namespaces, made by a namespace that allows no more of them.

use crate::ending::{marker, stubborn};
use crate::support::plans::{Home, plan, shell};
use crate::support::running::{Launcher, Who, alive, eventually};
use only1mcp_wire::{Exit, Mode, RefusalCode, Reply, ServerPlan, Wall};

/// Runs what follows where no user namespace can be made.
const BLOCKED: [&str; 8] = [
    "/usr/bin/unshare",
    "--user",
    "--map-current-user",
    "--keep-caps",
    "/bin/sh",
    "-c",
    "echo 0 > /proc/sys/user/max_user_namespaces && exec setpriv --ambient-caps -all --inh-caps -all -- \"$@\"",
    "blocked",
];

fn minimal(servers: Vec<ServerPlan>) -> Launcher {
    start(Home::new(servers))
}

/// A launcher in minimal mode.
pub fn start(home: Home) -> Launcher {
    Launcher::start_within(&BLOCKED, Who::Person, home, &["--allow-degraded"])
}

#[test]
fn without_the_flag_no_server_is_started() {
    let home = Home::new(vec![shell("any", "exit 0")]);
    let launcher = Launcher::start_within(&BLOCKED, Who::Person, home, &[]);
    let refusal = launcher.proxy().spawn("any").err().unwrap();
    assert_eq!((refusal.code, refusal.wall), (RefusalCode::WallMissing, Some(Wall::UserNamespace)));
    let log = launcher.log();
    assert!(
        log.contains("user namespace") && log.contains("help: allow unprivileged user namespaces"),
        "{log}"
    );
}

#[test]
fn with_the_flag_it_starts_and_says_which_walls_are_missing() {
    let launcher = minimal(vec![plan("echo", "/usr/bin/cat", &["cat"])]);
    let mut proxy = launcher.proxy();
    assert_eq!(proxy.machine.mode, Mode::Minimal);
    let mut server = proxy.spawn("echo").unwrap_or_else(|refusal| panic!("{refusal:?}\n{}", launcher.log()));
    server.say("hello");
    assert_eq!(server.hear(), "hello");
    let enforced = server.spawned.enforced;
    assert_eq!(enforced.mode, Mode::Minimal);
    assert!(enforced.walls.has(Wall::Landlock) && enforced.walls.has(Wall::Seccomp));
    assert!(!enforced.walls.has(Wall::UserNamespace) && !enforced.walls.has(Wall::NetworkNamespace));
}

#[test]
fn files_of_the_person_are_out_of_reach_and_its_own_directory_is_not() {
    let script = "pwd; echo \"$HOME\"; echo mine > own && cat own; cat ../../../../plan 2>&1; cat /proc/1/environ 2>&1; \
                  echo x 2>&1 > ../escape; (grep -c . /etc/shadow || cat /etc/hostname) 2>&1";
    let launcher = minimal(vec![shell("probe", script)]);
    let (said, _) = launcher.proxy().run("probe");
    let own = launcher.home.path.join("state/servers/probe/shared");
    let own = own.to_str().unwrap();
    assert!(said.starts_with(&format!("{own}\n{own}\nmine\n")), "{said}");
    assert_eq!(said.matches("Permission denied").count(), 5, "{said}");
}

#[test]
fn there_is_no_socket_and_nobody_else_to_signal() {
    let script = "
import errno, os, socket
def attempt(act):
    try:
        act(); return 'done'
    except OSError as e:
        return errno.errorcode[e.errno]
print([attempt(lambda f=f: socket.socket(f)) for f in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX)])
print(attempt(lambda: os.kill(os.getppid(), 0)), attempt(lambda: os.kill(int(os.environ['OTHER']), 9)))
print(attempt(socket.socketpair))";
    let mut probe = plan("probe", "/usr/bin/python3", &["python3", "-c", script]);
    // The test itself: as the same uid in one user namespace the kernel would allow it.
    probe.environment.push(crate::support::plans::variable("OTHER", &std::process::id().to_string()));
    let (said, _) = minimal(vec![probe]).proxy().run("probe");
    assert_eq!(said, "['EPERM', 'EPERM', 'EPERM']\ndone EPERM\ndone\n");
}

#[test]
fn a_stubborn_server_and_its_grandchildren_are_killed() {
    let marker = marker("minimal");
    let launcher = minimal(vec![stubborn(&marker), plan("echo", "/usr/bin/cat", &["cat"])]);
    let mut proxy = launcher.proxy();
    let mut neighbour = proxy.spawn("echo").unwrap();
    let mut server = proxy.spawn("stubborn").unwrap();
    assert_eq!(server.hear(), "up");
    eventually("both run", || alive(&marker) == 2);
    assert_eq!(proxy.stop(&server, 100), Reply::Stopping);
    assert_eq!(proxy.exit(server.spawned.instance), Exit::Signal(9));
    assert_eq!(alive(&marker), 0);
    neighbour.say("unharmed");
    assert_eq!(neighbour.hear(), "unharmed");
    eventually("only the neighbour is left", || launcher.children() == 1);
}

#[test]
fn a_stubborn_server_does_not_outlive_a_launcher_that_is_killed() {
    let marker = marker("orphaned");
    let script = format!("trap '' TERM HUP INT; echo up; exec -a {marker} sleep 1000");
    let mut launcher = minimal(vec![plan("stubborn", "/usr/bin/bash", &["bash", "-c", &script])]);
    let mut proxy = launcher.proxy();
    assert_eq!(proxy.spawn("stubborn").unwrap().hear(), "up");
    eventually("it runs", || alive(&marker) == 1);
    launcher.process.kill().unwrap();
    launcher.process.wait().unwrap();
    eventually("nothing is left", || alive(&marker) == 0);
}
