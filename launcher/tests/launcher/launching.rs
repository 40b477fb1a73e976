//! One server at a time through every wall, as root and as an ordinary user.

use crate::support::plans::{Home, plan};
use crate::support::running::{Launcher, everyone};
use only1mcp_wire::Exit;

#[test]
fn a_native_program_runs_behind_every_wall_and_answers() {
    for who in everyone() {
        let launcher = Launcher::start(who, Home::new(vec![plan("echo", "/usr/bin/cat", &["cat"])]));
        let mut proxy = launcher.proxy();
        let mut server =
            proxy.spawn("echo").unwrap_or_else(|refusal| panic!("{who:?}: {refusal:?}\n{}", launcher.log()));
        server.say("hello");
        assert_eq!(server.hear(), "hello", "{who:?}");
        server.stdin = None;
        assert_eq!(proxy.exit(server.spawned.instance), Exit::Status(0), "{who:?}");
    }
}
