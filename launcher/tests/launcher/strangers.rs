//! Who else knocks at the launcher's socket: other users, servers from inside, processes that were handed a connection.

use crate::support::plans::{Home, plan, shell, variable};
use crate::support::running::{Launcher, PERSON, Who, eventually, everyone};
use nix::unistd::geteuid;
use only1mcp_wire::Exit;
use only1mcp_wire::message::VERSION;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// Connects to the socket, says HELLO, leaves the connection to a child, and ends when told to.
const HEIR: &str = "
import os, socket, struct, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.connect(sys.argv[1])
s.send(b'o1mL' + struct.pack('<HHII', int(sys.argv[2]), 1, 1, 0))
print('greeted' if s.recv(4096)[:4] == b'o1mL' else 'refused', flush=True)
if os.fork() == 0:
    s.settimeout(10)
    try:
        print('cut off' if s.recv(4096) == b'' else 'served', flush=True)
    except ConnectionResetError:
        print('cut off', flush=True)
    except TimeoutError:
        print('still connected', flush=True)
    os._exit(0)
sys.stdin.read()
os._exit(0)";

#[expect(clippy::disallowed_methods, reason = "tests start programs")]
fn heir(launcher: &Launcher) -> Child {
    let uid = launcher.uid.to_string();
    let mut command = Command::new("/usr/bin/setpriv");
    if geteuid().is_root() {
        command.args(["--reuid", &uid, "--regid", &uid, "--clear-groups"]);
    }
    command.args(["--", "/usr/bin/python3", "-c", HEIR]).arg(launcher.socket()).arg(VERSION.to_string());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
}

#[test]
fn i02_a_connection_ends_with_the_process_that_made_it_whoever_else_holds_it() {
    for who in everyone() {
        let launcher = Launcher::start(who, Home::new(vec![shell("good", "exit 0")]));
        let mut first = heir(&launcher);
        let mut said = BufReader::new(first.stdout.take().unwrap()).lines().map(Result::unwrap);
        assert_eq!(said.next().as_deref(), Some("greeted"));
        // Both ends of the connection are still there when the first one ends.
        drop(first.stdin.take());
        first.wait().unwrap();
        assert_eq!(said.next().as_deref(), Some("cut off"), "{who:?}");
        assert_eq!(launcher.proxy().run("good").1, Exit::Status(0), "{who:?}");
    }
}

#[test]
fn i01_a_server_finds_no_socket_of_the_launcher_from_inside() {
    let script = "
import errno, os, socket
def attempt(path):
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
            s.connect(path)
            return 'connected'
    except OSError as e:
        return errno.errorcode[e.errno]
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as own:
    own.bind('/tmp/own'); own.listen()
    print(attempt(os.environ['LAUNCHER']), attempt('/proc/1/root' + os.environ['LAUNCHER']), attempt('/tmp/own'))";
    for who in everyone() {
        let home = Home::new(Vec::new());
        let mut server = plan("inside", "/usr/bin/python3", &["python3", "-c", script]);
        server.environment.push(variable("LAUNCHER", home.path.join("launch.sock").to_str().unwrap()));
        home.write(vec![server]);
        let launcher = Launcher::start(who, home);
        // The control is this very proxy: from outside the socket is there, and it serves.
        assert_eq!(launcher.proxy().run("inside").0, "ENOENT ENOENT connected\n", "{who:?}");
    }
}

#[test]
fn i01_another_user_is_sent_away_and_told_in_the_log() {
    if !geteuid().is_root() {
        println!("not root: nobody else to be");
        return;
    }
    let launcher = Launcher::start(Who::Person, Home::new(vec![shell("good", "exit 0")]));
    for stranger in [1, 12_345, PERSON + 1, 65_534] {
        let other = crate::support::proxy::Proxy::connect(&launcher.socket(), stranger);
        assert!(other.receive().is_none(), "{stranger}");
        let line = format!("refused a connection: a process of uid {stranger} connected");
        eventually("it is told", || launcher.log().contains(&line));
    }
    assert_eq!(launcher.proxy().run("good").1, Exit::Status(0));
}
