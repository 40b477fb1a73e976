//! A server that plants symbolic links where somebody outside might write one day, and swaps them all the time.
//!
//! Nobody outside may follow one: the launcher passes by the state directory of a server and opens nothing in it.

use crate::minimal;
use crate::support::plans::{Home, shell, variable};
use crate::support::running::{Launcher, eventually, everyone};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use only1mcp_wire::ServerPlan;
use only1mcp_wire::plan::SpawnLimits;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

const RESTARTS: usize = 200;

/// Names that a careless launcher or proxy would use in a directory like this.
const NAMES: [&str; 12] = [
    ".tmp",
    ".uids",
    ".uids.new",
    "log",
    "stderr.log",
    "launch.sock",
    "pid",
    "lock",
    "passwd",
    "cgroup.procs",
    "core",
    "shared",
];

/// The first one swaps until it is told to end, each further one ends at once.
const PLANTER: &str = "mkdir first || exit 0
exec python3 -c 'import os
targets = [os.environ[\"FILE\"], os.environ[\"DIRECTORY\"], \"/proc/self/fd/0\", \"../../../../../..\"]
def swap(name, target, number):
    # A directory that the launcher made goes first.
    if os.path.isdir(name) and not os.path.islink(name):
        os.rmdir(name)
    fresh = \"new%d\" % number
    os.symlink(target, fresh)
    os.rename(fresh, name)
print(\"swapping\", flush=True)
number = planted = 0
while True:
    for name in os.environ[\"NAMES\"].split():
        number += 1
        try:
            swap(name, targets[number // 12 % 4], number)
            planted += 1
        except OSError as e:
            failed = e
        if planted == 1000:
            print(\"swapped\", flush=True)
            planted += 1
        if number == 3000 and planted < 1000:
            print(failed, flush=True)'";

/// A file and a directory of the host that anybody may change, and nobody should.
struct Canaries {
    file: PathBuf,
    directory: PathBuf,
    watch: Inotify,
}

impl Canaries {
    fn new(home: &Path) -> Self {
        let directory = home.join("canary");
        let file = directory.join("file");
        std::fs::create_dir(&directory).unwrap();
        std::fs::write(&file, "sings").unwrap();
        std::fs::set_permissions(&directory, PermissionsExt::from_mode(0o777)).unwrap();
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o666)).unwrap();
        let watch = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC).unwrap();
        watch.add_watch(&file, AddWatchFlags::IN_ALL_EVENTS).unwrap();
        watch.add_watch(&directory, AddWatchFlags::IN_ALL_EVENTS).unwrap();
        Self { file, directory, watch }
    }

    /// How often somebody touched them since the last look: opening counts.
    fn touched(&self) -> usize {
        self.watch.read_events().map_or(0, |events| events.len())
    }

    /// Content, owner, mode, times and names.
    fn state(&self) -> String {
        let about = |path: &Path| {
            let found = std::fs::metadata(path).unwrap();
            (found.ino(), found.uid(), found.mode(), found.mtime_nsec(), found.ctime_nsec(), found.nlink())
        };
        let names = std::fs::read_dir(&self.directory).unwrap().count();
        let content = std::fs::read(&self.file).unwrap();
        let state = format!("{:?} {:?} {names} {content:?}", about(&self.file), about(&self.directory));
        // This looking was ours.
        self.touched();
        state
    }

    fn planter(&self) -> ServerPlan {
        let mut planter = shell("planter", PLANTER);
        planter.spawn = SpawnLimits { instances: 4, burst: 1000, per_minute: 6000 };
        planter.environment.push(variable("FILE", self.file.to_str().unwrap()));
        planter.environment.push(variable("DIRECTORY", self.directory.to_str().unwrap()));
        planter.environment.push(variable("NAMES", &NAMES.join(" ")));
        planter
    }
}

fn restarts_touch_nothing(start: impl FnOnce(Home) -> Launcher, mode: &str) {
    let home = Home::new(Vec::new());
    let canaries = Canaries::new(&home.path);
    home.write(vec![canaries.planter()]);
    let own = home.path.join("state/servers/planter/shared");
    let launcher = start(home);
    let mut proxy = launcher.proxy();
    let mut first = proxy.spawn("planter").unwrap();
    let said = (first.hear(), first.hear());
    assert_eq!(said, ("swapping".to_owned(), "swapped".to_owned()), "{}", launcher.log());
    let before = canaries.state();
    for round in 0..RESTARTS {
        let server = proxy.spawn("planter").unwrap_or_else(|refusal| panic!("{round}: {refusal:?}"));
        proxy.wait_for_exit(server.spawned.instance);
    }
    assert_eq!(canaries.touched(), 0, "{mode}: somebody followed a link");
    assert_eq!(canaries.state(), before, "{mode}");
    proxy.stop(&first, 0);
    proxy.wait_for_exit(first.spawned.instance);
    the_links_would_lead_there(&canaries, &own, &before);
}

/// The control: whoever follows such a link is seen, and changes the canary.
fn the_links_would_lead_there(canaries: &Canaries, own: &Path, before: &str) {
    let link = own.join("control");
    symlink(&canaries.file, &link).unwrap();
    drop(File::open(&link).unwrap());
    eventually("the watch sees an open", || canaries.touched() > 0);
    OpenOptions::new().append(true).open(&link).unwrap().write_all(b"!").unwrap();
    assert_ne!(canaries.state(), before);
}

#[test]
fn f18_links_swapped_during_two_hundred_restarts_are_followed_by_nobody() {
    for who in everyone() {
        restarts_touch_nothing(|home| Launcher::start(who, home), &format!("{who:?}"));
    }
}

#[test]
fn f18_links_swapped_during_two_hundred_restarts_are_followed_by_nobody_in_minimal_mode() {
    restarts_touch_nothing(minimal::start, "minimal");
}
