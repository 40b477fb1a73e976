//! Opens documents so that only their owner can have written them: no symbolic link on the way, a
//! regular file of bounded size with one name, and nobody else may write it or a directory above it.

use crate::arguments::Arguments;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat2};
use only1mcp_policy::check::{BUILT_IN, BUILT_IN_NAME};
use only1mcp_policy::document::Source;
use only1mcp_policy::finding::{Findings, Place};
use only1mcp_policy::limits::{DOCUMENT_BYTES_MAX, POLICY_FILES_MAX};
use only1mcp_policy::path::{ancestors, join, parent};
use only1mcp_wire::{Mode, ServerName};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;

/// Write permission of group and others.
const WRITABLE_BY_OTHERS: u32 = 0o022;
/// The sticky bit of directories such as `/tmp`.
const STICKY: u32 = 0o1000;

/// Everything that was opened.
pub struct Documents {
    /// The configuration.
    pub config: Source,
    /// Policies by name.
    pub policies: BTreeMap<String, Source>,
    /// A policy to check by itself.
    pub single_policy: Option<Source>,
    /// The files and directories that all this was read from.
    pub read: Vec<String>,
    /// Whether the configuration could not be opened at all.
    pub missing: bool,
}

impl Documents {
    /// Opens the configuration and the policies beside it.
    pub fn open(arguments: &Arguments, findings: &mut Findings) -> Self {
        let owners = Owners::new(arguments.strict_owner, arguments.mode);
        let mut documents = Self {
            config: Source { path: BUILT_IN_NAME.to_owned(), text: BUILT_IN.to_owned() },
            policies: BTreeMap::new(),
            single_policy: None,
            read: Vec::new(),
            missing: false,
        };
        if let Some(file) = &arguments.policy_file {
            documents.single_policy = open(file, &owners, findings).ok();
        }
        if let Some(path) = &arguments.config {
            documents.open_config(path, &owners, findings);
        }
        documents
    }

    fn open_config(&mut self, path: &str, owners: &Owners, findings: &mut Findings) {
        self.read.push(path.to_owned());
        match open(path, owners, findings) {
            Ok(source) => self.config = source,
            Err(Unopened::Missing) => self.missing = true,
            Err(Unopened::Refused) => {}
        }
        let directory = join(parent(path), "policies");
        let Ok(entries) = fs::read_dir(&directory) else { return };
        self.read.push(directory.clone());
        // Whoever may write it could add a policy at any time, so it is looked at while it is empty, too.
        if let Some((message, help)) = distrust_directory(&directory, owners) {
            findings.error(&Place::whole(&directory), message, help);
            return;
        }
        let mut names: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.file_name())).collect();
        names.sort_unstable();
        for name in names.into_iter().take(POLICY_FILES_MAX) {
            let file = name.to_string_lossy();
            let path = join(&directory, &file);
            let Some(policy) = policy_name(&file) else {
                let message =
                    "this file is ignored: it is not called NAME.yaml with a NAME of a-z, 0-9 and -";
                findings.warning(&Place::whole(&path), message, "rename or remove it");
                continue;
            };
            self.read.push(path.clone());
            if let Ok(source) = open(&path, owners, findings) {
                self.policies.insert(policy, source);
            }
        }
    }
}

/// `github` for `github.yaml` and nothing else: no hidden file, no copy of an editor, no capitals.
fn policy_name(file: &str) -> Option<String> {
    let name = file.strip_suffix(".yaml")?;
    ServerName::new(name).ok().map(|name| name.to_string())
}

/// Why there is no document; the finding has been added.
enum Unopened {
    /// It could not be opened.
    Missing,
    /// It was not to be trusted, or not to be read.
    Refused,
}

fn open(path: &str, owners: &Owners, findings: &mut Findings) -> Result<Source, Unopened> {
    let place = Place::whole(path);
    let how = OpenHow::new()
        .flags(OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY)
        .resolve(ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    let file = match openat2(AT_FDCWD, path, how) {
        Ok(descriptor) => File::from(descriptor),
        Err(Errno::ELOOP) => {
            let message = "the file is a symbolic link, or there is one on the way to it";
            findings.error(&place, message, "name the file by its real path, which `realpath` prints");
            return Err(Unopened::Refused);
        }
        Err(error) => {
            let message = format!("the file cannot be opened: {}", error.desc());
            findings.error(&place, message, "see that it exists and that only1mcp's user may read it");
            return Err(Unopened::Missing);
        }
    };
    if let Some((message, help)) = distrust(&file, path, owners) {
        findings.error(&place, message, help);
        return Err(Unopened::Refused);
    }
    if owners.launcher == Launcher::Stranger && is_for_owner_only(&file, path) {
        let message = "only its owner may read the file, but the launcher runs as a user of its own";
        let help = format!(
            "chmod o+r {path}, or give it to the launcher's group and chmod 640; put secrets into credentials/"
        );
        findings.error(&place, message, help);
        return Err(Unopened::Refused);
    }
    read(file, path).map_err(|message| {
        findings.error(&place, message, "save the file as UTF-8");
        Unopened::Refused
    })
}

fn read(file: File, path: &str) -> Result<Source, String> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(DOCUMENT_BYTES_MAX + 1).unwrap_or(u64::MAX);
    file.take(limit).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    let text = String::from_utf8(bytes).map_err(|_| "the file is not UTF-8".to_owned())?;
    Ok(Source { path: path.to_owned(), text })
}

