//! The binary plan: everything a launch needs, decided before it starts.
//!
//! `only1mcp-compile` prints a [`PlanSet`]; the launcher reads it, checks it once more and carries a
//! [`ServerPlan`] out step by step. Paths are absolute and UTF-8; *inside* means below the new root.

use crate::codec::{Decode, DecodeError, Encode, Reader, numbered, record};
use crate::limits::{PLAN_SET_BYTES_MAX, SERVERS_MAX};
use crate::name::ServerName;

/// First bytes of an encoded plan set; the last two are the version.
const HEADER: [u8; 8] = *b"o1mPLAN\x02";
/// The uid and gid every server has inside its sandbox.
pub const INSIDE_UID: u32 = 1000;
/// The server's own writable directory, inside; also its HOME and working directory.
pub const STATE_DIRECTORY: &str = "/state";

/// All servers of one checked configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanSet {
    /// One plan per stdio server, sorted by name, no name twice.
    pub servers: Vec<ServerPlan>,
    /// What the proxy may know, as JSON: `only1mcp_policy::view::View`.
    pub view: Vec<u8>,
    /// Files and directories to watch for changes.
    pub inputs: Vec<String>,
    /// Findings that do not keep the configuration from coming into force, in words.
    pub warnings: Vec<String>,
}

record! {
    /// One server's launch.
    pub struct ServerPlan {
        /// Its name.
        pub name: ServerName,
        /// SHA-256 of the encoding of this plan with the digest set to zeros and the spawn limits of one replica.
        pub digest: [u8; 32],
        /// The program, as a path inside.
        pub program: String,
        /// The arguments, `argv[0]` included.
        pub arguments: Vec<String>,
        /// The whole environment; nothing is inherited.
        pub environment: Vec<Variable>,
        /// The working directory, inside.
        pub working_directory: String,
        /// The new root, in the order in which it is built.
        pub binds: Vec<Bind>,
        /// Symbolic links of the new root.
        pub links: Vec<Link>,
        /// Files of the new root that exist nowhere else.
        pub files: Vec<SyntheticFile>,
        /// tmpfs mounts of the new root.
        pub scratch: Vec<Scratch>,
        /// Whether a file in the state directory may be executed.
        pub state_executable: bool,
        /// The Landlock rules, on paths inside; they mirror the mounts.
        pub rules: Vec<AccessRule>,
        /// The system calls allowed, as x86-64 numbers, sorted.
        pub system_calls: Vec<u32>,
        /// Whether memory may be written and executed (just-in-time compilers).
        pub jit: bool,
        /// The limits.
        pub limits: Limits,
        /// What must stand, or the launch is refused.
        pub requires: Requires,
        /// How often and how many times it may run.
        pub spawn: SpawnLimits,
    }
}

/// A variable of the server's environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Where its value comes from.
    pub value: VariableValue,
}

/// Where a variable's value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VariableValue {
    /// Given in the configuration.
    Literal(String),
    /// The content of this file of the credentials directory, read by the launcher at SPAWN.
    Credential(String),
}

numbered! {
    /// What a bind source is.
    pub enum BindKind: u8 {
        /// A directory, with everything below it.
        Directory = 1 => "directory",
        /// One regular file.
        File = 2 => "file",
        /// One character device.
        Device = 3 => "device",
    }
}

record! {
    /// A path of the host that is visible inside.
    pub struct Bind {
        /// The host's path.
        pub source: String,
        /// The path inside.
        pub target: String,
        /// What it must be.
        pub kind: BindKind,
        /// `st_dev` of the source when it was checked.
        pub device: u64,
        /// `st_ino` of the source when it was checked.
        pub inode: u64,
        /// Whether it may be written.
        pub writable: bool,
        /// Whether files in it may be executed.
        pub executable: bool,
    }
}

record! {
    /// A symbolic link inside.
    pub struct Link {
        /// Where it stands.
        pub path: String,
        /// What it says.
        pub target: String,
    }
}

record! {
    /// A read-only file that only exists inside.
    pub struct SyntheticFile {
        /// Where it stands.
        pub path: String,
        /// What it holds.
        pub content: String,
    }
}

record! {
    /// A tmpfs inside.
    pub struct Scratch {
        /// Where it is mounted.
        pub path: String,
        /// Its size.
        pub bytes: u64,
        /// How many files it may hold.
        pub inodes: u64,
        /// Whether files in it may be executed.
        pub executable: bool,
    }
}

record! {
    /// A Landlock rule: what may be done below a path.
    pub struct AccessRule {
        /// The path inside.
        pub path: String,
        /// Reading files and listing directories.
        pub read: bool,
        /// Writing, creating, renaming, removing.
        pub write: bool,
        /// Executing.
        pub execute: bool,
    }
}

record! {
    /// The limits of one server.
    pub struct Limits {
        /// `memory.max`, bytes.
        pub memory_bytes: u64,
        /// `pids.max`, and `RLIMIT_NPROC`, which is one more where `pids.max` stands.
        pub processes: u32,
        /// `cpu.max`, in hundredths of one processor.
        pub cpu_percent: u32,
        /// `RLIMIT_NOFILE`.
        pub open_files: u32,
        /// `RLIMIT_FSIZE`, bytes.
        pub file_bytes: u64,
        /// `rbps` of `io.max`, bytes per second; none without a limit.
        pub io_read_bytes: Option<u64>,
        /// `wbps` of `io.max`, bytes per second; none without a limit.
        pub io_write_bytes: Option<u64>,
    }
}

record! {
    /// What must stand, or the launch is refused.
    pub struct Requires {
        /// Memory, process and cpu limits by cgroup.
        pub cgroup: bool,
        /// The lowest Landlock ABI.
        pub landlock_abi: u8,
    }
}

