//! What is executed: a command becomes a program, its interpreters and the paths all of them need.
//!
//! Everything below `/usr` is visible inside anyway. For anything else the smallest thing that works is
//! bound: a virtual environment, the outermost `node_modules`, an installation prefix, or one file.

mod head;
mod python;

use crate::files::{FileKind, Files, Right};
use crate::finding::{Findings, Place, Spot};
use crate::floor::{self, Access, Own};
use crate::limits::{PROGRAM_HEAD_BYTES, SHEBANG_DEPTH_MAX};
use crate::path::{self, Way, follow, is_within, join, name, parent};
use head::Head;

/// Where programs of our own stand inside, beside the launcher's init.
pub const OWN_PROGRAMS: &str = "/opt/only1mcp";
/// Programs of our own that a configuration may name.
pub const OWN_PROGRAM_NAMES: [&str; 2] = ["only1mcp-probe", "only1mcp-builtin"];

/// What a command stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolution {
    /// The program to execute, as a path inside.
    pub program: String,
    /// What must be visible inside, beside the runtime root.
    pub needs: Vec<Need>,
    /// How the program was found, in words, step by step.
    pub chain: Vec<String>,
    /// Files whose change means that all this must be looked at again.
    pub inputs: Vec<String>,
}

/// A path that must be visible and executable inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// The path on the host, without symbolic links.
    pub source: String,
    /// The path inside.
    pub target: String,
    /// Why.
    pub reason: String,
}

/// What the search is done with.
pub struct Search<'a> {
    /// The host's files.
    pub files: &'a dyn Files,
    /// Where commands without a slash are looked up.
    pub path: &'a [String],
    /// Directories of only1mcp.
    pub own: &'a Own,
    /// Where the command stands in the configuration.
    pub place: &'a Place,
}

/// Why a command cannot be executed: the message, and what to do.
type Problem = (String, String);

/// Finds out what `command` executes. `None` means that an error was found.
pub fn resolve(command: &Spot<String>, search: &Search<'_>, findings: &mut Findings) -> Option<Resolution> {
    let mut resolution = Resolution::default();
    match search.command(&command.value, &mut resolution) {
        Ok(()) => Some(resolution),
        Err((message, help)) => {
            findings.error(&command.place, message, help);
            None
        }
    }
}

