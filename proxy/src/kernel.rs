//! The one unsafe place of the proxy: takes over the descriptors that a supervisor passed
//! (`LISTEN_FDS`, from 3 on), and counts those that are open. The type system cannot know that they are open and ours.
#![expect(unsafe_code, reason = "a number becomes an owned descriptor only here")]

use crate::limits::LISTENERS_MAX;
use nix::libc;
use std::env::VarError;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

/// The first descriptor of the convention.
const FIRST: RawFd = 3;

/// Closed numbers in a row after which no open one is expected: the kernel gives the lowest that is free.
const CLOSED_IN_A_ROW: RawFd = 4096;

/// How many descriptors this process has open. It has no `/proc` to look it up.
#[must_use]
pub fn open_descriptors() -> usize {
    let (mut open, mut last) = (0, 0);
    let mut number = 0;
    while number - last < CLOSED_IN_A_ROW {
        // SAFETY: F_GETFD takes no pointer and changes nothing, whatever the number stands for.
        if unsafe { libc::fcntl(number, libc::F_GETFD) } >= 0 {
            open += 1;
            last = number;
        }
        number += 1;
    }
    open
}

/// Why no descriptors could be taken over.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiveError {
    /// The variables are missing or wrong.
    #[error("{0}")]
    Environment(&'static str),
    /// A descriptor that was announced is not open.
    #[error("descriptor {0} of LISTEN_FDS is not open")]
    NotOpen(RawFd),
}

/// Takes over the descriptors that were passed to this process, with their names. Once.
///
/// Must run before this process opens any descriptor of its own.
///
/// # Errors
/// [`ReceiveError`] if the convention is not kept, or for a second call.
pub fn received() -> Result<Vec<(String, OwnedFd)>, ReceiveError> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    let names = announced(|name| match std::env::var(name) {
        Ok(value) => Some(value),
        Err(VarError::NotPresent) => None,
        Err(VarError::NotUnicode(_)) => Some(String::new()),
    })?;
    if TAKEN.swap(true, Ordering::SeqCst) {
        return Err(ReceiveError::Environment("the descriptors of LISTEN_FDS were taken over already"));
    }
    (FIRST..).zip(names).map(|(number, name)| Ok((name, take(number)?))).collect()
}

/// The names of the descriptors that the environment announces, in order.
fn announced(variable: impl Fn(&str) -> Option<String>) -> Result<Vec<String>, ReceiveError> {
    let wrong = |problem| Err(ReceiveError::Environment(problem));
    if variable("LISTEN_PID").is_some_and(|pid| pid != std::process::id().to_string()) {
        return wrong("LISTEN_PID names another process");
    }
    let Some(count) = variable("LISTEN_FDS").and_then(|count| count.parse::<usize>().ok()) else {
        return wrong("LISTEN_FDS is missing or no number");
    };
    if count > LISTENERS_MAX {
        return wrong("LISTEN_FDS announces too many descriptors");
    }
    let names = variable("LISTEN_FDNAMES").unwrap_or_default();
    let names: Vec<String> = names.split(':').map(str::to_owned).collect();
    if names.len() == count {
        Ok(names)
    } else {
        wrong("LISTEN_FDNAMES must name as many descriptors as LISTEN_FDS says")
    }
}

/// Owns an open descriptor and keeps it from leaking into any other program.
fn take(number: RawFd) -> Result<OwnedFd, ReceiveError> {
    // SAFETY: F_SETFD takes an integer and touches no memory of ours; a closed descriptor is an error.
    if unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) } == -1 {
        return Err(ReceiveError::NotOpen(number));
    }
    // SAFETY: the descriptor is open (just seen), was opened by whoever started us (nothing of ours is
    // open yet, the caller guarantees), and nobody else owns it: `TAKEN` lets this run once per number.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

#[cfg(test)]
mod tests {
    #[test]
    fn descriptors_are_counted() {
        // Other tests of this process open and close some meanwhile.
        let files: Vec<_> = (0..200).map(|_| std::fs::File::open("/dev/null").unwrap()).collect();
        let with = super::open_descriptors();
        drop(files);
        assert!(with >= 200 && super::open_descriptors() + 100 < with);
    }

    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Vec<String>, ReceiveError> {
        announced(|name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn reads_the_convention() {
        let own = std::process::id().to_string();
        assert_eq!(
            read(&[("LISTEN_FDS", "2"), ("LISTEN_FDNAMES", "mcp:relay")]),
            Ok(vec!["mcp".to_owned(), "relay".to_owned()])
        );
        assert!(read(&[("LISTEN_FDS", "1"), ("LISTEN_FDNAMES", "mcp"), ("LISTEN_PID", &own)]).is_ok());
    }

    #[test]
    fn refuses_what_does_not_keep_the_convention() {
        for variables in [
            &[][..],
            &[("LISTEN_FDS", "x"), ("LISTEN_FDNAMES", "mcp")],
            &[("LISTEN_FDS", "2"), ("LISTEN_FDNAMES", "mcp")],
            &[("LISTEN_FDS", "17"), ("LISTEN_FDNAMES", "a")],
            &[("LISTEN_FDS", "1"), ("LISTEN_FDNAMES", "mcp"), ("LISTEN_PID", "1")],
            &[("LISTEN_FDS", "-1"), ("LISTEN_FDNAMES", "mcp")],
        ] {
            assert!(read(variables).is_err(), "{variables:?}");
        }
    }

    #[test]
    fn refuses_a_descriptor_that_is_not_open() {
        assert_eq!(take(9999).unwrap_err(), ReceiveError::NotOpen(9999));
    }
}
