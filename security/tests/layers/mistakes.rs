//! The mutation run: mistakes somebody could make in the launcher, and the attempts that must notice each.

use std::collections::BTreeSet;
use std::fmt::Write;

use only1mcp_escape::catalogue::Mode;

use crate::runs::{Lacking, Runs};

/// One mistake.
pub struct Mistake {
    /// In words.
    pub what: &'static str,
    /// How the launcher is told to make it.
    pub lacking: Lacking,
    /// What must turn red in user mode; `None` where user mode has nothing to get wrong.
    user: Option<&'static [&'static str]>,
    /// What must turn red in root mode, where that is tried.
    root: Option<&'static [&'static str]>,
}

impl Mistake {
    const fn of_user(what: &'static str, lacking: Lacking, named: &'static [&'static str]) -> Self {
        Self { what, lacking, user: Some(named), root: None }
    }

    const fn of_root(what: &'static str, lacking: Lacking, named: &'static [&'static str]) -> Self {
        Self { what, lacking, user: None, root: Some(named) }
    }

    /// The modes in which it is made.
    pub fn modes(&self) -> impl Iterator<Item = Mode> + use<> {
        let user = self.user.map(|_| Mode::User);
        user.into_iter().chain(self.root.map(|_| Mode::Root))
    }

    /// What must turn red.
    pub fn named(&self, mode: Mode) -> &'static [&'static str] {
        if mode == Mode::Root { self.root } else { self.user }.unwrap_or_default()
    }
}

/// All of them.
pub const MISTAKES: &[Mistake] = &[
    Mistake::of_user(
        "no system call filter at all",
        &["seccomp"],
        &["C01", "K02", "K06", "K08", "K10", "K11", "N03", "N05"],
    ),
    Mistake::of_user(
        "the filter allows what it does not list",
        &["filter that allows by default"],
        &["F16", "K09", "K10", "K11", "K12", "N05"],
    ),
    Mistake::of_user(
        "the filter looks at no argument",
        &["filter that looks at no argument"],
        &["F23", "K05", "K11", "K13", "K21", "N03", "N04", "N05"],
    ),
    Mistake::of_user(
        "the filter compares 64 bits where the kernel looks at 32",
        &["filter that compares 64 bits"],
        &["K13"],
    ),
    Mistake::of_user(
        "clone3 is refused with EPERM, so that no thread can be made",
        &["clone3 answered with EPERM"],
        &["K04", "twin of K04", "twin of C03"],
    ),
    Mistake::of_user(
        "the second filter is forgotten",
        &["no filter for what does not exist"],
        &["C01", "K03", "K04", "K08", "twin of K04"],
    ),
    Mistake::of_user("close_range is forgotten", &["closed descriptors"], &["F06.any"]),
    Mistake::of_user(
        "close_range is forgotten, and a directory was opened without close-on-exec",
        &["directory opened without close-on-exec", "closed descriptors"],
        &["F06", "F06.any"],
    ),
    Mistake::of_user("CLONE_NEWNET is missing", &["network namespace"], &["L04", "N01", "N02", "N18"]),
    Mistake::of_user("CLONE_NEWIPC is missing", &["ipc namespace"], &["ipc namespace"]),
    Mistake::of_user("CLONE_NEWUTS is missing", &["uts namespace"], &["L03"]),
    Mistake::of_user(
        "CLONE_NEWPID is missing, and the host's /proc is bound",
        &["pid namespace"],
        &["C10", "L04", "P03", "P04", "P15", "P16"],
    ),
    Mistake::of_user("/proc is mounted without subset=pid", &["small /proc"], &["C10", "L03", "L04"]),
    Mistake::of_user("/proc is mounted without hidepid", &["hidden processes"], &["P20"]),
    Mistake::of_user(
        "Landlock is taken as best effort, and nothing is enforced",
        &["landlock"],
        &["C04", "F11", "F26"],
    ),
    Mistake::of_user("the old root stays mounted behind the new one", &["old root left mounted"], &["F02"]),
    Mistake::of_user("/usr is bound writable", &["writable /usr"], &["F17", "mount of /usr"]),
    Mistake::of_user("grants are bound writable", &["read-only mounts"], &["F08", "F10"]),
    Mistake::of_user("mounts allow set-uid programs", &["nosuid mounts"], &["F21.mount"]),
    Mistake {
        root: Some(&["F01.beside", "twin of F01.beside"]),
        ..Mistake::of_user(
            "the directory of all servers' states is bound",
            &["state of all servers bound"],
            &["F01.beside"],
        )
    },
    Mistake::of_root(
        "all servers share one uid, and the directory of all their states is bound",
        &["own uid", "state of all servers bound"],
        &["F01.beside", "own uid"],
    ),
    Mistake::of_root("all servers share one uid", &["own uid"], &["own uid"]),
    Mistake::of_user("init can be traced", &["undumpable init"], &["P20"]),
    Mistake::of_user("the launcher's environment is handed down", &["inherited environment"], &["L01"]),
    Mistake {
        root: Some(&[NOTHING_STARTS]),
        ..Mistake::of_user(
            "capabilities are dropped before the uid changes",
            &["capabilities dropped before the uid changes"],
            &[NOTHING_STARTS],
        )
    },
    Mistake::of_user("capabilities are kept", &["no capabilities"], &["C01", "C05", "K07"]),
    Mistake::of_user("the bounding set is kept", &["bounding set kept"], &["C01"]),
    Mistake::of_user("the securebits are not locked", &["securebits not locked"], &["K07"]),
    Mistake::of_user("no_new_privs is forgotten", &["no new privileges"], &["C01"]),
    Mistake::of_root("supplementary groups are kept", &["groups kept"], &["C12"]),
    Mistake::of_root(
        // Where a cgroup can be killed, the next launcher ends what is left.
        "the parent-death signal is set before the uid changes, which clears it, and nothing else ends what is left",
        &["parent-death signal set before the uid changes", "what a killed launcher left is spared"],
        &["the server outlives its launcher"],
    ),
    Mistake::of_user("the umask is 022", &["umask 022"], &["C14"]),
    Mistake::of_user("the launcher's blocked signals stay blocked", &["signals left blocked"], &["C14"]),
    Mistake::of_user(
        "resource limits are forgotten",
        &["resource limits"],
        &["C14", "R01.limit", "R07", "R08", "R19", "core files", "open files"],
    ),
    Mistake::of_user("setsid is forgotten", &["own session"], &["own session"]),
];

/// What turns red if no server starts.
pub const NOTHING_STARTS: &str = "no server starts";

/// The whole of `mutations.md`.
pub fn in_words(runs: &Runs) -> String {
    let mut text = format!(
        "# Mutations\n\n\
         <!-- Generated: BLESS=1 cargo test -p only1mcp-escape --test layers -->\n\
         <!-- Landlock ABI {} -->\n\n\
         {} mistakes somebody could make in the launcher, each made on purpose. The attempts and facts in the third column\n\
         must turn red for it, else the tests fail; so do those in the last one, today. *Twin of* an attempt: what is\n\
         legitimate no longer works. Other names are facts that `status`, the plan and `/proc` must agree about.\n\n\
         | mistake | mode | must turn red | turn red as well |\n|---|---|---|---|\n",
        runs.landlock_abi(),
        MISTAKES.len(),
    );
    for mistake in MISTAKES {
        for (mode, found) in
            runs.of(mistake.lacking).filter(|(mode, _)| mistake.modes().any(|one| one == *mode))
        {
            let named = mistake.named(mode);
            let others: BTreeSet<String> =
                found.red_attempts().filter(|name| !named.contains(&name.as_str())).collect();
            let others: Vec<&str> = others.iter().map(String::as_str).collect();
            let row = [mistake.what, mode.name(), &named.join(", "), &others.join(", ")].join(" | ");
            let _ = writeln!(text, "| {row} |");
        }
    }
    text
}
