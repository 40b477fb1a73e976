//! The configuration in force: read by `only1mcp-compile`, checked once more here, and counted.

mod check;
mod compile;

use crate::confine::seccomp::Filters;
use crate::limits::FINDINGS_BYTES_MAX;
use crate::machine::Isolation;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use only1mcp_wire::{DecodeError, PlanSet, ServerName, ServerPlan};
use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use thiserror::Error;

pub use compile::{Compilation, Compiler};

/// Why a configuration did not come into force.
#[derive(Debug, Error)]
pub enum ConfigurationError {
    /// `only1mcp-compile` could not be run to its end.
    #[error("cannot run only1mcp-compile: {0}")]
    Run(#[from] std::io::Error),
    /// It took too long or printed too much.
    #[error("only1mcp-compile {0}")]
    Limit(&'static str),
    /// It found errors, or failed. What it said goes to the log line by line.
    #[error("the configuration has errors (only1mcp-compile ended with {status})")]
    Findings {
        /// How it ended.
        status: std::process::ExitStatus,
        /// What it said.
        text: String,
    },
    /// It printed something else than a plan.
    #[error("only1mcp-compile printed no plan: {0}")]
    Decode(#[from] DecodeError),
    /// A plan holds what no plan may hold.
    #[error("the plan of server \"{server}\" is refused: {fault}")]
    Refused {
        /// Whose plan.
        server: ServerName,
        /// Why.
        fault: check::Fault,
    },
    /// A filter could not be compiled.
    #[error("the filter of server \"{server}\" cannot be compiled: {cause}")]
    Filter {
        /// Whose filter.
        server: ServerName,
        /// Why.
        cause: seccompiler::Error,
    },
}

/// All plans of one generation, ready to be launched.
#[derive(Debug)]
pub struct Configuration {
    /// Counts configurations that came into force, from 1.
    pub generation: u64,
    set: PlanSet,
    filters: Vec<Filters>,
}

impl Configuration {
    /// Takes what the compiler printed, if it is sound.
    ///
    /// # Errors
    /// [`ConfigurationError`]; whatever was in force before should stay so.
    pub fn accept(printed: &[u8], generation: u64, isolation: Isolation) -> Result<Self, ConfigurationError> {
        let set = PlanSet::from_bytes(printed)?;
        let filters = set.servers.iter().map(|plan| accept(plan, isolation)).collect::<Result<_, _>>()?;
        Ok(Self { generation, set, filters })
    }

    /// The plan of the server of this name, and its filters.
    #[must_use]
    pub fn server(&self, name: &ServerName) -> Option<(&ServerPlan, &Filters)> {
        let index = self.set.servers.binary_search_by(|plan| plan.name.cmp(name)).ok()?;
        Some((self.set.servers.get(index)?, self.filters.get(index)?))
    }

    /// All names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &ServerName> {
        self.set.servers.iter().map(|plan| &plan.name)
    }

    /// Whether it is what the compiler printed.
    #[must_use]
    pub fn is(&self, printed: &[u8]) -> bool {
        self.set.to_bytes() == printed
    }

    /// The files and directories it was made of.
    #[must_use]
    pub fn inputs(&self) -> &[String] {
        &self.set.inputs
    }

    /// What is questionable about it, in words.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.set.warnings
    }

    /// The view, in a memfd that nobody can change.
    ///
    /// # Errors
    /// The kernel's.
    pub fn view(&self) -> std::io::Result<OwnedFd> {
        let memory = memfd_create(c"only1mcp-view", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?;
        let mut file = File::from(memory);
        file.write_all(&self.set.view)?;
        let seals =
            SealFlag::F_SEAL_WRITE | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_SEAL;
        fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
        std::io::Seek::rewind(&mut file)?;
        Ok(file.into())
    }
}

fn accept(plan: &ServerPlan, isolation: Isolation) -> Result<Filters, ConfigurationError> {
    check::check(plan).map_err(|fault| ConfigurationError::Refused { server: plan.name.clone(), fault })?;
    Filters::compile(plan, isolation)
        .map_err(|cause| ConfigurationError::Filter { server: plan.name.clone(), cause })
}

/// What is kept of a text that another program printed, for a log.
fn findings(bytes: &[u8]) -> String {
    let kept = usize::try_from(FINDINGS_BYTES_MAX).map_or(bytes.len(), |max| bytes.len().min(max));
    String::from_utf8_lossy(bytes.get(..kept).unwrap_or_default()).into_owned()
}
