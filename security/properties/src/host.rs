//! A small host in memory, for documents to grant and refuse: what `only1mcp-compile` asks the real one about.

use only1mcp_policy::check::Input;
use only1mcp_policy::document::Source;
use only1mcp_policy::files::{Entry, FileError, FileKind, Files, Right, Status};
use only1mcp_policy::floor::Own;
use only1mcp_wire::Mode;
use std::collections::{BTreeMap, BTreeSet};

/// What exists. A path that ends with `/` is a directory, `a -> b` a link, `=` begins a file's content.
const PATHS: [&str; 26] = [
    "/usr/bin/node=\x7fELF",
    "/usr/bin/env=\x7fELF",
    "/usr/bin/python3=\x7fELF",
    "/usr/share/zoneinfo/Europe/Berlin=",
    "/bin -> usr/bin",
    "/lib64 -> usr/lib64",
    "/etc/ld.so.cache=",
    "/etc/localtime -> /usr/share/zoneinfo/Europe/Berlin",
    "/etc/shadow=",
    "/dev/null=",
    "/proc/",
    "/run/user/",
    "/data/in/",
    "/data/out/.git/config=",
    "/data/out/.git/hooks/",
    "/data/loop -> loop",
    "/data/away -> /etc/shadow",
    "/srv/app/cli.js=#!/usr/bin/env node\n",
    "/srv/app/odd.js=#!/srv/app/odd.js\n",
    "/srv/venv/bin/python -> /usr/bin/python3",
    "/srv/venv/pyvenv.cfg=home = /usr/bin\n",
    "/srv/docs/a.txt=",
    "/home/ann/.ssh/id=",
    "/prog/only1mcp-probe=\x7fELF",
    "/prog/only1mcp-builtin=\x7fELF",
    "/var/lib/only1mcp/credentials/t=",
];

/// The host's files.
pub struct Host(BTreeMap<String, (FileKind, String)>);

impl Host {
    /// All of [`PATHS`], and the directories above them.
    pub fn new() -> Self {
        let mut nodes = BTreeMap::from([("/".to_owned(), (FileKind::Directory, String::new()))]);
        for line in PATHS {
            let (path, node) = match (line.split_once(" -> "), line.split_once('=')) {
                (Some((path, target)), _) => (path, (FileKind::Link, target.to_owned())),
                (None, Some(("/dev/null", _))) => ("/dev/null", (FileKind::Device, String::new())),
                (None, Some((path, content))) => (path, (FileKind::File, content.to_owned())),
                (None, None) => (line.trim_end_matches('/'), (FileKind::Directory, String::new())),
            };
            for above in only1mcp_policy::path::ancestors(path) {
                nodes.entry(above.to_owned()).or_insert((FileKind::Directory, String::new()));
            }
            nodes.insert(path.to_owned(), node);
        }
        Self(nodes)
    }

    fn node(&self, path: &str) -> Result<&(FileKind, String), FileError> {
        self.0.get(path).ok_or(FileError::Missing)
    }

    /// A configuration to check on this host, with its policy files by name.
    pub fn input(&self, config: Source, policies: BTreeMap<String, Source>) -> Input<'_> {
        Input {
            config,
            policies,
            files: self,
            own: Own {
                config: Some("/etc/only1mcp/config.yaml".to_owned()),
                state_directory: "/var/lib/only1mcp".to_owned(),
                other_directories: Vec::new(),
                program_directory: "/prog".to_owned(),
                homes: vec!["/home/ann".to_owned()],
            },
            mode: Mode::User,
            environment: BTreeMap::from([("PLACE".to_owned(), "/data/in".to_owned())]),
        }
    }
}

impl Files for Host {
    fn status(&self, path: &str) -> Result<Status, FileError> {
        let kind = self.node(path)?.0;
        let inode = self.0.keys().position(|key| key == path).unwrap_or_default() as u64;
        Ok(Status { kind, device: 1, inode })
    }

    fn read_link(&self, path: &str) -> Result<String, FileError> {
        match self.node(path)? {
            (FileKind::Link, target) => Ok(target.clone()),
            _ => Err(FileError::Other("is not a link".to_owned())),
        }
    }

    fn head(&self, path: &str, bytes_max: usize) -> Result<Vec<u8>, FileError> {
        Ok(self.node(path)?.1.bytes().take(bytes_max).collect())
    }

    fn list(&self, path: &str) -> Result<Vec<Entry>, FileError> {
        self.node(path)?;
        let base = path.trim_end_matches('/');
        let below = self.0.iter().filter_map(|(key, (kind, _))| {
            let name = key.strip_prefix(base)?.strip_prefix('/')?;
            let single = !name.is_empty() && !name.contains('/');
            single.then(|| Entry { name: name.to_owned(), directory: *kind == FileKind::Directory })
        });
        Ok(below.collect::<BTreeSet<_>>().into_iter().collect())
    }

    fn may(&self, path: &str, right: Right) -> bool {
        match right {
            Right::Read => path != "/etc/shadow",
            Right::Write => path.starts_with("/data") || path.starts_with("/srv"),
            Right::Execute => true,
        }
    }
}
