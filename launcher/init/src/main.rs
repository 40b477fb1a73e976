//! PID 1 of a sandbox: starts the server, reaps what is orphaned, forwards signals, ends with the server.
//!
//! A program of its own, so that nothing of the launcher's memory is left inside; without Rust's
//! runtime and without allocation, because one of it runs beside every server. All walls stand already.
//!
//! `only1mcp-init PROGRAM ARG0 ARG1...`, descriptor 3 = where a failing step is reported.
#![no_main]
#![expect(unsafe_code, reason = "plain system calls through libc, without the runtime that would wrap them")]

use std::sync::atomic::{AtomicI32, Ordering};

/// Where the launcher listens for failures; closed without a byte once the server runs.
const REPORT: libc::c_int = 3;
/// `only1mcp_wire::Step::ForkServer`; this program links nothing of ours.
const FORK_SERVER: u16 = 28;
/// `only1mcp_wire::Step::ExecServer`.
const EXEC_SERVER: u16 = 29;
/// How this program ends when it could not start the server.
const CANNOT_START: libc::c_int = 127;
/// `EX_USAGE`.
const USAGE: libc::c_int = 64;
/// The signals that are meant for the server.
const FORWARDED: [libc::c_int; 3] = [libc::SIGTERM, libc::SIGINT, libc::SIGHUP];

/// The server's process id; 0 until it has one.
static SERVER: AtomicI32 = AtomicI32::new(0);

/// Called by the C library.
///
/// # Safety
/// `arguments` is what `execve` handed over: `count` C strings and a null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn main(count: libc::c_int, arguments: *const *const libc::c_char) -> libc::c_int {
    if count < 3 {
        return USAGE;
    }
    // SAFETY: PR_SET_DUMPABLE takes plain numbers.
    unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) };
    let waiting = block_forwarded();
    // SAFETY: takes nothing.
    let parent = unsafe { libc::getpid() };
    // SAFETY: this process has one thread.
    match unsafe { libc::fork() } {
        -1 => {
            report(FORK_SERVER);
            CANNOT_START
        }
        0 => {
            // SAFETY: `count` is at least 3, so both lie before the null that ends the list.
            let (program, server_arguments) = unsafe { (*arguments.add(1), arguments.add(2)) };
            become_server(program, server_arguments, &waiting, parent)
        }
        server => {
            SERVER.store(server, Ordering::Relaxed);
            keep_house(server, &waiting)
        }
    }
}

/// Holds the forwarded signals back until there is a server to forward them to. Returns the mask before.
fn block_forwarded() -> libc::sigset_t {
    // SAFETY: `sigset_t` is an array of integers; the calls write only to the two sets.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        let mut before: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for signal in FORWARDED {
            libc::sigaddset(&raw mut set, signal);
        }
        libc::sigprocmask(libc::SIG_BLOCK, &raw const set, &raw mut before);
        before
    }
}

/// The server's side of the fork: its own session, then its own program.
fn become_server(
    program: *const libc::c_char,
    arguments: *const *const libc::c_char,
    mask: &libc::sigset_t,
    parent: libc::pid_t,
) -> libc::c_int {
    // Without a pid namespace nothing else ends the server when its PID 1 is killed.
    // SAFETY: plain numbers.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0);
        if libc::getppid() != parent {
            return CANNOT_START;
        }
    }
    // SAFETY: both pointers come from our own arguments and end as `execve` wants them; `environ` is
    // the C library's and nobody changes it.
    unsafe {
        libc::fcntl(REPORT, libc::F_SETFD, libc::FD_CLOEXEC);
        libc::setsid();
        libc::sigprocmask(libc::SIG_SETMASK, mask, std::ptr::null_mut());
        libc::execve(program, arguments, environ.cast());
    }
    report(EXEC_SERVER);
    CANNOT_START
}

/// PID 1's side: no stream of the server stays open here, orphans are reaped, and when the server
/// ends this process ends, with which the kernel ends whatever else is left inside.
fn keep_house(server: libc::pid_t, mask: &libc::sigset_t) -> libc::c_int {
    release_streams();
    // SAFETY: the handler only reads an atomic and calls `kill`, both allowed in a handler.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = forward as *const () as libc::sighandler_t;
        for signal in FORWARDED {
            libc::sigaction(signal, &raw const action, std::ptr::null_mut());
        }
        libc::sigprocmask(libc::SIG_SETMASK, mask, std::ptr::null_mut());
    }
    loop {
        let mut status = 0;
        // SAFETY: `wait` writes one integer.
        let ended = unsafe { libc::wait(&raw mut status) };
        if ended == server {
            return if libc::WIFSIGNALED(status) {
                128 + libc::WTERMSIG(status)
            } else {
                libc::WEXITSTATUS(status)
            };
        }
        // SAFETY: the C library's errno of this thread.
        if ended == -1 && unsafe { *libc::__errno_location() } != libc::EINTR {
            return CANNOT_START;
        }
    }
}

/// Points the standard streams at `/dev/null`, or closes them where there is none.
fn release_streams() {
    // SAFETY: plain descriptors and a constant C string.
    unsafe {
        let nowhere = libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC);
        for stream in 0..3 {
            if nowhere >= 0 {
                libc::dup2(nowhere, stream);
            } else {
                libc::close(stream);
            }
        }
        libc::close(REPORT);
        if nowhere > 2 {
            libc::close(nowhere);
        }
    }
}

extern "C" fn forward(signal: libc::c_int) {
    // SAFETY: `kill` may be called in a handler; the server is not reaped before this process ends.
    unsafe { libc::kill(SERVER.load(Ordering::Relaxed), signal) };
}

/// Says which step failed and why: step u16, errno i32, both little-endian.
fn report(step: u16) {
    // SAFETY: the C library's errno of this thread.
    let errno = unsafe { *libc::__errno_location() };
    let [a, b] = step.to_le_bytes();
    let [c, d, e, f] = errno.to_le_bytes();
    let record = [a, b, c, d, e, f];
    // SAFETY: the kernel reads these six bytes.
    unsafe { libc::write(REPORT, record.as_ptr().cast(), record.len()) };
}

unsafe extern "C" {
    static environ: *const *const libc::c_char;
}
