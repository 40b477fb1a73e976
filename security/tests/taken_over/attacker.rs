//! The process that was taken over: it locks itself as the proxy does, then does what it is told by nobody.

use crate::acts;
use crate::stage::Targets;
use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};
use std::io::Write;
use std::path::Path;

/// The word by which this program becomes the attacker.
pub const WORD: &str = "--taken-over";

/// Tries everything; prints one `act\tanswer` per line.
pub fn run(words: &[String]) {
    let targets = Targets::parse(words);
    if let Some(uid) = targets.lock_as {
        lock(Path::new(&targets.launcher), uid);
    }
    let mut out = String::new();
    for (act, answer) in acts::try_all(&targets) {
        out.push_str(&format!("{act}\t{answer}\n"));
    }
    std::io::stdout().write_all(out.as_bytes()).unwrap();
}

/// As `only1mcp serve` does it, in its order: leave the root, become the proxy's user, lock.
fn lock(launcher: &Path, uid: u32) {
    let left = only1mcp::lock::root::leave(launcher);
    left.root.unwrap();
    if Uid::current().is_root() {
        setgroups(&[]).unwrap();
        let (user, group) = (Uid::from_raw(uid), Gid::from_raw(uid));
        setresgid(group, group, group).unwrap();
        setresuid(user, user, user).unwrap();
    }
    only1mcp::lock::lock(launcher).unwrap();
}
