//! The runtime root: everything a server sees, from one table. `plan` and `explain` both read it.

use crate::files::{FileKind, Files, Right, Status};
use crate::path::{follow, is_within, join, name, parent};
use only1mcp_wire::plan::{AccessRule, Bind, BindKind, INSIDE_UID, Link, Scratch, SyntheticFile};

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub struct Item {
    /// The path inside.
    pub path: &'static str,
    /// What stands there.
    pub what: What,
    /// Why.
    pub reason: &'static str,
}

/// What stands at a path.
#[derive(Clone, Copy, Debug)]
pub enum What {
    /// The host's directory or link of the same path: programs and libraries.
    Programs,
    /// The host's file or directory of the same path, if there is one: data.
    Data,
    /// The host's character device.
    Device,
    /// A symbolic link.
    Link(&'static str),
    /// A file that exists only inside.
    Text(&'static str),
    /// An empty tmpfs.
    Scratch,
    /// Made by the launcher itself; told here so that `explain` tells it.
    Launcher,
}

const fn item(path: &'static str, what: What, reason: &'static str) -> Item {
    Item { path, what, reason }
}

/// The runtime root. What the host lacks is left out.
pub const TABLE: &[Item] = &[
    item("/usr", What::Programs, "programs and libraries of the system"),
    item("/bin", What::Programs, "programs of the system"),
    item("/sbin", What::Programs, "programs of the system"),
    item("/lib", What::Programs, "libraries of the system"),
    item("/lib32", What::Programs, "libraries of the system"),
    item("/lib64", What::Programs, "libraries of the system, with the loader"),
    item("/libx32", What::Programs, "libraries of the system"),
    item("/etc/ld.so.cache", What::Data, "where the loader finds libraries"),
    item("/etc/ld.so.conf", What::Data, "where the loader finds libraries"),
    item("/etc/ld.so.conf.d", What::Data, "where the loader finds libraries"),
    item("/etc/alternatives", What::Data, "links of programs that have several versions"),
    item("/etc/ssl/certs", What::Data, "public certificates; never /etc/ssl/private"),
    item("/etc/ca-certificates", What::Data, "public certificates"),
    item("/etc/pki/ca-trust", What::Data, "public certificates"),
    item("/etc/pki/tls/certs", What::Data, "public certificates; never /etc/pki/tls/private"),
    item("/etc/pki/tls/openssl.cnf", What::Data, "settings of the TLS library"),
    item("/etc/localtime", What::Data, "the host's time zone"),
    item("/etc/timezone", What::Data, "the host's time zone"),
    item("/etc/services", What::Data, "names of ports"),
    item("/etc/protocols", What::Data, "names of protocols"),
    item("/etc/mime.types", What::Data, "content types of files"),
    item("/etc/gai.conf", What::Data, "order of addresses"),
    item("/etc/passwd", What::Text(PASSWD), "the server's user has a name"),
    item("/etc/group", What::Text(GROUP), "the server's group has a name"),
    item("/etc/hosts", What::Text(HOSTS), "localhost has an address"),
    item("/etc/hostname", What::Text("sandbox\n"), "the host's name stays outside"),
    item(
        "/etc/resolv.conf",
        What::Text("nameserver 127.0.0.1\noptions edns0 attempts:1 timeout:2\n"),
        "the host's resolvers stay outside",
    ),
    item("/etc/nsswitch.conf", What::Text(NSSWITCH), "names come from the files above"),
    item("/dev/null", What::Device, "every program may expect it"),
    item("/dev/zero", What::Device, "every program may expect it"),
    item("/dev/full", What::Device, "every program may expect it"),
    item("/dev/random", What::Device, "keys"),
    item("/dev/urandom", What::Device, "keys"),
    item("/dev/fd", What::Link("/proc/self/fd"), "every program may expect it"),
    item("/dev/stdin", What::Link("/proc/self/fd/0"), "every program may expect it"),
    item("/dev/stdout", What::Link("/proc/self/fd/1"), "every program may expect it"),
    item("/dev/stderr", What::Link("/proc/self/fd/2"), "every program may expect it"),
    item("/dev/shm", What::Scratch, "memory shared within one server"),
    item("/tmp", What::Scratch, "scratch files"),
    item("/proc", What::Launcher, "the server's own processes and nothing else"),
    item("/state", What::Launcher, "the server's own directory; its HOME and working directory"),
];

const PASSWD: &str = "mcp:x:1000:1000:MCP server:/state:/usr/sbin/nologin\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n";
const GROUP: &str = "mcp:x:1000:\nnogroup:x:65534:\n";
const HOSTS: &str = "127.0.0.1 localhost sandbox\n::1 localhost ip6-localhost ip6-loopback\n";
const NSSWITCH: &str = "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nnetworks: files\nprotocols: files\nservices: files\n";
/// Devices that may be written as well as read.
const WRITABLE_DEVICES: [&str; 3] = ["/dev/null", "/dev/zero", "/dev/full"];
// The synthetic passwd says the same number as the plan.
const _: () = assert!(INSIDE_UID == 1000);

/// A bind and why it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// The bind.
    pub bind: Bind,
    /// Why.
    pub reason: String,
}

/// How a bind may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Read only.
    Read,
    /// Read and execute.
    Execute,
    /// Read and write.
    Write,
}

