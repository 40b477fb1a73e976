//! Reading the configuration: at the start, when a file of it changed, at SIGHUP, and when the proxy asks for it.

use crate::configuration::{Compilation, Compiler, Configuration, ConfigurationError};
use crate::limits::{RELOADS_ASKED_MAX, UNWATCHED_TIME_MAX};
use crate::log;
use crate::machine::Isolation;
use crate::watch::Watch;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What came of reading the configuration.
#[derive(Debug)]
pub enum News {
    /// It is what was in force before.
    Same,
    /// It came into force.
    Configuration(Box<Configuration>),
    /// So many errors keep it from coming into force.
    Errors(u32),
}

/// Has the configuration compiled whenever that is due.
#[derive(Debug)]
pub struct Reader {
    compiler: Compiler,
    /// What filters are compiled for: even where no server may be started, so that errors show.
    pub isolation: Isolation,
    /// The files it was made of.
    pub watch: Option<Watch>,
    /// A compilation under way.
    pub compilation: Option<Compilation>,
    /// When it was asked for.
    requested: Option<Instant>,
    /// Who wants an answer of the next reading: connection and request.
    asked: Vec<(u64, u32)>,
    /// Who wants an answer of the one under way.
    reading: Vec<(u64, u32)>,
}

impl Reader {
    /// A reader that has read nothing.
    pub fn new(compiler: Compiler) -> Self {
        Self {
            compiler,
            isolation: Isolation::Namespaces,
            watch: None,
            compilation: None,
            requested: None,
            asked: Vec::new(),
            reading: Vec::new(),
        }
    }

    /// Reads for the first time, and waits for it: nobody is served yet.
    pub fn read_first(&mut self) -> News {
        // Watched from before, so that no change slips between reading and watching.
        self.watch_over(&[]);
        let printed = self.compiler.start().and_then(Compilation::finish);
        self.judge(printed, None)
    }

