//! Our own programs and files: whether everything lies where `start` will look for it.

use super::finding::{Finding, Group, Outcome};
use crate::command::admin;
use crate::command::arguments::{Places, Pool, Source};
use crate::command::directories::{Configuration, Directories, Mode};
use crate::command::limits::STATUS_ANSWER;
use crate::command::program::{Program, Programs};
use crate::command::start::pool::Accounts;

/// Looks for them.
#[must_use]
pub fn examine(pool: Pool) -> Vec<Finding> {
    let mut findings = vec![programs()];
    match Directories::resolve(&Places::default()) {
        Ok(directories) => {
            findings.push(configuration(&directories));
            findings.push(daemon(&directories));
            if directories.mode != Mode::User {
                findings.push(pool_range(pool, &Accounts::read()));
            }
        }
        Err(failure) => findings.push(missing("directories", &failure.to_string())),
    }
    findings
}

fn missing(name: &'static str, text: &str) -> Finding {
    let mut lines = text.lines();
    let detail = lines.next().unwrap_or_default().trim_start_matches("error: ").to_owned();
    let finding = Finding::ok(Group::Installation, name, detail).but(Outcome::Missing);
    match lines.next() {
        Some(help) => finding.help(help.trim_start_matches("help: ")),
        None => finding,
    }
}

fn programs() -> Finding {
    let name = "programs";
    let found = Programs::beside_us().and_then(|programs| {
        Program::HELPERS.iter().try_for_each(|&program| programs.command(program).map(|_| ()))?;
        Ok(format!("all {} in {}", Program::HELPERS.len() + 1, programs.directory().display()))
    });
    match found {
        Ok(detail) => Finding::ok(Group::Installation, name, detail),
        Err(failure) => missing(name, &failure.to_string()),
    }
}

fn configuration(directories: &Directories) -> Finding {
    let name = "configuration";
    match directories.configuration(&Source::default()) {
        Ok(Configuration::File(path)) => Finding::ok(Group::Installation, name, path.display().to_string()),
        Ok(Configuration::Builtin) => {
            let detail = format!("none in {}; the embedded default is used", directories.config.display());
            Finding::ok(Group::Installation, name, detail).but(Outcome::Note)
        }
        Err(failure) => missing(name, &failure.to_string()),
    }
}

fn daemon(directories: &Directories) -> Finding {
    let name = "daemon";
    let place = directories.runtime.display();
    match admin::status(&directories.admin_socket(), STATUS_ANSWER) {
        Ok(_) => Finding::ok(Group::Installation, name, format!("answers in {place}")),
        Err(error) => Finding::ok(Group::Installation, name, format!("{place}: {error}"))
            .but(Outcome::Note)
            .help("start it with `only1mcp start`"),
    }
}

fn pool_range(pool: Pool, accounts: &Accounts) -> Finding {
    match pool.check(accounts) {
        Ok(()) => Finding::ok(Group::Installation, "uid pool", format!("{pool} is free and mapped")),
        Err(failure) => missing("uid pool", &failure.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_becomes_a_finding_with_its_help() {
        let finding = missing("x", "error: what\nhelp: mend\n");
        assert_eq!((finding.detail.as_str(), finding.help.as_deref()), ("what", Some("mend")));
    }

    #[test]
    fn a_pool_that_is_not_mapped_is_missing() {
        let accounts =
            Accounts { mapped: vec![("/proc/self/uid_map", "0 0 1\n".into())], ..Accounts::default() };
        assert_eq!(pool_range(Pool::default(), &accounts).outcome, Outcome::Missing);
    }
}