record! {
    /// How often and how many times a server may run.
    pub struct SpawnLimits {
        /// Instances at once.
        pub instances: u32,
        /// Spawns that may follow each other at once.
        pub burst: u32,
        /// Spawns per minute after that.
        pub per_minute: u32,
    }
}

impl Limits {
    /// Whether reading or writing disks is limited.
    #[must_use]
    pub fn ask_for_io(&self) -> bool {
        self.io_read_bytes.is_some() || self.io_write_bytes.is_some()
    }
}

impl Encode for Variable {
    fn encode(&self, out: &mut Vec<u8>) {
        self.name.encode(out);
        let (credential, text) = match &self.value {
            VariableValue::Literal(text) => (false, text),
            VariableValue::Credential(name) => (true, name),
        };
        credential.encode(out);
        text.encode(out);
    }
}

impl Decode for Variable {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let name = String::decode(reader)?;
        let credential = bool::decode(reader)?;
        let text = String::decode(reader)?;
        let value = if credential { VariableValue::Credential(text) } else { VariableValue::Literal(text) };
        Ok(Self { name, value })
    }
}

impl PlanSet {
    /// The plan set as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = HEADER.to_vec();
        self.servers.encode(&mut out);
        u32::try_from(self.view.len()).unwrap_or(u32::MAX).encode(&mut out);
        out.extend_from_slice(&self.view);
        self.inputs.encode(&mut out);
        self.warnings.encode(&mut out);
        out
    }

    /// Reads a plan set.
    ///
    /// # Errors
    /// [`DecodeError`] if the bytes are not exactly one plan set of this version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > PLAN_SET_BYTES_MAX {
            return Err(DecodeError::TooLong("plan set"));
        }
        let mut reader = Reader::new(bytes);
        if reader.take(HEADER.len())? != HEADER {
            return Err(DecodeError::Value("plan header"));
        }
        let servers: Vec<ServerPlan> = Decode::decode(&mut reader)?;
        if servers.len() > SERVERS_MAX {
            return Err(DecodeError::TooLong("list of servers"));
        }
        if !servers.is_sorted_by(|a, b| a.name < b.name) {
            return Err(DecodeError::Value("order of servers"));
        }
        let view = reader.bytes_up_to(PLAN_SET_BYTES_MAX, "view")?.to_vec();
        let inputs = Decode::decode(&mut reader)?;
        let warnings = Decode::decode(&mut reader)?;
        reader.finish()?;
        Ok(Self { servers, view, inputs, warnings })
    }

    /// The plan of the server with this name.
    #[must_use]
    pub fn server(&self, name: &ServerName) -> Option<&ServerPlan> {
        let index = self.servers.binary_search_by(|plan| plan.name.cmp(name)).ok()?;
        self.servers.get(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(name: &str) -> ServerPlan {
        ServerPlan {
            name: ServerName::new(name).unwrap(),
            digest: [1; 32],
            program: "/usr/bin/node".into(),
            arguments: vec!["node".into(), "server.js".into()],
            environment: vec![
                Variable { name: "HOME".into(), value: VariableValue::Literal("/state".into()) },
                Variable { name: "TOKEN".into(), value: VariableValue::Credential("token".into()) },
            ],
            working_directory: "/state".into(),
            binds: vec![Bind {
                source: "/usr".into(),
                target: "/usr".into(),
                kind: BindKind::Directory,
                device: 1,
                inode: 2,
                writable: false,
                executable: true,
            }],
            links: vec![Link { path: "/bin".into(), target: "usr/bin".into() }],
            files: vec![SyntheticFile { path: "/etc/passwd".into(), content: "mcp".into() }],
            scratch: vec![Scratch { path: "/tmp".into(), bytes: 64, inodes: 8, executable: false }],
            state_executable: false,
            rules: vec![AccessRule { path: "/usr".into(), read: true, write: false, execute: true }],
            system_calls: vec![0, 1],
            jit: true,
            limits: Limits {
                memory_bytes: 1,
                processes: 2,
                cpu_percent: 3,
                open_files: 4,
                file_bytes: 5,
                io_read_bytes: None,
                io_write_bytes: Some(6),
            },
            requires: Requires { cgroup: false, landlock_abi: 3 },
            spawn: SpawnLimits { instances: 1, burst: 2, per_minute: 3 },
        }
    }

    fn set(names: &[&str]) -> PlanSet {
        PlanSet {
            servers: names.iter().map(|name| plan(name)).collect(),
            view: b"{}".to_vec(),
            inputs: vec!["/etc/only1mcp/config.yaml".into()],
            warnings: vec!["careful".into()],
        }
    }

    #[test]
    fn a_plan_set_comes_back_as_it_went() {
        let set = set(&["a", "b"]);
        assert_eq!(PlanSet::from_bytes(&set.to_bytes()), Ok(set));
    }

    #[test]
    fn refuses_servers_out_of_order_or_twice() {
        for names in [["b", "a"], ["a", "a"]] {
            assert!(PlanSet::from_bytes(&set(&names).to_bytes()).is_err(), "{names:?}");
        }
    }

    #[test]
    fn every_shortened_plan_set_is_refused() {
        let bytes = set(&["a"]).to_bytes();
        for end in 0..bytes.len() {
            assert!(PlanSet::from_bytes(&bytes[..end]).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn finds_a_server_by_its_name() {
        let set = set(&["a", "c"]);
        assert!(set.server(&ServerName::new("c").unwrap()).is_some());
        assert!(set.server(&ServerName::new("b").unwrap()).is_none());
    }
}