impl Search<'_> {
    fn command(&self, command: &str, into: &mut Resolution) -> Result<(), Problem> {
        if OWN_PROGRAM_NAMES.contains(&command) {
            return self.own_program(command, into);
        }
        let found = self.locate(command)?;
        if found != command {
            into.chain.push(format!("{command} was found as {found}"));
        }
        into.program = self.program(&found, 0, into)?;
        Ok(())
    }

    fn own_program(&self, command: &str, into: &mut Resolution) -> Result<(), Problem> {
        let way = self.follow(&join(&self.own.program_directory, command))?;
        self.expect_program(&way)?;
        into.program = join(OWN_PROGRAMS, command);
        into.chain.push(format!("{command} ships with only1mcp: {}", way.real));
        into.inputs.push(way.real.clone());
        let reason = "a program of only1mcp's own".to_owned();
        into.needs.push(Need { source: way.real, target: into.program.clone(), reason });
        Ok(())
    }

    /// The path a command stands for: itself if it has a slash, else the first hit in PATH.
    fn locate(&self, command: &str) -> Result<String, Problem> {
        if command.contains('/') {
            return match path::form_error(command) {
                Some((why, help)) => Err((format!("the command `{command}` {why}"), help)),
                None => Ok(command.to_owned()),
            };
        }
        if command.is_empty() || command.starts_with('-') {
            return Err((
                format!("`{command}` is not a command"),
                "write a program's name or path".to_owned(),
            ));
        }
        self.lookup(command).ok_or_else(|| {
            let message = format!("the command `{command}` is not in {}", self.path.join(":"));
            (message, format!("install {command} for all users, or write its absolute path"))
        })
    }

    fn lookup(&self, command: &str) -> Option<String> {
        self.path.iter().map(|directory| join(directory, command)).find(|candidate| {
            follow(self.files, candidate).is_ok_and(|way| {
                way.status.kind == FileKind::File && self.files.may(&way.real, Right::Execute)
            })
        })
    }

    /// Looks at a program or interpreter, notes what it needs, and returns its path inside.
    fn program(&self, path: &str, depth: usize, into: &mut Resolution) -> Result<String, Problem> {
        if depth >= SHEBANG_DEPTH_MAX {
            let message = format!("{path}: a chain of more than {SHEBANG_DEPTH_MAX} interpreters");
            return Err((message, "name the last program itself".to_owned()));
        }
        let way = self.follow(path)?;
        self.expect_program(&way)?;
        into.inputs.push(way.real.clone());
        if way.real != *path {
            into.chain.push(format!("{path} leads to {}", way.real));
        }
        match head::read(self.files, &way.real, PROGRAM_HEAD_BYTES)? {
            Head::Machine => self.machine(&way, into),
            Head::Script { interpreter, via_env } => {
                self.script(&way, into)?;
                let next = if via_env { self.env(&way.real, &interpreter, into)? } else { interpreter };
                into.chain.push(format!("{} is a script for {next}", way.real));
                self.program(&next, depth + 1, into).map_err(|(message, help)| {
                    // Once is enough, for the script that was named.
                    let script = if depth == 0 {
                        format!("{} is a script for {next}: ", way.real)
                    } else {
                        String::new()
                    };
                    (format!("{script}{message}"), help)
                })?;
                Ok(way.real)
            }
        }
    }

    /// The interpreter that `/usr/bin/env` will find inside.
    fn env(&self, script: &str, command: &str, into: &mut Resolution) -> Result<String, Problem> {
        let found = self.lookup(command).ok_or_else(|| {
            let message =
                format!("{script} is a script for `{command}`, which is not in {}", self.path.join(":"));
            (
                message,
                format!("install {command} for all users, or name it as the command and the script in args"),
            )
        })?;
        into.chain.push(format!("env finds {command} as {found}"));
        Ok(found)
    }

    fn machine(&self, way: &Way, into: &mut Resolution) -> Result<String, Problem> {
        if let Some(program) = python::environment(self, way, into)? {
            return Ok(program);
        }
        if is_within(&way.real, "/usr") {
            return Ok(way.real.clone());
        }
        let (source, reason) = match self.installation(&way.real) {
            Some(prefix) => (prefix.to_owned(), format!("the installation that {} belongs to", way.real)),
            None => (way.real.clone(), "the program itself".to_owned()),
        };
        self.need(&source, reason, into)?;
        Ok(way.real.clone())
    }

    /// `X` for `X/bin/NAME` if `X/lib` exists and `X` is a directory made for one installation.
    fn installation<'p>(&self, real: &'p str) -> Option<&'p str> {
        let bin = parent(real);
        let prefix = parent(bin);
        let made_for_one =
            name(bin) == "bin" && path::ancestors(prefix).count() > 1 && name(prefix) != ".local";
        let lib = || {
            follow(self.files, &join(prefix, "lib")).is_ok_and(|way| way.status.kind == FileKind::Directory)
        };
        (made_for_one && lib() && floor::refuse(prefix, Access::Execute, self.own).is_none())
            .then_some(prefix)
    }

    fn script(&self, way: &Way, into: &mut Resolution) -> Result<(), Problem> {
        let real = way.real.as_str();
        if !self.files.may(real, Right::Read) {
            return Err(self.unreadable(real));
        }
        if is_within(real, "/usr") {
            return Ok(());
        }
        if let Some(modules) = outermost_node_modules(real) {
            let manifest = join(parent(modules), "package.json");
            if self.files.status(&manifest).is_ok_and(|status| status.kind == FileKind::File) {
                self.need(&manifest, "tells Node.js what kind of modules these are".to_owned(), into)?;
            }
            return self.need(modules, "the packages that the script belongs to".to_owned(), into);
        }
        if let Some(prefix) = python::prefix(self.files, real) {
            return python::bind(self, prefix, into);
        }
        if let Some(package) = self.package(real) {
            return self.need(&package, "the package that the script belongs to".to_owned(), into);
        }
        self.need(real, "the script itself".to_owned(), into)
    }

    /// The nearest directory above that has a `package.json`, unless it is too wide to be given.
    fn package(&self, real: &str) -> Option<String> {
        let mut at = parent(real);
        while at != "/" {
            if self.files.status(&join(at, "package.json")).is_ok() {
                return floor::refuse(at, Access::Execute, self.own).is_none().then(|| at.to_owned());
            }
            at = parent(at);
        }
        None
    }

    /// Notes that `source` must be visible at its own path.
    fn need(&self, source: &str, reason: String, into: &mut Resolution) -> Result<(), Problem> {
        if is_within(source, "/usr") || into.needs.iter().any(|need| is_within(source, &need.target)) {
            return Ok(());
        }
        if let Some((why, help)) = floor::refuse(source, Access::Execute, self.own) {
            return Err((format!("the command needs {source}, which {why}"), help));
        }
        if !self.files.may(source, Right::Read) {
            return Err(self.unreadable(source));
        }
        let target = source.to_owned();
        into.needs.push(Need { source: target.clone(), target, reason });
        Ok(())
    }

    fn follow(&self, path: &str) -> Result<Way, Problem> {
        follow(self.files, path).map_err(|error| error.explain())
    }

    fn expect_program(&self, way: &Way) -> Result<(), Problem> {
        let real = &way.real;
        if way.status.kind != FileKind::File {
            return Err((format!("{real} is not a file"), "name a program".to_owned()));
        }
        if !self.files.may(real, Right::Execute) {
            let message = format!("the server's user may not execute {real}");
            return Err((message, format!("allow it with `chmod a+rx {real}`")));
        }
        Ok(())
    }

    #[expect(clippy::unused_self, reason = "reads as the other steps do")]
    fn unreadable(&self, path: &str) -> Problem {
        (format!("the server's user may not read {path}"), format!("allow it with `chmod -R o+rX {path}`"))
    }
}

/// `/a/node_modules` for `/a/node_modules/b/node_modules/c/x.js`.
fn outermost_node_modules(path: &str) -> Option<&str> {
    let index = path.find("/node_modules/")?;
    path.get(..index + "/node_modules".len())
}

#[cfg(test)]
mod tests;