    /// Has it compiled until the compiler finds no error in it: at once, whenever something changed or may have,
    /// and at SIGHUP. Gives what the compiler printed, unread: a launcher that may still choose any uid decodes
    /// nothing. Serves nobody meanwhile.
    ///
    /// # Errors
    /// The kernel's, if it cannot even wait.
    pub fn compile_until_sound(&mut self) -> nix::Result<Vec<u8>> {
        let mut hangup = SigSet::empty();
        hangup.add(Signal::SIGHUP);
        hangup.thread_block()?;
        let hangup = SignalFd::with_flags(&hangup, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        loop {
            // Watched from before, so that no change slips between reading and watching.
            self.watch_over(&[]);
            match self.compiler.start().and_then(Compilation::finish) {
                Ok(printed) => return Ok(printed),
                Err(error) => drop(complain(&error)),
            }
            log::help("no server is started before this is mended; a change of the configuration is noticed");
            self.wait_for_change(&hangup)?;
        }
    }

    /// Takes what [`Reader::compile_until_sound`] gave for the first configuration.
    pub fn accept_first(&mut self, printed: Vec<u8>) -> News {
        self.judge(Ok(printed), None)
    }

    /// Waits for a change of the files, for SIGHUP, and no longer than a while: what an error names may lie
    /// elsewhere, on a file system that is mounted later.
    fn wait_for_change(&mut self, hangup: &SignalFd) -> nix::Result<()> {
        let latest = Instant::now() + UNWATCHED_TIME_MAX;
        loop {
            let due = self.watch.as_ref().and_then(Watch::due).map_or(latest, |due| due.min(latest));
            let now = Instant::now();
            if due <= now || matches!(hangup.read_signal(), Ok(Some(_))) {
                return Ok(());
            }
            // Rounded up, so that it does not wake a fraction too early.
            let left = due.saturating_duration_since(now) + Duration::from_millis(1);
            let timeout = left.try_into().unwrap_or(PollTimeout::MAX);
            let watched = self.watch.iter().map(|watch| PollFd::new(watch.polled(), PollFlags::POLLIN));
            let told = PollFd::new(hangup.as_fd(), PollFlags::POLLIN);
            match poll(&mut watched.chain([told]).collect::<Vec<_>>(), timeout) {
                Ok(_) | Err(Errno::EINTR) => self.look(),
                Err(errno) => return Err(errno),
            }
        }
    }

    /// Wants the configuration read as soon as possible.
    pub fn request(&mut self) {
        self.requested = Some(Instant::now());
    }

    /// Whether another one may ask for an answer.
    pub fn has_room(&self) -> bool {
        self.asked.len() < RELOADS_ASKED_MAX
    }

    /// Wants the configuration read as soon as possible, and the request answered.
    pub fn request_for(&mut self, asked: (u64, u32)) {
        self.asked.push(asked);
        self.request();
    }

    /// Those who wait for what was read just now.
    pub fn answered(&mut self) -> Vec<(u64, u32)> {
        std::mem::take(&mut self.reading)
    }

    /// Takes note of changed files.
    pub fn look(&mut self) {
        if let Some(watch) = &mut self.watch {
            watch.look(Instant::now());
        }
    }

    /// When something has to be done here.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.compilation {
            Some(compilation) => Some(compilation.deadline),
            None => self.requested.or_else(|| self.watch.as_ref().and_then(Watch::due)),
        }
    }

    /// Whether a compilation takes too long.
    pub fn is_overdue(&self, now: Instant) -> bool {
        self.compilation.as_ref().is_some_and(|compilation| compilation.deadline <= now)
    }

    /// Starts reading if it is time to, and nothing is being read. False if that cannot be done.
    pub fn start_if_due(&mut self, now: Instant) -> bool {
        if self.compilation.is_some() || self.deadline().is_none_or(|due| due > now) {
            return true;
        }
        self.requested = None;
        self.reading = std::mem::take(&mut self.asked);
        if let Some(watch) = &mut self.watch {
            watch.settle();
        }
        match self.compiler.start() {
            Ok(compilation) => {
                self.compilation = Some(compilation);
                true
            }
            Err(error) => {
                log::error(error);
                false
            }
        }
    }

    /// Follows a compilation to its end.
    pub fn advance(&mut self, current: Option<&Configuration>) -> Option<News> {
        let printed = match self.compilation.as_mut()?.advance() {
            Ok(None) => return None,
            Ok(Some(printed)) => Ok(printed),
            Err(error) => Err(error),
        };
        self.compilation = None;
        Some(self.judge(printed, current))
    }

    fn judge(
        &mut self,
        printed: Result<Vec<u8>, ConfigurationError>,
        current: Option<&Configuration>,
    ) -> News {
        let generation = current.map_or(0, |current| current.generation) + 1;
        let judged = printed.and_then(|printed| {
            if current.is_some_and(|current| current.is(&printed)) {
                return Ok(None);
            }
            Configuration::accept(&printed, generation, self.isolation).map(Some)
        });
        match judged {
            Ok(None) => News::Same,
            Ok(Some(configuration)) => {
                self.watch_over(configuration.inputs());
                announce(&configuration);
                News::Configuration(Box::new(configuration))
            }
            Err(error) => News::Errors(complain(&error)),
        }
    }

    /// Watches the configuration itself, the policies beside it, and what else it was made of.
    fn watch_over(&mut self, inputs: &[String]) {
        let mut paths: Vec<PathBuf> = inputs.iter().map(PathBuf::from).collect();
        let config = Path::new(&self.compiler.config);
        if config.is_absolute() {
            paths.push(config.to_owned());
            paths.push(config.with_file_name("policies"));
        }
        match Watch::over(&paths) {
            Ok(watch) => self.watch = Some(watch),
            Err(errno) => log::warn(format_args!("changes of the configuration go unnoticed: {errno}")),
        }
    }
}

fn announce(configuration: &Configuration) {
    configuration.warnings().iter().for_each(|warning| log::warn(warning.escape_debug()));
    let (generation, count) = (configuration.generation, configuration.names().count());
    log::info(format_args!("generation {generation} of the configuration is in force: {count} servers"));
}

/// Logs why a configuration is not in force; answers how many errors that are, at least one.
fn complain(error: &ConfigurationError) -> u32 {
    log::error(error);
    let ConfigurationError::Findings { text, .. } = error else { return 1 };
    text.lines().for_each(|line| log::error(line.escape_debug()));
    let errors = text.lines().filter(|line| line.starts_with("error")).count();
    u32::try_from(errors).unwrap_or(u32::MAX).max(1)
}
