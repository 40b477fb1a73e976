//! Python's virtual environments: `pyvenv.cfg` beside `bin/python` names the installation behind it.

use super::{Problem, Resolution, Search};
use crate::files::{FileKind, Files};
use crate::floor::{self, Access};
use crate::limits::PYVENV_BYTES_MAX;
use crate::path::{Way, form_error, is_within, join, name, parent};

/// The virtual environment of a path `PREFIX/bin/NAME`, if it is in one.
pub fn prefix<'p>(files: &dyn Files, path: &'p str) -> Option<&'p str> {
    let bin = parent(path);
    let prefix = parent(bin);
    let is_file = |at: &str| files.status(at).is_ok_and(|status| status.kind == FileKind::File);
    (name(bin) == "bin" && is_file(&join(prefix, "pyvenv.cfg"))).then_some(prefix)
}

/// If one of the links to this interpreter lies in a virtual environment: binds the environment and
/// the installation behind it, and returns that link as the program, since Python finds its
/// environment by the path it was started with.
pub fn environment(search: &Search<'_>, way: &Way, into: &mut Resolution) -> Result<Option<String>, Problem> {
    for hop in &way.hops {
        let Some(prefix) = prefix(search.files, hop) else { continue };
        bind(search, prefix, into)?;
        // The program must be where the links end, too, for copies in another installation.
        if let Some(installation) = search.installation(&way.real) {
            search.need(installation, "the Python installation behind the environment".to_owned(), into)?;
        } else {
            search.need(&way.real, "the interpreter".to_owned(), into)?;
        }
        return Ok(Some(hop.clone()));
    }
    Ok(None)
}

/// Binds a virtual environment and the installation that its `pyvenv.cfg` names.
pub fn bind(search: &Search<'_>, prefix: &str, into: &mut Resolution) -> Result<(), Problem> {
    search.need(prefix, "the virtual environment".to_owned(), into)?;
    into.inputs.push(join(prefix, "pyvenv.cfg"));
    let Some(home) = home(search.files, prefix)? else { return Ok(()) };
    into.chain.push(format!("{prefix} is a virtual environment of {home}"));
    if is_within(&home, "/usr") {
        return Ok(());
    }
    let real = search.follow(&home)?.real;
    let installation = if name(&real) == "bin" { parent(&real) } else { real.as_str() };
    if floor::refuse(installation, Access::Execute, search.own).is_some() {
        // Too wide to be bound whole; the interpreter alone may be enough.
        return Ok(());
    }
    search.need(installation, "the Python installation behind the environment".to_owned(), into)
}

/// `home` of `pyvenv.cfg`.
fn home(files: &dyn Files, prefix: &str) -> Result<Option<String>, Problem> {
    let file = join(prefix, "pyvenv.cfg");
    let bytes = files.head(&file, PYVENV_BYTES_MAX).map_err(|error| {
        (format!("{file}: {error}"), format!("the server's user must be able to read it: `chmod a+r {file}`"))
    })?;
    let text = String::from_utf8_lossy(&bytes);
    let value = text.lines().find_map(|line| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == "home").then(|| value.trim().to_owned())
    });
    match value {
        Some(home) if form_error(&home).is_some() => Err((
            format!("`home = {home}` in {file} is not a plain path"),
            "make the environment anew".to_owned(),
        )),
        home => Ok(home),
    }
}