/// Why the file is not to be trusted, and what to do.
fn distrust(file: &File, path: &str, owners: &Owners) -> Option<(String, String)> {
    let metadata = match file.metadata() {
        Ok(metadata) => metadata,
        Err(error) => return Some((error.to_string(), "try again".to_owned())),
    };
    if !metadata.is_file() {
        return Some(("it is not a regular file".to_owned(), "name a file".to_owned()));
    }
    if metadata.len() > DOCUMENT_BYTES_MAX as u64 {
        let message = format!("the file has {} bytes, more than {DOCUMENT_BYTES_MAX}", metadata.len());
        return Some((message, "move policies into files of their own".to_owned()));
    }
    if metadata.nlink() != 1 {
        let message = "the file has more than one name (hard links)".to_owned();
        return Some((
            message,
            format!("make a copy of its own: cp {path} {path}.new && mv {path}.new {path}"),
        ));
    }
    distrust_mode(path, &metadata, owners)
        .or_else(|| ancestors(path).find_map(|above| distrust_directory(above, owners)))
}

fn distrust_directory(path: &str, owners: &Owners) -> Option<(String, String)> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => distrust_mode(path, &metadata, owners),
        Err(error) => Some((format!("{path}: {error}"), "see that it can be looked at".to_owned())),
    }
}

fn distrust_mode(path: &str, metadata: &fs::Metadata, owners: &Owners) -> Option<(String, String)> {
    if !owners.trust(metadata.uid()) {
        let message = format!("{path} belongs to uid {}, who could change it", metadata.uid());
        return Some((message, format!("give it to root or to the user only1mcp runs as: chown {path}")));
    }
    let sticky = metadata.is_dir() && metadata.mode() & STICKY != 0;
    if metadata.mode() & WRITABLE_BY_OTHERS != 0 && !sticky {
        let message = format!("{path} can be written by its group or by others");
        return Some((message, format!("chmod go-w {path}")));
    }
    None
}

/// Whether the file cannot be read by a user who is neither its owner nor in a group made for it.
fn is_for_owner_only(file: &File, path: &str) -> bool {
    let closed = |metadata: &fs::Metadata, other: u32, group: u32| {
        metadata.mode() & other == 0 && (metadata.mode() & group == 0 || metadata.gid() == 0)
    };
    let directory = |above: &str| fs::symlink_metadata(above).is_ok_and(|found| closed(&found, 0o1, 0o10));
    file.metadata().is_ok_and(|found| closed(&found, 0o4, 0o40)) || ancestors(path).any(directory)
}

/// Who will read the documents after us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Launcher {
    /// The user we are.
    Ourselves,
    /// A user of its own, while we are root.
    Stranger,
}

/// Whom documents may belong to, and who must be able to read them.
struct Owners {
    trusted: Vec<u32>,
    launcher: Launcher,
}

impl Owners {
    fn new(strict: Option<u32>, mode: Mode) -> Self {
        let us = nix::unistd::geteuid();
        let stranger = us.is_root() && matches!(mode, Mode::Root | Mode::System);
        let launcher = if stranger { Launcher::Stranger } else { Launcher::Ourselves };
        if let Some(uid) = strict {
            return Self { trusted: vec![uid], launcher };
        }
        let mut trusted = vec![0, us.as_raw()];
        trusted.extend(unmapped_root());
        Self { trusted, launcher }
    }

    fn trust(&self, uid: u32) -> bool {
        self.trusted.contains(&uid)
    }
}

/// The number root's files seem to belong to inside the launcher's user namespace, which does not map
/// root. There every stranger's files look alike, so `check`, which runs outside, has to tell them apart.
pub fn unmapped_root() -> Option<u32> {
    let map = fs::read_to_string("/proc/self/uid_map").ok()?;
    let maps_root = map.lines().any(|line| line.split_whitespace().next() == Some("0"));
    if maps_root {
        return None;
    }
    fs::read_to_string("/proc/sys/kernel/overflowuid").ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests;
