//! The walls no server goes without, each tried in a child.

use super::attempt::{Attempt, attempt, named};
use super::finding::{Finding, Group, Outcome};

/// Landlock's level from which minimal mode can be had.
const LANDLOCK_ABI_MINIMAL: u32 = 6;

/// Tries them all.
#[must_use]
pub fn examine() -> Vec<Finding> {
    vec![
        namespaces(&attempt("namespaces")),
        mount_proc(&attempt("mount-proc")),
        landlock(&attempt("landlock")),
        seccomp(&attempt("seccomp")),
        way_around("TCP Fast Open", &attempt("fast-open")),
        way_around("multipath TCP", &attempt("multipath")),
    ]
}

fn refusal(attempt: &Attempt) -> String {
    match attempt {
        Attempt::Worked(_) => "worked".into(),
        Attempt::Refused(errno) => format!("refused: {}", named(*errno)),
        Attempt::Broken(why) => format!("could not be tried: {why}"),
    }
}

fn namespaces(tried: &Attempt) -> Finding {
    let name = "namespaces";
    match tried {
        Attempt::Worked(_) => Finding::ok(Group::Walls, name, "created user, mount, pid, network, ipc, uts, cgroup"),
        other => Finding::ok(Group::Walls, name, refusal(other)).but(Outcome::Missing).help(
            "allow user namespaces (see the kernel settings below); in a container, allow unshare and mount in its seccomp \
             profile; or `only1mcp start --allow-degraded` for fewer walls",
        ),
    }
}

fn mount_proc(tried: &Attempt) -> Finding {
    let name = "own /proc";
    match tried {
        Attempt::Worked(_) => Finding::ok(Group::Walls, name, "mounted one in a new pid namespace, with hidepid"),
        other => Finding::ok(Group::Walls, name, refusal(other)).but(Outcome::Missing).help(
            "the host's /proc must not be masked: in Docker `--security-opt systempaths=unconfined`, in podman \
             `--security-opt unmask=/proc/*`",
        ),
    }
}

fn landlock(tried: &Attempt) -> Finding {
    let name = "Landlock";
    let Attempt::Worked(said) = tried else {
        return Finding::ok(Group::Walls, name, refusal(tried))
            .but(Outcome::Missing)
            .help("a kernel from 5.13 on with CONFIG_SECURITY_LANDLOCK=y, and `landlock` in its lsm= boot parameter");
    };
    let mut numbers = said.split(' ').map_while(|word| word.parse::<u32>().ok());
    let (abi, errata) = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    let mended: Vec<String> =
        (0..u32::BITS).filter(|bit| errata & (1 << bit) != 0).map(|bit| (bit + 1).to_string()).collect();
    let mended = if mended.is_empty() { "none".into() } else { mended.join(", ") };
    let finding = Finding::ok(Group::Walls, name, format!("ABI {abi} in force, errata mended: {mended}"));
    if abi >= LANDLOCK_ABI_MINIMAL {
        return finding;
    }
    finding
        .but(Outcome::Note)
        .help("ABI 6 (Linux 6.12) also keeps signals and abstract sockets in; namespaces do so too")
}

fn seccomp(tried: &Attempt) -> Finding {
    let name = "system call filter";
    match tried {
        Attempt::Worked(_) => Finding::ok(Group::Walls, name, "refused one call to ourselves"),
        other => Finding::ok(Group::Walls, name, refusal(other))
            .but(Outcome::Missing)
            .help("a kernel with CONFIG_SECCOMP_FILTER=y"),
    }
}

/// Here success is the bad news.
fn way_around(name: &'static str, tried: &Attempt) -> Finding {
    match tried {
        Attempt::Worked(_) => {
            let detail = "gets around Landlock's TCP rules; servers are kept from it by an empty network and the call filter";
            Finding::ok(Group::Walls, name, detail).but(Outcome::Note)
        }
        Attempt::Refused(errno) => {
            Finding::ok(Group::Walls, name, format!("no way around Landlock's TCP rules: {}", named(*errno)))
        }
        Attempt::Broken(_) => Finding::ok(Group::Walls, name, refusal(tried)).but(Outcome::Note),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::errno::Errno;

    #[test]
    fn a_refused_wall_is_missing_and_has_a_mend() {
        let no = Attempt::Refused(Errno::EPERM);
        for finding in [namespaces(&no), mount_proc(&no), landlock(&no), seccomp(&no)] {
            assert_eq!(finding.outcome, Outcome::Missing, "{finding:?}");
            assert!(finding.help.is_some() && finding.detail.contains("EPERM"), "{finding:?}");
        }
    }

    #[test]
    fn errata_are_counted_from_one() {
        let detail = landlock(&Attempt::Worked("7 7".into())).detail;
        assert_eq!(detail, "ABI 7 in force, errata mended: 1, 2, 3");
        assert!(landlock(&Attempt::Worked("2 0".into())).detail.ends_with("none"));
    }

    #[test]
    fn an_old_landlock_is_worth_a_note() {
        assert_eq!(landlock(&Attempt::Worked("3 0".into())).outcome, Outcome::Note);
    }

    #[test]
    fn a_way_around_landlock_that_works_is_told() {
        assert_eq!(way_around("x", &Attempt::Worked(String::new())).outcome, Outcome::Note);
        assert_eq!(way_around("x", &Attempt::Refused(Errno::EACCES)).outcome, Outcome::Ok);
    }
}
