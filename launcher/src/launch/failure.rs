//! Why a launch failed: the step, the kernel's error and, for the log alone, its subject.

use crate::limits::SUBJECT_BYTES_MAX;
use nix::errno::Errno;
use only1mcp_wire::{Decode, Encode, Step};
use std::fmt;

/// Bytes of a report that `only1mcp-init` sends too: step u16, errno i32.
const HEAD_BYTES: usize = 6;
/// Bytes of a report of the launcher's own child, its subject included.
pub const REPORT_BYTES_MAX: usize = HEAD_BYTES + SUBJECT_BYTES_MAX;

/// The step at which a launch failed, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Which step.
    pub step: Step,
    /// The kernel's answer.
    pub errno: Errno,
    /// The path or name it is about; empty if the step says it all. For the log, never for the proxy.
    pub subject: String,
}

/// Names the step a kernel error belongs to.
pub trait At<T> {
    /// The error happened at `step`.
    fn at(self, step: Step) -> Result<T, Failure>;
    /// The error happened at `step`, to `subject`.
    fn at_subject(self, step: Step, subject: &str) -> Result<T, Failure>;
}

impl<T> At<T> for nix::Result<T> {
    fn at(self, step: Step) -> Result<T, Failure> {
        self.at_subject(step, "")
    }

    fn at_subject(self, step: Step, subject: &str) -> Result<T, Failure> {
        self.map_err(|errno| Failure { step, errno, subject: subject.to_owned() })
    }
}

impl<T> At<T> for std::io::Result<T> {
    fn at(self, step: Step) -> Result<T, Failure> {
        self.at_subject(step, "")
    }

    fn at_subject(self, step: Step, subject: &str) -> Result<T, Failure> {
        self.map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))
            .at_subject(step, subject)
    }
}

impl Failure {
    /// The report as it crosses the pipe.
    #[must_use]
    pub fn to_report(&self) -> Vec<u8> {
        let mut report = Vec::with_capacity(REPORT_BYTES_MAX);
        self.step.encode(&mut report);
        (self.errno as i32).encode(&mut report);
        report.extend(self.subject.bytes().take(SUBJECT_BYTES_MAX));
        report
    }

    /// Reads a report. One that is malformed still is a failure of an unknown kind.
    #[must_use]
    pub fn from_report(report: &[u8]) -> Self {
        let (head, subject) = report.split_at(report.len().min(HEAD_BYTES));
        let (step, errno) = head.split_at(head.len().min(2));
        Self {
            step: Step::from_bytes(step).unwrap_or(Step::Prepare),
            errno: Errno::from_raw(i32::from_bytes(errno).unwrap_or(libc::EPROTO)),
            subject: String::from_utf8_lossy(subject).into_owned(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.step)?;
        if !self.subject.is_empty() {
            write!(f, "{}: ", self.subject.escape_debug())?;
        }
        f.write_str(self.errno.desc())
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_comes_back_as_it_went() {
        let failure = Failure { step: Step::OpenSource, errno: Errno::ENOENT, subject: "/opt/x".into() };
        assert_eq!(Failure::from_report(&failure.to_report()), failure);
        assert_eq!(failure.to_string(), "open a granted path: /opt/x: No such file or directory");
    }

    #[test]
    fn reads_the_six_bytes_of_init() {
        let failure = Failure::from_report(&[29, 0, 2, 0, 0, 0]);
        assert_eq!((failure.step, failure.errno), (Step::ExecServer, Errno::ENOENT));
    }

    #[test]
    fn whatever_a_child_writes_is_a_failure_that_can_be_logged_on_one_line() {
        let mut state = 11_u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(state >> 33).unwrap()
        };
        for length in (0..2_000).map(|round| round % (REPORT_BYTES_MAX + 1)) {
            let report: Vec<u8> = (0..length).map(|_| u8::try_from(random() % 256).unwrap()).collect();
            let failure = Failure::from_report(&report);
            assert!(failure.to_report().len() <= REPORT_BYTES_MAX);
            assert!(!failure.to_string().contains(char::is_control), "{failure}");
        }
    }

    #[test]
    fn a_short_or_strange_report_is_still_a_failure() {
        for report in [&[][..], &[29], &[255, 255, 1, 0, 0, 0]] {
            assert_eq!(Failure::from_report(report).step, Step::Prepare);
        }
    }
}
