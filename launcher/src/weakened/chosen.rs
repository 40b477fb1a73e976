//! What this launcher lacks: read once from the file `weakened` beside the program. Tests alone have this.

use super::{NAMES, Weakness};
use seccompiler::sock_filter;
use std::path::PathBuf;
use std::sync::OnceLock;

/// Beside the program; one name a line.
const FILE: &str = "weakened";

static LACKING: OnceLock<Vec<Weakness>> = OnceLock::new();

/// Whether this launcher lacks something, or makes a mistake, on purpose.
#[must_use]
pub fn lacks(weakness: Weakness) -> bool {
    LACKING.get().is_some_and(|lacking| lacking.contains(&weakness))
}

/// Reads what is to be lacking, and says so in the log.
///
/// # Errors
/// A name nobody knows, with all that are known: a test that weakens nothing proves nothing.
pub fn begin() -> std::io::Result<()> {
    let text = std::fs::read_to_string(beside_us()?)?;
    let known = |name: &str| NAMES.iter().find(|(known, _)| *known == name).map(|(_, weakness)| *weakness);
    let lacking: Option<Vec<Weakness>> = text.lines().map(known).collect();
    let Some(lacking) = lacking else {
        let names: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
        return Err(std::io::Error::other(format!("known weaknesses: {}", names.join("; "))));
    };
    crate::log::warn(format_args!("weakened for a test: {}", text.trim().replace('\n', "; ")));
    let _: Result<(), _> = LACKING.set(lacking);
    if lacks(Weakness::OpenDirectory) {
        leave_a_directory_open()?;
    }
    Ok(())
}

fn beside_us() -> std::io::Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name(FILE))
}

/// As a library would that knows no close-on-exec.
fn leave_a_directory_open() -> std::io::Result<()> {
    let directory = std::fs::File::open("/")?;
    // A copy has the flag no longer.
    std::mem::forget(nix::unistd::dup(&directory)?);
    Ok(())
}

/// A filter by which the kernel takes no notice of `PR_SET_DUMPABLE`, and says that it did.
#[must_use]
pub fn pretend_undumpable() -> Vec<sock_filter> {
    const NUMBER: u32 = 0;
    const FIRST_ARGUMENT: u32 = 16;
    let load = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    let equal = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    let answer = libc::BPF_RET | libc::BPF_K;
    let instruction =
        |code: u32, jf, k| sock_filter { code: u16::try_from(code).unwrap_or_default(), jt: 0, jf, k };
    vec![
        instruction(load, 0, NUMBER),
        instruction(equal, 3, u32::try_from(libc::SYS_prctl).unwrap_or_default()),
        instruction(load, 0, FIRST_ARGUMENT),
        instruction(equal, 1, libc::PR_SET_DUMPABLE.unsigned_abs()),
        instruction(answer, 0, libc::SECCOMP_RET_ERRNO),
        instruction(answer, 0, libc::SECCOMP_RET_ALLOW),
    ]
}
