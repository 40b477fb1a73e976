//! Root mode's uids: whether the range is free on this machine and known to the kernel here.

use crate::command::arguments::Pool;
use crate::command::exit_code::Exit;
use crate::command::failure::Failure;
use crate::command::limits::POOL_RESERVED;
use std::ops::Range;

/// The account for which the package reserves a range; its own entry is no collision.
const OUR_ACCOUNT: &str = "only1mcp-launcher";

/// What this machine says about uids and gids, as text of the files named.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    /// `/etc/passwd`, `/etc/group`: name and number of each account.
    pub taken: Vec<(&'static str, String)>,
    /// `/etc/subuid`, `/etc/subgid`: ranges promised to accounts.
    pub promised: Vec<(&'static str, String)>,
    /// `/proc/self/uid_map`, `/proc/self/gid_map`: what the kernel can name here.
    pub mapped: Vec<(&'static str, String)>,
}

impl Accounts {
    /// Reads the files; one that is missing promises nothing.
    #[must_use]
    pub fn read() -> Self {
        let read = |paths: &[&'static str]| {
            paths.iter().filter_map(|&path| Some((path, std::fs::read_to_string(path).ok()?))).collect()
        };
        Self {
            taken: read(&["/etc/passwd", "/etc/group"]),
            promised: read(&["/etc/subuid", "/etc/subgid"]),
            mapped: read(&["/proc/self/uid_map", "/proc/self/gid_map"]),
        }
    }
}

impl Pool {
    /// The launcher's own uid and gid.
    #[must_use]
    pub const fn launcher(self) -> u32 {
        self.first
    }

    /// The proxy's uid and gid.
    #[must_use]
    pub const fn proxy(self) -> u32 {
        self.first.saturating_add(1)
    }

    fn range(self) -> Range<u64> {
        let first = u64::from(self.first);
        first..first + u64::from(self.count)
    }

    /// Checks that the range is of use, free and mapped.
    ///
    /// # Errors
    /// Names the file and the entry that stands in the way.
    pub fn check(self, accounts: &Accounts) -> Result<(), Failure> {
        let obstacle = self.shape().or_else(|| self.collision(accounts)).or_else(|| self.gap(accounts));
        match obstacle {
            None => Ok(()),
            Some((why, help)) => Err(Failure::new(Exit::Config, format!("pool {self}: {why}")).help(help)),
        }
    }

    fn shape(self) -> Option<(String, String)> {
        let wrong = if self.first < 1000 {
            "begins among the system's own uids"
        } else if self.count <= POOL_RESERVED {
            "has no uid left for servers"
        } else if self.range().end >= u64::from(u32::MAX) {
            "reaches past the last uid"
        } else {
            return None;
        };
        Some((wrong.into(), format!("such as --pool {}", Self::default())))
    }

    fn collision(self, accounts: &Accounts) -> Option<(String, String)> {
        let help = "choose a free range with --pool FIRST:COUNT".to_owned();
        for (path, text) in &accounts.taken {
            let hit = text.lines().filter_map(account).find(|(_, id)| self.range().contains(id));
            if let Some((name, id)) = hit {
                return Some((format!("{path} gives {id} to {name}"), help));
            }
        }
        for (path, text) in &accounts.promised {
            let hit = text.lines().filter_map(promise).find(|(name, range)| {
                *name != OUR_ACCOUNT && range.start < self.range().end && self.range().start < range.end
            });
            if let Some((name, range)) = hit {
                return Some((format!("{path} promises {}..{} to {name}", range.start, range.end - 1), help));
            }
        }
        None
    }

    fn gap(self, accounts: &Accounts) -> Option<(String, String)> {
        accounts.mapped.iter().find_map(|(path, text)| {
            let ranges: Vec<Range<u64>> = text.lines().filter_map(mapping).collect();
            let missing = first_missing(&self.range(), &ranges)?;
            let room = ranges.iter().max_by_key(|range| range.end - range.start);
            let help = match room.and_then(suggestion) {
                Some(pool) => format!("this container maps less; try --pool {pool}"),
                None => "give this container more uids, or start as an ordinary user".into(),
            };
            Some((format!("{missing} is not mapped here ({path})"), help))
        })
    }
}

/// A pool in the upper half of a mapped range.
fn suggestion(range: &Range<u64>) -> Option<Pool> {
    let count = ((range.end - range.start) / 2).min(u64::from(Pool::default().count));
    let first = u32::try_from(range.end - count).ok()?;
    let pool = Pool { first, count: u32::try_from(count).ok()? };
    pool.shape().is_none().then_some(pool)
}

fn first_missing(wanted: &Range<u64>, ranges: &[Range<u64>]) -> Option<u64> {
    let mut at = wanted.start;
    while at < wanted.end {
        match ranges.iter().find(|range| range.contains(&at)) {
            Some(range) => at = range.end,
            None => return Some(at),
        }
    }
    None
}

/// `name:x:id:…`
fn account(line: &str) -> Option<(&str, u64)> {
    let mut fields = line.split(':');
    let name = fields.next()?;
    Some((name, fields.nth(1)?.parse().ok()?))
}

/// `name:first:count`
fn promise(line: &str) -> Option<(&str, Range<u64>)> {
    let mut fields = line.trim().split(':');
    let name = fields.next()?;
    let first: u64 = fields.next()?.parse().ok()?;
    let count: u64 = fields.next()?.parse().ok()?;
    Some((name, first..first.checked_add(count)?))
}

/// `inside outside count`
fn mapping(line: &str) -> Option<Range<u64>> {
    let mut fields = line.split_whitespace();
    let first: u64 = fields.next()?.parse().ok()?;
    let count: u64 = fields.nth(1)?.parse().ok()?;
    Some(first..first.checked_add(count)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> Accounts {
        Accounts {
            taken: vec![(
                "/etc/passwd",
                "root:x:0:0:root:/root:/bin/sh\np:x:1000:1000::/home/p:/bin/sh\n".into(),
            )],
            promised: vec![("/etc/subuid", "p:100000:65536\nonly1mcp-launcher:1879048192:65536\n".into())],
            mapped: vec![("/proc/self/uid_map", "         0          0 4294967295\n".into())],
        }
    }

    fn complaint(pool: &str, accounts: &Accounts) -> String {
        pool.parse::<Pool>().unwrap().check(accounts).unwrap_err().to_string()
    }

    #[test]
    fn the_default_fits_an_ordinary_machine() {
        Pool::default().check(&machine()).unwrap();
    }

    #[test]
    fn a_range_with_an_account_in_it_is_refused_by_name() {
        assert!(complaint("1000:100", &machine()).contains("/etc/passwd gives 1000 to p"));
    }

    #[test]
    fn a_range_promised_to_containers_is_refused() {
        let text = complaint("165000:1000", &machine());
        assert!(text.contains("/etc/subuid promises 100000..165535 to p"), "{text}");
        "165536:1000".parse::<Pool>().unwrap().check(&machine()).unwrap();
    }

    #[test]
    fn an_unmapped_range_is_refused_with_one_that_fits() {
        let small = Accounts {
            mapped: vec![("/proc/self/uid_map", "0 100000 65536\n".into())],
            ..Accounts::default()
        };
        let text = complaint("1879048192:65536", &small);
        assert!(text.contains("1879048192 is not mapped here (/proc/self/uid_map)"), "{text}");
        assert!(text.contains("--pool 32768:32768"), "{text}");
    }

    #[test]
    fn neighbouring_mappings_add_up() {
        assert_eq!(first_missing(&(5..15), &[0..10, 10..20]), None);
        assert_eq!(first_missing(&(5..25), &[0..10, 10..20]), Some(20));
    }

    #[test]
    fn a_pool_without_room_for_servers_is_refused() {
        assert!(complaint("5000:16", &machine()).contains("no uid left"));
        assert!(complaint("0:65536", &machine()).contains("system's own"));
        assert!(complaint("4294967000:65536", &machine()).contains("past the last uid"));
    }
}
