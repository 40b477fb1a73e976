//! Running `only1mcp-compile`: the one program the launcher starts outside a sandbox. It locks itself
//! down before it reads the first byte of YAML, and all that comes back is bounded.

use super::{ConfigurationError, findings};
use crate::limits::{COMPILE_TIME_MAX, FINDINGS_BYTES_MAX};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use only1mcp_wire::limits::PLAN_SET_BYTES_MAX;
use std::ffi::OsString;
use std::io::Read;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// How to have a configuration compiled.
#[derive(Clone, Debug)]
pub struct Compiler {
    /// Where `only1mcp-compile` is.
    pub program_directory: PathBuf,
    /// The configuration, as it takes it.
    pub config: OsString,
}

impl Compiler {
    /// The bytes of a plan set, as printed.
    pub(super) fn run(&self) -> Result<Vec<u8>, ConfigurationError> {
        let mut child = self.start()?;
        let collected = collect(&mut child);
        if collected.is_err() {
            // Nothing is kept of it, so nothing is lost if it had ended meanwhile.
            let _: std::io::Result<()> = child.kill();
        }
        let status = child.wait()?;
        let (plan, text) = collected?;
        if !status.success() {
            return Err(ConfigurationError::Findings { status, text: findings(&text) });
        }
        Ok(plan)
    }

    #[expect(clippy::disallowed_methods, reason = "the one program the launcher starts outside a sandbox")]
    fn start(&self) -> std::io::Result<Child> {
        // Its environment is the launcher's own, which `${VAR}` and the search for programs read.
        Command::new(self.program_directory.join("only1mcp-compile"))
            .arg("plan")
            .arg("--config")
            .arg(&self.config)
            .arg("--program-dir")
            .arg(&self.program_directory)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
    }
}

/// Reads both streams to their ends, whichever has something.
fn collect(child: &mut Child) -> Result<(Vec<u8>, Vec<u8>), ConfigurationError> {
    let (Some(mut stdout), Some(mut stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(std::io::Error::from(std::io::ErrorKind::BrokenPipe).into());
    };
    let deadline = Instant::now() + COMPILE_TIME_MAX;
    let (mut plan, mut text) = (Vec::new(), Vec::new());
    let (mut plan_open, mut text_open) = (true, true);
    while plan_open || text_open {
        let (plan_ready, text_ready) = {
            let flags = |open| if open { PollFlags::POLLIN } else { PollFlags::empty() };
            let mut polled = [
                PollFd::new(stdout.as_fd(), flags(plan_open)),
                PollFd::new(stderr.as_fd(), flags(text_open)),
            ];
            wait(&mut polled, deadline)?;
            let [plan, text] = polled.map(|entry| entry.any().unwrap_or(true));
            (plan, text)
        };
        if plan_open && plan_ready {
            plan_open = read_some(&mut stdout, &mut plan, PLAN_SET_BYTES_MAX)?;
        }
        if text_open && text_ready {
            let most = usize::try_from(FINDINGS_BYTES_MAX).unwrap_or(usize::MAX);
            text_open = read_some(&mut stderr, &mut text, most)?;
        }
    }
    Ok((plan, text))
}

fn wait(polled: &mut [PollFd<'_>], deadline: Instant) -> Result<(), ConfigurationError> {
    let left = deadline.saturating_duration_since(Instant::now());
    let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
    match poll(polled, timeout) {
        Ok(0) => Err(ConfigurationError::Limit("took too long")),
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(std::io::Error::from(errno).into()),
    }
}

/// False at the end of the stream.
fn read_some(from: &mut impl Read, into: &mut Vec<u8>, most: usize) -> Result<bool, ConfigurationError> {
    let mut buffer = [0; 16 * 1024];
    let count = from.read(&mut buffer)?;
    into.extend_from_slice(buffer.get(..count).unwrap_or_default());
    if into.len() > most {
        return Err(ConfigurationError::Limit("printed more than it may"));
    }
    Ok(count > 0)
}