/// The root of one server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Root {
    /// Paths of the host, each after those it lies below.
    pub mounts: Vec<Mount>,
    /// Symbolic links.
    pub links: Vec<Link>,
    /// Files that exist nowhere else.
    pub files: Vec<SyntheticFile>,
    /// tmpfs mounts.
    pub scratch: Vec<Scratch>,
    /// Landlock rules; they mirror the mounts.
    pub rules: Vec<AccessRule>,
}

/// What of the table differs between servers.
#[derive(Clone, Copy, Debug)]
pub struct Variant {
    /// Bytes of each tmpfs.
    pub scratch_bytes: u64,
    /// Inodes of each tmpfs.
    pub scratch_inodes: u64,
    /// Whether files in `/tmp` may be executed.
    pub tmp_executable: bool,
    /// Whether files in `/state` may be executed.
    pub state_executable: bool,
}

impl Root {
    /// The table, as this host fills it.
    #[must_use]
    pub fn build(files: &dyn Files, variant: Variant) -> Self {
        let mut root = Self::default();
        for item in TABLE {
            root.add_item(files, item, variant);
        }
        root
    }

    fn add_item(&mut self, files: &dyn Files, item: &Item, variant: Variant) {
        let path = item.path.to_owned();
        match item.what {
            What::Programs => self.add_programs(files, item),
            What::Data => self.add_data(files, item.path, item.reason),
            What::Device => self.add_device(files, item),
            What::Link(target) => self.links.push(Link { path, target: target.to_owned() }),
            What::Text(content) => {
                self.rule(item.path, Use::Read);
                self.files.push(SyntheticFile { path, content: content.to_owned() });
            }
            What::Scratch => {
                let executable = variant.tmp_executable && item.path == "/tmp";
                let (bytes, inodes) = (variant.scratch_bytes, variant.scratch_inodes);
                self.scratch.push(Scratch { path: path.clone(), bytes, inodes, executable });
                self.rules.push(AccessRule { path, read: true, write: true, execute: executable });
            }
            What::Launcher => {
                let state = item.path == "/state";
                let execute = state && variant.state_executable;
                self.rules.push(AccessRule { path, read: true, write: state, execute });
            }
        }
    }

    fn add_programs(&mut self, files: &dyn Files, item: &Item) {
        match files.status(item.path) {
            Ok(status) if status.kind == FileKind::Directory => {
                self.mount(item.path, item.path, status, Use::Execute, item.reason);
            }
            Ok(status) if status.kind == FileKind::Link => {
                let Ok(target) = files.read_link(item.path) else { return };
                self.links.push(Link { path: item.path.to_owned(), target });
            }
            _ => {}
        }
    }

