//! Root mode: copies of the programs that run under other uids, in `RUNTIME/bin`, because those uids may
//! not reach the directory we were built or installed in.

use crate::command::directories::set_mode;
use crate::command::exit_code::Exit;
use crate::command::failure::Failure;
use crate::command::program::{Program, Programs};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// Copies them into a fresh `RUNTIME/bin`.
///
/// # Errors
/// When a program is missing or cannot be copied.
pub fn stage(programs: &Programs, runtime: &Path) -> Result<Programs, Failure> {
    let target = runtime.join("bin");
    let copied = renew(&target).and_then(|()| {
        let paths = Program::INSIDE.iter().map(|&program| (programs.path(program), program.file_name()));
        paths.into_iter().try_for_each(|(source, name)| {
            copy(&source, &target, name)
                .map_err(|cause| io::Error::new(cause.kind(), format!("{}: {cause}", source.display())))
        })
    });
    match copied {
        Ok(()) => Ok(Programs::in_directory(&target)),
        Err(cause) => {
            let text = format!("cannot copy our programs to {}: {cause}", target.display());
            Err(Failure::new(Exit::CannotCreate, text)
                .help("install all programs of only1mcp into one directory; the runtime directory must allow execution"))
        }
    }
}

/// What a former instance left is of no use: its programs may be older.
fn renew(target: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(target) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(cause),
        _ => {}
    }
    DirBuilder::new().mode(0o755).create(target)?;
    set_mode(target, 0o755)
}

/// Written under another name first: nobody ever executes half a program.
fn copy(source: &Path, target: &Path, name: &str) -> io::Result<()> {
    let unfinished = target.join(format!(".{name}"));
    let mut from = File::open(source)?;
    let mut to = OpenOptions::new().write(true).create_new(true).mode(0o700).open(&unfinished)?;
    io::copy(&mut from, &mut to)?;
    drop(to);
    set_mode(&unfinished, 0o755)?;
    std::fs::rename(&unfinished, target.join(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn programs_arrive_executable_for_everybody_and_old_ones_go() {
        let base = std::env::temp_dir().join(format!("only1mcp-stage-{}", std::process::id()));
        std::fs::create_dir_all(base.join("run/bin")).unwrap();
        std::fs::write(base.join("run/bin/old"), "").unwrap();
        for program in Program::INSIDE {
            std::fs::write(base.join(program.file_name()), program.file_name()).unwrap();
        }
        let staged = stage(&Programs::in_directory(&base), &base.join("run")).unwrap();
        let path = staged.path(Program::Init);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        let names = std::fs::read_dir(base.join("run/bin")).unwrap().count();
        std::fs::remove_dir_all(&base).unwrap();
        assert_eq!((mode, names), (0o755, Program::INSIDE.len()));
    }

    #[test]
    fn a_missing_program_is_named() {
        let base = std::env::temp_dir().join(format!("only1mcp-stage-none-{}", std::process::id()));
        std::fs::create_dir_all(base.join("run")).unwrap();
        let failure = stage(&Programs::in_directory(&base), &base.join("run")).unwrap_err();
        std::fs::remove_dir_all(&base).unwrap();
        assert!(failure.to_string().contains("only1mcp-init"), "{failure}");
    }
}
