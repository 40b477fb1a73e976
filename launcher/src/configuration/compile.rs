//! Running `only1mcp-compile`: the one program the launcher starts outside a sandbox. It locks itself
//! down before it parses the first byte of YAML, and all that comes back is bounded.

use super::{ConfigurationError, findings};
use crate::arguments::Probe;
use crate::kernel::process;
use crate::limits::{COMPILE_TIME_MAX, FINDINGS_BYTES_MAX};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use only1mcp_wire::Mode;
use only1mcp_wire::limits::PLAN_SET_BYTES_MAX;
use std::ffi::OsString;
use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::time::Instant;

/// How to have a configuration compiled.
#[derive(Clone, Debug)]
pub struct Compiler {
    /// Where `only1mcp-compile` is.
    pub program_directory: PathBuf,
    /// Where servers' directories and secrets are; no policy can grant them.
    pub state_directory: PathBuf,
    /// Where the supervisor's sockets are; no policy can grant them either.
    pub runtime_directory: Option<PathBuf>,
    /// How the launcher runs.
    pub mode: Mode,
    /// The configuration, as it takes it.
    pub config: OsString,
    /// The server whose place the probe takes, and the canaries it sees.
    pub probe: Option<Probe>,
}

/// A compilation under way.
#[derive(Debug)]
pub struct Compilation {
    child: Child,
    process: OwnedFd,
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    plan: Vec<u8>,
    text: Vec<u8>,
    /// When it must be over.
    pub deadline: Instant,
}

impl Compiler {
    #[expect(clippy::disallowed_methods, reason = "the one program the launcher starts outside a sandbox")]
    fn command(&self) -> Command {
        // Its environment is the launcher's own, which `${VAR}` and the search for programs read.
        let mut command = Command::new(self.program_directory.join("only1mcp-compile"));
        command.args(["plan", "--mode", self.mode.phrase(), "--config"]).arg(&self.config);
        command.arg("--program-dir").arg(&self.program_directory);
        command.arg("--state-dir").arg(&self.state_directory);
        if let Some(runtime) = &self.runtime_directory {
            command.arg("--runtime-dir").arg(runtime);
        }
        if let Some(Probe { server, canary }) = &self.probe {
            command.arg("--probe").arg(server).arg("--canary").arg(canary);
        }
        command
    }

    /// Starts the compiler.
    ///
    /// # Errors
    /// [`ConfigurationError::Run`].
    pub fn start(&self) -> Result<Compilation, ConfigurationError> {
        let mut child =
            self.command().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        for stream in
            [stdout.as_ref().map(AsFd::as_fd), stderr.as_ref().map(AsFd::as_fd)].into_iter().flatten()
        {
            fcntl(stream, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map_err(std::io::Error::from)?;
        }
        let process = process::open(child.id()).map_err(std::io::Error::from)?;
        let deadline = Instant::now() + COMPILE_TIME_MAX;
        Ok(Compilation { child, process, stdout, stderr, plan: Vec::new(), text: Vec::new(), deadline })
    }
}

impl Compilation {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What to poll for input: its streams, and its end.
    pub fn polled(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let streams = [self.stdout.as_ref().map(AsFd::as_fd), self.stderr.as_ref().map(AsFd::as_fd)];
        streams.into_iter().flatten().chain([self.process.as_fd()])
    }

    /// Reads what it has printed; the whole plan once it has ended.
    ///
    /// # Errors
    /// [`ConfigurationError`]; then it is to be dropped, which ends it.
    pub fn advance(&mut self) -> Result<Option<Vec<u8>>, ConfigurationError> {
        let status = self.child.try_wait()?;
        let most = usize::try_from(FINDINGS_BYTES_MAX).unwrap_or(usize::MAX);
        drain(&mut self.stdout, &mut self.plan, PLAN_SET_BYTES_MAX)?;
        drain(&mut self.stderr, &mut self.text, most)?;
        match status {
            Some(status) if status.success() => Ok(Some(std::mem::take(&mut self.plan))),
            Some(status) => Err(ConfigurationError::Findings { status, text: findings(&self.text) }),
            None if self.deadline <= Instant::now() => Err(ConfigurationError::Limit("took too long")),
            None => Ok(None),
        }
    }

    /// Waits for its end. Only for the start, when nobody is served yet.
    ///
    /// # Errors
    /// [`ConfigurationError`].
    pub fn finish(mut self) -> Result<Vec<u8>, ConfigurationError> {
        loop {
            if let Some(plan) = self.advance()? {
                return Ok(plan);
            }
            let mut polled: Vec<_> = self.polled().map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
            let left = self.deadline.saturating_duration_since(Instant::now());
            match poll(&mut polled, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(std::io::Error::from(errno).into()),
            }
        }
    }
}

impl Drop for Compilation {
    fn drop(&mut self) {
        // Both do nothing if it was waited for already.
        let _: std::io::Result<()> = self.child.kill();
        let _: std::io::Result<_> = self.child.wait();
    }
}

/// Reads all there is now; at its end the stream is closed.
fn drain<R: Read>(stream: &mut Option<R>, into: &mut Vec<u8>, most: usize) -> Result<(), ConfigurationError> {
    let mut buffer = [0; 16 * 1024];
    while let Some(open) = stream {
        match open.read(&mut buffer) {
            Ok(0) => *stream = None,
            Ok(count) => into.extend_from_slice(buffer.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
        if into.len() > most {
            return Err(ConfigurationError::Limit("printed more than it may"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn y08_the_compiler_is_told_every_directory_that_no_policy_can_grant() {
        let compiler = Compiler {
            program_directory: "/p".into(),
            state_directory: "/s".into(),
            runtime_directory: Some("/r".into()),
            mode: Mode::User,
            config: "builtin".into(),
            probe: None,
        };
        let command = compiler.command();
        let words: Vec<&str> = command.get_args().filter_map(|word| word.to_str()).collect();
        for pair in [["--program-dir", "/p"], ["--state-dir", "/s"], ["--runtime-dir", "/r"]] {
            assert!(words.windows(2).any(|two| two == pair), "{words:?}");
        }
    }
}