    /// A file or directory of the host; a link is followed, and what it leads to stands in its place.
    pub fn add_data(&mut self, files: &dyn Files, path: &str, reason: &str) {
        let Ok(way) = follow(files, path) else { return };
        let known = matches!(way.status.kind, FileKind::File | FileKind::Directory);
        if known && files.may(&way.real, Right::Read) {
            self.mount(&way.real, path, way.status, Use::Read, reason);
        }
    }

    /// Entries of a directory whose names begin like this.
    pub fn add_matching(&mut self, files: &dyn Files, prefix: &str, reason: &str) {
        let directory = parent(prefix).to_owned();
        for entry in files.list(&directory).unwrap_or_default() {
            if entry.name.starts_with(name(prefix)) {
                self.add_data(files, &join(&directory, &entry.name), reason);
            }
        }
    }

    fn add_device(&mut self, files: &dyn Files, item: &Item) {
        let Ok(status) = files.status(item.path) else { return };
        if status.kind == FileKind::Device {
            let write = WRITABLE_DEVICES.contains(&item.path);
            self.mount(item.path, item.path, status, if write { Use::Write } else { Use::Read }, item.reason);
        }
    }

    /// Adds a path of the host with its Landlock rule.
    pub fn mount(&mut self, source: &str, target: &str, status: Status, usage: Use, reason: &str) {
        self.rule(target, usage);
        self.pin(source, target, status, usage, reason);
    }

    /// Adds a path of the host that needs no rule of its own.
    pub fn pin(&mut self, source: &str, target: &str, status: Status, usage: Use, reason: &str) {
        let kind = match status.kind {
            FileKind::Directory => BindKind::Directory,
            FileKind::Device => BindKind::Device,
            _ => BindKind::File,
        };
        self.mounts.retain(|mount| mount.bind.target != target);
        let bind = Bind {
            source: source.to_owned(),
            target: target.to_owned(),
            kind,
            device: status.device,
            inode: status.inode,
            writable: usage == Use::Write,
            executable: usage == Use::Execute,
        };
        self.mounts.push(Mount { bind, reason: reason.to_owned() });
    }

    fn rule(&mut self, path: &str, usage: Use) {
        self.rules.retain(|rule| rule.path != path);
        let (write, execute) = (usage == Use::Write, usage == Use::Execute);
        self.rules.push(AccessRule { path: path.to_owned(), read: true, write, execute });
    }

    /// Whether a path of the host can be seen inside at the same path.
    #[must_use]
    pub fn shows(&self, path: &str) -> bool {
        let linked = |link: &Link| is_within(path, &link.path);
        let bound =
            |mount: &Mount| mount.bind.source == mount.bind.target && is_within(path, &mount.bind.target);
        let other = |rule: &AccessRule| rule.path != "/usr" && is_within(path, &rule.path);
        self.links.iter().any(linked) || self.mounts.iter().any(bound) || self.rules.iter().any(other)
    }

    /// Whether a path of the host may be written inside, as far as mounts go.
    #[must_use]
    pub fn writes(&self, path: &str) -> bool {
        let around = self.mounts.iter().filter(|mount| is_within(path, &mount.bind.target));
        around.max_by_key(|mount| mount.bind.target.len()).is_some_and(|mount| mount.bind.writable)
    }

    /// Puts everything into the order in which it is built: what lies above comes first.
    pub fn sort(&mut self) {
        self.mounts.sort_by(|a, b| a.bind.target.split('/').cmp(b.bind.target.split('/')));
        self.links.sort_by(|a, b| a.path.cmp(&b.path));
        self.files.sort_by(|a, b| a.path.cmp(&b.path));
        self.scratch.sort_by(|a, b| a.path.cmp(&b.path));
        self.rules.sort_by(|a, b| a.path.cmp(&b.path));
    }
}
