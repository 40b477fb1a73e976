//! A server that not even SIGKILL ends: it waits in the kernel, uninterruptibly, for a file system that is frozen.

use crate::support::plans::{Home, plan, shell};
use crate::support::running::{ACCOUNT, Launcher, PERSON, Who, eventually, everyone};
use only1mcp_wire::plan::SpawnLimits;
use only1mcp_wire::{Exit, RefusalCode, Reply};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// The launcher's uid in root mode: the first of the default pool.
const LAUNCHER: u32 = 1_879_048_192;

/// A file system of its own for one server, thawed and unmounted at the end whatever happens.
struct Frozen {
    home: PathBuf,
    place: PathBuf,
}

#[expect(clippy::disallowed_methods, reason = "tests start programs")]
fn run(words: &[&str]) -> bool {
    Command::new(words[0]).args(&words[1..]).status().is_ok_and(|status| status.success())
}

impl Frozen {
    fn mount(home: &Path, server: &str, owner: u32) -> Self {
        let place = home.join("state/servers").join(server);
        std::fs::create_dir_all(&place).unwrap();
        let image = home.join("image");
        std::fs::File::create(&image).unwrap().set_len(16 << 20).unwrap();
        let (image, target) = (image.to_str().unwrap(), place.to_str().unwrap());
        assert!(run(&["/sbin/mkfs.ext4", "-q", image]), "mkfs.ext4 is needed");
        assert!(run(&["/usr/bin/mount", "-o", "loop", image, target]), "a loop device is needed");
        for path in [place.clone(), place.parent().unwrap().to_owned()] {
            chown(path, Some(owner), Some(owner)).unwrap();
        }
        Self { home: home.to_owned(), place }
    }

    fn freeze(&self) {
        assert!(run(&["/usr/sbin/fsfreeze", "-f", self.place.to_str().unwrap()]));
    }

    fn thaw(&self) -> bool {
        run(&["/usr/sbin/fsfreeze", "-u", self.place.to_str().unwrap()])
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.thaw();
        }
        let place = self.place.to_str().unwrap();
        let gone = (0..100).any(|_| {
            std::thread::sleep(Duration::from_millis(50));
            run(&["/usr/bin/umount", place])
        });
        assert!(gone || std::thread::panicking(), "{place} is still mounted");
        // What stood in the way of the home's own end.
        let _ = std::fs::remove_dir_all(&self.home);
    }
}

/// Whether a child of this process waits where no signal reaches it.
fn waits_in_the_kernel(init: u32) -> bool {
    let children = std::fs::read_to_string(format!("/proc/{init}/task/{init}/children")).unwrap_or_default();
    children.split_whitespace().any(|pid| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        status.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('D'))
    })
}

#[test]
fn r17_a_server_that_cannot_be_killed_holds_up_nobody_and_is_not_replaced_before_it_is_gone() {
    if !nix::unistd::geteuid().is_root() {
        println!("not root: nobody else may freeze a file system");
        return;
    }
    for who in everyone() {
        let mut stuck = shell("stuck", "echo up; while :; do echo x > file; done");
        stuck.spawn = SpawnLimits { instances: 1, burst: 9, per_minute: 60 };
        let home = Home::new(vec![stuck, plan("echo", "/usr/bin/cat", &["cat"])]);
        let owner = match who {
            Who::Root => LAUNCHER,
            Who::Person => PERSON,
            Who::System => ACCOUNT,
        };
        // Dropped last: the launcher's servers hold it.
        let frozen = Frozen::mount(&home.path, "stuck", owner);
        let launcher = Launcher::start(who, home);
        let mut proxy = launcher.proxy();
        let mut neighbour = proxy.spawn("echo").unwrap();
        let mut server = proxy.spawn("stuck").unwrap();
        assert_eq!(server.hear(), "up");
        frozen.freeze();
        eventually("it waits in the kernel", || waits_in_the_kernel(server.spawned.pid));
        assert_eq!(proxy.stop(&server, 0), Reply::Stopping, "{who:?}");
        let until = Instant::now() + Duration::from_secs(1);
        let mut answers = 0;
        while Instant::now() < until {
            neighbour.say("and you?");
            assert_eq!(neighbour.hear(), "and you?");
            assert_eq!(proxy.spawn("stuck").err().unwrap().code, RefusalCode::TooManyInstances);
            answers += 1;
        }
        assert!(waits_in_the_kernel(server.spawned.pid), "it was not stuck after all");
        println!("{who:?}: {answers} answers of the neighbour while it is stuck");
        assert!(frozen.thaw());
        assert_eq!(proxy.wait_for_exit(server.spawned.instance), Exit::Signal(9), "{who:?}");
        assert_eq!(proxy.spawn("stuck").unwrap().hear(), "up", "{who:?}");
        drop(proxy);
        eventually("all are gone", || launcher.children() == 0);
        drop(launcher);
    }
}
