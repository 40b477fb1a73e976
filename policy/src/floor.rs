//! The deny floor: what no policy can grant, whatever it says.

use crate::path::{is_within, join, name, parent};

/// How a path may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read it.
    Read,
    /// Read it and execute files in it.
    Execute,
    /// Read and write it.
    Write,
}

impl Access {
    /// The word for people: "may be …".
    #[must_use]
    pub const fn phrase(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Execute => "read and executed",
            Self::Write => "read and written",
        }
    }
}

/// Directories that belong to only1mcp on this machine.
#[derive(Clone, Debug, Default)]
pub struct Own {
    /// The configuration, if it is a file. The policies stand beside it.
    pub config: Option<String>,
    /// The directory of tokens, credentials and the servers' state.
    pub state_directory: String,
    /// Directories of sockets, over which servers are started and called, and of other instances' state.
    pub other_directories: Vec<String>,
    /// The directory of the programs.
    pub program_directory: String,
    /// Home directories of people.
    pub homes: Vec<String>,
}

/// Why a path cannot be granted: what it is, and what to do instead.
pub type Refusal = (String, String);

/// System directories of which neither they nor anything in them may be written.
const SYSTEM: [&str; 14] = [
    "/etc", "/usr", "/boot", "/proc", "/sys", "/dev", "/run", "/bin", "/sbin", "/lib", "/lib32", "/lib64",
    "/libx32", "/var/run",
];
/// Kernel and service file systems that may not even be read.
const KERNEL: [&str; 5] = ["/proc", "/sys", "/dev", "/run", "/var/run"];
/// Directories that are too wide to be granted for reading, though parts of them may be.
const WIDE_READ: [&str; 5] = ["/etc", "/home", "/var", "/tmp", "/var/tmp"];
/// Directories that are too wide to be granted for writing, though parts of them may be.
const WIDE_WRITE: [&str; 11] =
    ["/home", "/var", "/tmp", "/var/tmp", "/root", "/opt", "/srv", "/mnt", "/media", "/var/lib", "/var/log"];
/// What starts programs or is trusted by the system, below directories that may otherwise be written.
const SYSTEM_STATE: [&str; 4] = ["/var/spool/cron", "/var/lib/dpkg", "/var/lib/rpm", "/var/lib/systemd"];
/// Directories of the sandbox itself.
const INSIDE: [&str; 2] = ["/state", "/opt/only1mcp"];
/// Secrets in a home directory.
const HOME_SECRETS: [&str; 23] = [
    ".ssh",
    ".gnupg",
    ".aws",
    ".azure",
    ".kube",
    ".docker",
    ".netrc",
    ".npmrc",
    ".pypirc",
    ".git-credentials",
    ".mozilla",
    ".password-store",
    ".config/gh",
    ".config/gcloud",
    ".config/google-chrome",
    ".local/share/keyrings",
    ".config/only1mcp",
    ".local/state/only1mcp",
    ".claude",
    ".claude.json",
    ".codex",
    ".cursor",
    ".gemini",
];
/// Directories of a home that hold secrets among other things.
const HOME_WIDE: [&str; 5] = [".config", ".local", ".local/share", ".local/state", ".cache"];
/// What in a home directory starts programs.
const HOME_STARTERS: [&str; 6] =
    [".config/autostart", ".config/systemd", ".config/fish", ".local/bin", "bin", ".vscode"];
/// Files that a shell, an editor or a tool obeys, wherever they stand.
pub const OBEYED: [&str; 33] = [
    // Whole: with a file `commondir` in it git obeys a configuration that lies anywhere else.
    ".git",
    ".bashrc",
    ".bash_profile",
    ".bash_login",
    ".bash_logout",
    ".profile",
    ".zshrc",
    ".zshenv",
    ".zprofile",
    ".zlogin",
    ".kshrc",
    ".cshrc",
    ".tcshrc",
    ".inputrc",
    ".npmrc",
    ".yarnrc",
    ".pypirc",
    ".netrc",
    ".gitconfig",
    ".vscode",
    ".idea",
    ".envrc",
    ".mcp.json",
    ".zlogout",
    ".login",
    ".xprofile",
    ".husky",
    ".pre-commit-config.yaml",
    ".cursor",
    ".claude",
    ".claude.json",
    ".gemini",
    ".codex",
];
/// Why this path cannot be granted, if it cannot. `path` has no symbolic links in it.
#[must_use]
pub fn refuse(path: &str, access: Access, own: &Own) -> Option<Refusal> {
    if path == "/" {
        return refusal("is everything", "name the directories that are needed");
    }
    own_homes(path, own)
        .find_map(|home| refuse_home(path, &home, access))
        .or_else(|| refuse_own(path, access, own))
        .or_else(|| refuse_system(path, access))
        .or_else(|| (access == Access::Write).then(|| refuse_obeyed(path)).flatten())
}

