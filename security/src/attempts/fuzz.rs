//! Attack by chance: system calls drawn at random, always the same ones for the same seed.

use std::time::{Duration, Instant};

use super::{open, scratch, twins};
use crate::call;
use crate::catalogue::{Attempt, BLANK, Expected, Pace, Tried};
use crate::probe::kernel;
use crate::probe::{Act, Targets};

/// Where the drawing begins, unless the target `seed` says otherwise.
const SEED: u64 = 0x6f6e_6c79_316d_6370;
/// How long it goes on.
const TIME: Duration = Duration::from_secs(4);
/// Calls of one child; then, or when a call ends it, comes the next.
const CALLS_OF_A_CHILD: usize = 400;
/// How long a child may take, in seconds: some calls wait for ever.
const CHILD_SECONDS: i32 = 1;
/// Numbers drawn.
const NUMBERS: u64 = 480;
/// Bytes of the memory that calls are given.
const MEMORY: usize = 16 * 1024;
/// Bytes a file may get, so that the disk stays as it is.
const FILE_BYTES_MAX: i64 = 1 << 20;

/// Not drawn: they would end the server itself, which is in the same sandbox, make ever more processes,
/// or end the child before its time.
const SPARED: [i64; 16] = [
    libc::SYS_kill,
    libc::SYS_tkill,
    libc::SYS_tgkill,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_pidfd_send_signal,
    libc::SYS_fork,
    libc::SYS_vfork,
    libc::SYS_clone,
    libc::SYS_clone3,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_alarm,
    libc::SYS_setitimer,
    libc::SYS_rt_sigreturn,
    libc::SYS_setpriority,
];
/// Drawn outside, where nothing holds the calls back: they change nothing.
const HARMLESS: [i64; 6] = [
    libc::SYS_getpid,
    libc::SYS_getuid,
    libc::SYS_getppid,
    libc::SYS_times,
    libc::SYS_sched_yield,
    libc::SYS_getcpu,
];

/// Numbers without a pattern (splitmix64), the same ones for the same seed.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

fn fuzz(targets: &Targets) -> Tried {
    let seed = targets.number("seed").map_or(SEED, i64::cast_unsigned);
    let inside = targets.text("outside_uid").is_err();
    let directory = scratch(targets, "fuzz")?;
    let _ = call!(libc::SYS_mkdirat, libc::AT_FDCWD, &*directory, 0o700);
    let begin = Instant::now();
    let (mut children, mut killed) = (0_u64, 0_u64);
    while begin.elapsed() < TIME && (inside || children < 10) {
        let status = round(seed.wrapping_add(children), inside, &directory)?;
        killed += u64::from(matches!(status, nix::sys::wait::WaitStatus::Signaled(..)));
        children += 1;
    }
    let detail =
        format!("seed {seed:#x}: {children} children of {CALLS_OF_A_CHILD} calls, {killed} ended by a call");
    Ok(vec![
        Act::fact("make random calls", (children > 0).into(), detail.clone()),
        Act::fact("lose its own process to it", (call!(libc::SYS_getpid).is_err()).into(), detail),
    ])
}

fn round(seed: u64, inside: bool, directory: &std::ffi::CStr) -> Result<nix::sys::wait::WaitStatus, String> {
    let Some(child) = kernel::fork().map_err(|errno| errno.to_string())? else {
        if prepare(directory).is_ok() {
            draw(seed, inside);
        }
        kernel::exit_now(0);
    };
    nix::sys::wait::waitpid(child, None).map_err(|errno| errno.to_string())
}

/// Away from everything shared: no stream of the server's, a directory of its own, small files, little time.
fn prepare(directory: &std::ffi::CStr) -> Result<i64, nix::errno::Errno> {
    let null = open(c"/dev/null", libc::O_RDWR)?;
    for stream in 0..3 {
        call!(libc::SYS_dup2, null, stream)?;
    }
    call!(libc::SYS_close_range, 3, 1 << 30, 0)?;
    call!(libc::SYS_chdir, directory)?;
    let limit = [FILE_BYTES_MAX.to_ne_bytes(), FILE_BYTES_MAX.to_ne_bytes()].concat();
    call!(libc::SYS_prlimit64, 0, 1, limit.as_slice(), 0)?;
    call!(libc::SYS_setpgid, 0, 0)?;
    call!(libc::SYS_alarm, CHILD_SECONDS)
}

fn draw(seed: u64, inside: bool) {
    let mut numbers = Numbers(seed);
    let mut memory = vec![0_u8; MEMORY];
    for byte in &mut memory {
        // No slash: names stay in the directory of their own.
        *byte = match numbers.next().to_ne_bytes() {
            [b'/', ..] => 0,
            [byte, ..] => byte,
        };
    }
    for _ in 0..CALLS_OF_A_CHILD {
        let number = if inside {
            i64::try_from(numbers.below(NUMBERS)).unwrap_or(0)
        } else {
            let index = usize::try_from(numbers.below(HARMLESS.len() as u64)).unwrap_or(0);
            HARMLESS.get(index).copied().unwrap_or(libc::SYS_getpid)
        };
        if SPARED.contains(&number) {
            continue;
        }
        let arguments = [(); 6].map(|()| argument(&mut numbers));
        let _ = kernel::drawn(number, arguments, &mut memory);
    }
}

fn argument(numbers: &mut Numbers) -> kernel::Drawn {
    match numbers.below(8) {
        0 => kernel::Drawn::Number(0),
        1 => kernel::Drawn::Number(1),
        2 => kernel::Drawn::Number(-1),
        3 => kernel::Drawn::Number(i64::try_from(numbers.below(64)).unwrap_or(0)),
        4 => kernel::Drawn::Number(1 << numbers.below(63)),
        5 => kernel::Drawn::Number(numbers.next().cast_signed()),
        _ => kernel::Drawn::Memory(usize::try_from(numbers.below(MEMORY as u64 / 8)).unwrap_or(0) * 8),
    }
}

/// The server answers, can start processes and write as before.
fn still_works(targets: &Targets) -> Tried {
    let mut acts = twins::write_scratch(targets)?;
    acts.extend(twins::signal_own_child(targets)?);
    Ok(acts)
}

/// The part of the catalogue that is left to chance.
pub const ATTEMPTS: &[Attempt] = &[Attempt {
    id: "K20",
    what: "make random system calls with random arguments for some seconds",
    wall: "all walls: what matters is that no canary, no server and none of our processes is harmed",
    user: Expected::but("allowed", &[("lose its own process", "hidden")]),
    root: Expected::but("allowed", &[("lose its own process", "hidden")]),
    alone: &[("lose its own process", "the control makes harmless calls only")],
    pace: Pace::Slow,
    twin: "write a file, start and end a child",
    reference: "trinity, syzkaller",
    run: fuzz,
    twin_run: still_works,
    ..BLANK
}];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_draws_the_same_numbers() {
        let draw = |seed| {
            let mut numbers = Numbers(seed);
            [(); 4].map(|()| numbers.next())
        };
        assert_eq!(draw(SEED), draw(SEED));
        assert_ne!(draw(SEED), draw(SEED + 1));
    }
}
