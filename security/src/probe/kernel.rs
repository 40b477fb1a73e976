//! Raw system calls, so that no library softens a question before the kernel hears it.
//!
//! The only unsafe code of this crate. Arguments are typed: what the kernel reads or writes is borrowed.
#![expect(unsafe_code, reason = "the questions are system calls no safe face asks")]
#![expect(clippy::cast_possible_wrap, reason = "registers hold bits, not numbers")]

use std::ffi::CStr;

use nix::errno::Errno;

/// What the kernel answered: a number, or why not.
pub type Answer = Result<i64, Errno>;

/// One argument of a system call.
#[derive(Debug)]
pub enum Argument<'a> {
    /// A plain value.
    Number(i64),
    /// Text the kernel reads, with its NUL.
    Text(&'a CStr),
    /// Bytes the kernel reads.
    In(&'a [u8]),
    /// Bytes the kernel may write.
    Out(&'a mut [u8]),
}

impl Argument<'_> {
    fn register(&mut self) -> i64 {
        match self {
            Self::Number(value) => *value,
            Self::Text(text) => text.as_ptr().expose_provenance() as i64,
            Self::In(bytes) => address(bytes),
            Self::Out(bytes) => bytes.as_mut_ptr().expose_provenance() as i64,
        }
    }
}

/// The address of bytes that a structure for the kernel points to.
#[must_use]
pub fn address(bytes: &[u8]) -> i64 {
    bytes.as_ptr().expose_provenance() as i64
}

/// The address of bytes that the kernel may write through a structure.
#[must_use]
pub fn address_mut(bytes: &mut [u8]) -> i64 {
    bytes.as_mut_ptr().expose_provenance() as i64
}

impl From<i32> for Argument<'_> {
    fn from(value: i32) -> Self {
        Self::Number(value.into())
    }
}
impl From<i64> for Argument<'_> {
    fn from(value: i64) -> Self {
        Self::Number(value)
    }
}
impl From<usize> for Argument<'_> {
    fn from(value: usize) -> Self {
        Self::Number(value as i64)
    }
}
impl<'a> From<&'a CStr> for Argument<'a> {
    fn from(text: &'a CStr) -> Self {
        Self::Text(text)
    }
}
impl<'a> From<&'a [u8]> for Argument<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::In(bytes)
    }
}
impl<'a> From<&'a mut [u8]> for Argument<'a> {
    fn from(bytes: &'a mut [u8]) -> Self {
        Self::Out(bytes)
    }
}

/// Makes one system call: `call!(libc::SYS_openat, libc::AT_FDCWD, path, flags)`.
#[macro_export]
macro_rules! call {
    ($number:expr $(, $argument:expr)* $(,)?) => {
        $crate::probe::kernel::call($number, [$($crate::probe::kernel::Argument::from($argument)),*])
    };
}

/// Makes one system call with up to six arguments; missing ones are zero.
///
/// # Errors
/// The kernel's errno.
pub fn call<const COUNT: usize>(number: i64, arguments: [Argument<'_>; COUNT]) -> Answer {
    let mut registers = [0_i64; 6];
    let mut arguments = arguments;
    for (register, argument) in registers.iter_mut().zip(&mut arguments) {
        *register = argument.register();
    }
    raw(number, registers)
}

fn raw(number: i64, [a, b, c, d, e, f]: [i64; 6]) -> Answer {
    // SAFETY: `call`, `garbage` and `drawn` are the only callers: what pointers point to is borrowed until they
    // return, or no argument is a valid address, or the process is one that `drawn` demands. Attempts run in a child that ends after them, so no state of ours outlives it.
    let answer = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    if answer == -1 { Err(Errno::last()) } else { Ok(answer) }
}

/// Makes a system call whose arguments are all -1: no address, no descriptor, no process.
///
/// # Errors
/// The kernel's errno.
pub fn garbage(number: i64) -> Answer {
    raw(number, [-1; 6])
}

/// One argument of a call drawn at random.
#[derive(Clone, Copy, Debug)]
pub enum Drawn {
    /// A plain value.
    Number(i64),
    /// An address so far into the memory for drawn calls.
    Memory(usize),
}

/// Makes a system call drawn at random. Only in a process that is thrown away afterwards and reports nothing: the
/// call may unmap, protect or overwrite any of its memory, and then a signal ends it.
///
/// # Errors
/// The kernel's errno.
pub fn drawn(number: i64, arguments: [Drawn; 6], memory: &mut [u8]) -> Answer {
    let begin = address_mut(memory);
    let register = |argument| match argument {
        Drawn::Number(value) => value,
        Drawn::Memory(offset) => begin + offset.min(memory.len()) as i64,
    };
    raw(number, arguments.map(register))
}

/// Makes a call that creates a process sharing nothing; the new process ends at once and is waited for.
///
/// # Errors
/// The kernel's errno.
pub fn call_creating_process<const COUNT: usize>(number: i64, arguments: [Argument<'_>; COUNT]) -> Answer {
    let answer = call(number, arguments)?;
    if answer == 0 {
        exit_now(0);
    }
    let process = i32::try_from(answer).map_err(|_| Errno::EOVERFLOW)?;
    let _ = nix::sys::wait::waitpid(nix::unistd::Pid::from_raw(process), None);
    Ok(answer)
}

/// `fork`; `None` in the child.
///
/// # Errors
/// The kernel's errno.
pub fn fork() -> Result<Option<nix::unistd::Pid>, Errno> {
    // SAFETY: the probe is single-threaded, so no lock can be held by a thread that the child does not have.
    match unsafe { nix::unistd::fork() }? {
        nix::unistd::ForkResult::Child => Ok(None),
        nix::unistd::ForkResult::Parent { child } => Ok(Some(child)),
    }
}

/// Ends this process without running destructors or flushing buffers that belong to its parent.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: _exit takes no pointer and does not return.
    unsafe { libc::_exit(code) }
}

/// `getpid` by the 32-bit entry of the kernel, which a filter on 64-bit numbers would not recognise.
#[cfg(target_arch = "x86_64")]
#[must_use]
pub fn getpid_by_32_bit_entry() -> i64 {
    const GETPID_OF_I386: i32 = 20;
    let answer: i32;
    // SAFETY: getpid reads no memory; the registers the entry may change are named as clobbered.
    unsafe {
        std::arch::asm!("int 0x80", inlateout("eax") GETPID_OF_I386 => answer,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _, options(nostack));
    }
    answer.into()
}