fn refusal(what: impl Into<String>, help: &str) -> Option<Refusal> {
    Some((what.into(), help.to_owned()))
}

fn covers(path: &str, thing: &str) -> bool {
    is_within(path, thing) || is_within(thing, path)
}

fn refuse_own(path: &str, access: Access, own: &Own) -> Option<Refusal> {
    if INSIDE.iter().any(|inside| is_within(path, inside)) {
        return refusal(
            "is a directory of the sandbox itself",
            "write `state` for the server's own directory",
        );
    }
    if covers(path, &own.state_directory) {
        return refusal(
            "holds the tokens and every server's state",
            "write `state` for the server's own directory, or choose another one",
        );
    }
    if own.other_directories.iter().any(|other| covers(path, other)) || is_runtime(path) {
        return refusal("holds the sockets or the state of only1mcp", "choose a directory elsewhere");
    }
    if own.config.as_deref().is_some_and(|config| is_configuration(path, config)) {
        return refusal("holds the configuration or the policies", "choose a directory elsewhere");
    }
    if access == Access::Write && covers(path, &own.program_directory) {
        return refusal("holds only1mcp's own programs", "choose a directory elsewhere");
    }
    None
}

/// Whether a path lies in a runtime directory that some user's only1mcp has by default: `/tmp/only1mcp-UID`.
fn is_runtime(path: &str) -> bool {
    let rest = path.strip_prefix("/tmp/only1mcp-").and_then(|rest| rest.split('/').next());
    rest.is_some_and(|uid| !uid.is_empty() && uid.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Whether a path is the configuration, a policy, or a directory above them. Other directories beside
/// the configuration are nobody's business: a project may keep its servers there.
fn is_configuration(path: &str, config: &str) -> bool {
    let directory = parent(config);
    is_within(config, path) || covers(path, &join(directory, "policies"))
}

fn refuse_system(path: &str, access: Access) -> Option<Refusal> {
    if KERNEL.iter().any(|kernel| covers(path, kernel)) && path != "/var" {
        return refusal("belongs to the kernel or to services", "a server cannot be given it");
    }
    let secret = ["/etc/ssl/private", "/etc/only1mcp"].iter().any(|secret| is_within(path, secret));
    // Where root's only1mcp keeps credentials, whoever's this one is.
    if secret || covers(path, "/var/lib/only1mcp") {
        return refusal("holds secrets", "use `env: {NAME: {credential: NAME}}` to hand a server a secret");
    }
    if access != Access::Write {
        let wide = WIDE_READ.contains(&path);
        return wide
            .then(|| refusal("is too wide", "name the directories below it that are needed"))
            .flatten();
    }
    if SYSTEM.iter().any(|system| is_within(path, system)) {
        return refusal("is part of the system", "choose a directory below /srv, /var/lib/NAME or a home");
    }
    if SYSTEM_STATE.iter().any(|state| covers(path, state)) || WIDE_WRITE.contains(&path) {
        return refusal("is too wide or obeyed by the system", "name one directory made for this server");
    }
    None
}

/// Every home directory that `path` could be or lie in.
fn own_homes<'a>(path: &'a str, own: &'a Own) -> impl Iterator<Item = String> + 'a {
    let below_home = path.strip_prefix("/home/").and_then(|rest| rest.split('/').next());
    let guessed = below_home.map(|person| join("/home", person));
    own.homes.iter().cloned().chain(guessed).chain(std::iter::once("/root".to_owned()))
}

fn refuse_home(path: &str, home: &str, access: Access) -> Option<Refusal> {
    if home == "/" {
        return None;
    }
    if is_within(home, path) {
        return refusal(
            "is or holds a home directory",
            "name one directory in it, such as a project; a home holds keys and start-up files",
        );
    }
    let rest = path.strip_prefix(home)?.strip_prefix('/')?;
    if HOME_SECRETS.iter().any(|secret| is_within(rest, secret)) || HOME_WIDE.contains(&rest) {
        return refusal("holds a person's secrets", "name a directory that holds only what the server needs");
    }
    if access == Access::Write && HOME_STARTERS.iter().any(|starter| is_within(rest, starter)) {
        return refusal("holds what is started when a person logs in", "choose another directory");
    }
    None
}

fn refuse_obeyed(path: &str) -> Option<Refusal> {
    let mut at = path;
    while at != "/" {
        if OBEYED.contains(&name(at)) {
            return refusal(
                "is obeyed by shells, editors or git",
                "grant the directory above; this part stays read-only",
            );
        }
        at = parent(at);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> Own {
        Own {
            config: Some("/home/ann/cfg/only1mcp/config.yaml".into()),
            state_directory: "/home/ann/state".into(),
            other_directories: vec!["/home/ann/sockets/run".into()],
            program_directory: "/opt/tools/bin".into(),
            homes: vec!["/home/ann".into(), "/people/bob".into()],
        }
    }

    #[test]
    fn y08_nothing_of_the_floor_can_be_written() {
        let bad = [
            "/",
            "/etc",
            "/etc/cron.d",
            "/usr",
            "/usr/local/lib",
            "/boot",
            "/proc",
            "/proc/sys",
            "/sys",
            "/dev",
            "/dev/shm",
            "/run",
            "/run/user/1000",
            "/var",
            "/var/lib",
            "/var/spool/cron",
            "/var/spool",
            "/root",
            "/home",
            "/home/ann",
            "/home/other",
            "/people/bob",
            "/people",
            "/home/ann/cfg",
            "/home/ann/cfg/only1mcp",
            "/home/ann/cfg/only1mcp/config.yaml",
            "/home/ann/cfg/only1mcp/policies",
            "/home/ann/cfg/only1mcp/policies/x.yaml",
            "/home/ann/.local/state/only1mcp/servers/x",
            "/home/ann/.local",
            "/opt/tools/bin",
            "/opt/tools",
            "/opt/tools/bin/only1mcp",
            "/home/ann/.ssh",
            "/home/ann/.bashrc",
            "/home/ann/p/.git/hooks",
            "/home/ann/p/.git",
            "/home/ann/p/.cursor/mcp.json",
            "/srv/p/.claude",
            "/home/ann/p/.npmrc",
            "/home/ann/bin",
            "/home/ann/.config/autostart",
            "/tmp",
            "/state",
            "/opt",
            "/opt/only1mcp/x",
            "/lib/modules",
        ];
        for path in bad {
            assert!(refuse(path, Access::Write, &own()).is_some(), "{path}");
        }
        for path in [
            "/home/ann/project",
            "/home/ann/cfg/only1mcp/data",
            "/srv/data",
            "/var/lib/files",
            "/tmp/exchange",
            "/data",
            "/root/work",
        ] {
            assert_eq!(refuse(path, Access::Write, &own()), None, "{path}");
        }
    }

    #[test]
    fn y08_no_way_leads_to_the_sockets_or_to_the_state_of_any_instance() {
        let bad = [
            "/home/ann/sockets",
            "/home/ann/sockets/run",
            "/home/ann/sockets/run/launch.sock",
            "/home/ann/state/credentials",
            "/home/ann/.local/state/only1mcp",
            "/home/ann/.local/state/only1mcp/private/x/run",
            "/people/bob/.local/state/only1mcp",
            "/tmp/only1mcp-1000",
            "/tmp/only1mcp-1000/relay.sock",
            "/var/lib",
            "/var/lib/only1mcp/token",
        ];
        for path in bad {
            for access in [Access::Read, Access::Execute, Access::Write] {
                assert!(refuse(path, access, &own()).is_some(), "{path}");
            }
        }
        for path in ["/home/ann/socket", "/tmp/only1mcp-x", "/tmp/only1mcp-", "/tmp/only1mcp-10x"] {
            assert_eq!(refuse(path, Access::Write, &own()), None, "{path}");
        }
    }

    #[test]
    fn y08_secrets_cannot_even_be_read() {
        let bad = [
            "/",
            "/proc",
            "/sys",
            "/dev",
            "/run",
            "/home",
            "/home/ann",
            "/root",
            "/people/bob",
            "/home/ann/.ssh",
            "/home/ann/.ssh/id_ed25519",
            "/home/ann/.config",
            "/home/ann/.config/gh",
            "/home/ann/.claude/projects",
            "/home/ann/.codex",
            "/people/bob/.aws",
            "/etc",
            "/etc/only1mcp",
            "/etc/ssl/private",
            "/home/ann/.local/state/only1mcp/credentials",
            "/home/ann/cfg/only1mcp",
        ];
        for path in bad {
            assert!(refuse(path, Access::Read, &own()).is_some(), "{path}");
        }
        for path in
            ["/home/ann/project", "/etc/myapp", "/usr/share/x", "/opt/x", "/opt/tools/bin", "/var/lib/x"]
        {
            assert_eq!(refuse(path, Access::Read, &own()), None, "{path}");
        }
    }
}
