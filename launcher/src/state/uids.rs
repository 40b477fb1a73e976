//! Which uid of the pool belongs to which state directory: a small file, kept for ever.
//!
//! A uid is given to another directory only after its own is gone, so no server ever finds files of
//! its uid that another one left.

use crate::pool::Pool;
use crate::weakened::{Weakness, lacks};
use nix::errno::Errno;
use only1mcp_wire::ServerName;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

const FILE: &str = ".uids";
const NEW_FILE: &str = ".uids.new";

/// The table of uids.
#[derive(Debug)]
pub struct Uids {
    directory: PathBuf,
    pool: Pool,
    by_owner: BTreeMap<String, u32>,
}

impl Uids {
    /// Reads the table of `directory`; entries whose directory is gone are dropped.
    ///
    /// # Errors
    /// The kernel's, or `InvalidData` if the file is not such a table.
    pub fn load(directory: &Path, pool: Pool) -> std::io::Result<Self> {
        let text = match std::fs::read_to_string(directory.join(FILE)) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        let mut by_owner = parse(&text).ok_or(std::io::ErrorKind::InvalidData)?;
        by_owner.retain(|owner, _| directory.join(owner).is_dir());
        Ok(Self { directory: directory.to_owned(), pool, by_owner })
    }

    /// The uid of this server and partition; always the same one. On disk before it is used.
    ///
    /// # Errors
    /// `EUSERS` if the pool is exhausted, `ERANGE` if the uid it has is not of this pool.
    pub fn assign(&mut self, name: &ServerName, partition: &str) -> nix::Result<u32> {
        let owner = if lacks(Weakness::OwnUid) { ".".to_owned() } else { format!("{name}/{partition}") };
        if let Some(&uid) = self.by_owner.get(&owner) {
            return if self.pool.servers().contains(&uid) { Ok(uid) } else { Err(Errno::ERANGE) };
        }
        let taken: std::collections::BTreeSet<u32> = self.by_owner.values().copied().collect();
        let uid = self.pool.servers().find(|uid| !taken.contains(uid)).ok_or(Errno::EUSERS)?;
        self.by_owner.insert(owner.clone(), uid);
        self.save().inspect_err(|_| {
            self.by_owner.remove(&owner);
        })?;
        Ok(uid)
    }

    fn save(&self) -> nix::Result<()> {
        let mut text = String::new();
        for (owner, uid) in &self.by_owner {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{owner} {uid}");
        }
        let new = self.directory.join(NEW_FILE);
        let saved = write_through(&new, &text)
            .and_then(|()| std::fs::rename(&new, self.directory.join(FILE)))
            .and_then(|()| std::fs::File::open(&self.directory)?.sync_all());
        saved.map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))
    }
}

/// Writes a file whose content a loss of power cannot take.
fn write_through(path: &std::path::Path, text: &str) -> std::io::Result<()> {
    let mut file = std::fs::File::create(path)?;
    std::io::Write::write_all(&mut file, text.as_bytes())?;
    file.sync_all()
}

/// Lines of `NAME/PARTITION UID`. A uid given twice makes the whole table invalid.
fn parse(text: &str) -> Option<BTreeMap<String, u32>> {
    let mut by_owner = BTreeMap::new();
    let mut uids = std::collections::BTreeSet::new();
    for line in text.lines() {
        let (owner, uid) = line.split_once(' ')?;
        let (name, partition) = owner.split_once('/')?;
        let sound =
            ServerName::new(name).is_ok() && partition.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let uid = uid.parse().ok()?;
        if !sound || !uids.insert(uid) {
            return None;
        }
        by_owner.insert(owner.to_owned(), uid);
    }
    Some(by_owner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("only1mcp-uids-{name}-{}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        path
    }

    fn name(text: &str) -> ServerName {
        ServerName::new(text).unwrap()
    }

    #[test]
    fn a_directory_keeps_its_uid_across_restarts_and_nobody_shares_it() {
        let path = directory("stable");
        let pool = Pool::new(1000, 32).unwrap();
        let mut uids = Uids::load(&path, pool).unwrap();
        let first = uids.assign(&name("a"), "shared").unwrap();
        let second = uids.assign(&name("b"), "shared").unwrap();
        assert_ne!(first, second);
        for server in ["a/shared", "b/shared"] {
            std::fs::create_dir_all(path.join(server)).unwrap();
        }
        let mut uids = Uids::load(&path, pool).unwrap();
        assert_eq!(uids.assign(&name("b"), "shared"), Ok(second));
        assert_eq!(uids.assign(&name("a"), "shared"), Ok(first));
        std::fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn a_uid_is_free_again_only_when_its_directory_is_gone() {
        let path = directory("recycle");
        let pool = Pool::new(1000, 17).unwrap();
        std::fs::create_dir_all(path.join("a/shared")).unwrap();
        let mut uids = Uids::load(&path, pool).unwrap();
        let only = uids.assign(&name("a"), "shared").unwrap();
        assert_eq!(uids.assign(&name("b"), "shared"), Err(Errno::EUSERS));
        std::fs::remove_dir_all(path.join("a")).unwrap();
        let mut uids = Uids::load(&path, pool).unwrap();
        assert_eq!(uids.assign(&name("b"), "shared"), Ok(only));
        std::fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn refuses_a_table_it_did_not_write() {
        for bad in ["a/shared", "a/shared x\n", "../x/shared 5\n", "a/shared 5\nb/shared 5\n", "a/.. 5\n"] {
            assert!(parse(bad).is_none(), "{bad:?}");
        }
    }
}
