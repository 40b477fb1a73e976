//! System calls that are harmless only with some arguments. All comparisons look at registers only:
//! what a pointer points to could change between the check and the call.

use crate::machine::Isolation;
use crate::weakened::{Weakness, lacks};
use only1mcp_wire::plan::ServerPlan;
use seccompiler::SeccompCmpArgLen::{Dword, Qword};
use seccompiler::SeccompCmpOp::{Eq, MaskedEq, Ne};
use seccompiler::{BackendError, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompRule};

/// `CLONE_NEW*`, all of them, `CLONE_NEWTIME` too.
const CLONE_NAMESPACES: u64 = 0x7E02_0080;
/// The part of a socket's type that is no flag.
const SOCKET_TYPE: u64 = 0xf;
/// Data in the first packet: such a send connects, past Landlock's rule for connecting.
const MSG_FASTOPEN: u64 = 0x2000_0000;
const TIOCSTI: u64 = 0x5412;
const TIOCLINUX: u64 = 0x541c;
const TIOCSETD: u64 = 0x5423;
const PROT_WRITE: u64 = 2;
const PROT_EXEC: u64 = 4;
const SHM_EXEC: u64 = 0o100_000;
/// The file can never be executed; Linux 6.3.
const MFD_NOEXEC_SEAL: u64 = 8;
const PERSONALITY_QUERY: u64 = 0xffff_ffff;

/// A lease on a file that may be read holds up its owner's writes for three quarters of a minute.
const F_SETLEASE: u64 = 1024;
/// Signals about a directory: what inotify does, without its limits.
const F_NOTIFY: u64 = 1026;
/// Redraws the memory map that others are shown: arguments, environment, program.
const PR_SET_MM: u64 = 35;
const PR_SET_IO_FLUSHER: u64 = 57;
const PR_SET_SYSCALL_USER_DISPATCH: u64 = 59;
const PR_SCHED_CORE: u64 = 62;
const SOL_SOCKET: u64 = 1;
const SOL_TCP: u64 = 6;
/// Programs that the kernel compiles and runs on packets: no server filters packets.
const SO_ATTACH_FILTER: u64 = 26;
const SO_ATTACH_BPF: u64 = 50;
const SO_ATTACH_REUSEPORT_CBPF: u64 = 51;
const SO_ATTACH_REUSEPORT_EBPF: u64 = 52;
/// A protocol of the kernel's own above TCP.
const TCP_ULP: u64 = 31;
/// Flags, project and generation of a file, and its seal: of files that may only be read, too. Landlock
/// does not govern these, so without read-only mounts nothing else would.
const FS_IOC_SETFLAGS: u64 = 0x4008_6602;
const FS_IOC32_SETFLAGS: u64 = 0x4004_6602;
const FS_IOC_FSSETXATTR: u64 = 0x401c_5820;
const FS_IOC_SETVERSION: u64 = 0x4008_7602;
const FS_IOC_ENABLE_VERITY: u64 = 0x4080_6685;

type Condition = (u8, SeccompCmpArgLen, SeccompCmpOp, u64);

const TERMINAL_COMMANDS: [u64; 3] = [TIOCSTI, TIOCLINUX, TIOCSETD];
const FILE_COMMANDS: [u64; 5] =
    [FS_IOC_SETFLAGS, FS_IOC32_SETFLAGS, FS_IOC_FSSETXATTR, FS_IOC_SETVERSION, FS_IOC_ENABLE_VERITY];

/// The arguments with which `call` is allowed: one of the rules must hold. No rule means any.
pub fn harmless(
    call: i64,
    plan: &ServerPlan,
    isolation: Isolation,
) -> Result<Vec<SeccompRule>, BackendError> {
    match call {
        _ if lacks(Weakness::AnyArguments) => Ok(Vec::new()),
        libc::SYS_clone => any_of(&[&[(0, Dword, MaskedEq(CLONE_NAMESPACES), 0)]]),
        libc::SYS_socket => of_its_namespace(),
        libc::SYS_socketpair => any_of(&[&[(0, Dword, Eq, libc::AF_UNIX as u64)]]),
        libc::SYS_sendmsg => any_of(&[&[(2, Dword, MaskedEq(MSG_FASTOPEN), 0)]]),
        libc::SYS_sendto | libc::SYS_sendmmsg => any_of(&[&[(3, Dword, MaskedEq(MSG_FASTOPEN), 0)]]),
        // The kernel looks at 32 bits of the command, so must we.
        libc::SYS_ioctl if isolation == Isolation::LandlockOnly => {
            none_of(1, &[&TERMINAL_COMMANDS[..], &FILE_COMMANDS].concat())
        }
        libc::SYS_ioctl => none_of(1, &TERMINAL_COMMANDS),
        libc::SYS_fcntl => none_of(1, &[F_SETLEASE, F_NOTIFY]),
        libc::SYS_prctl => {
            none_of(0, &[PR_SET_MM, PR_SET_IO_FLUSHER, PR_SET_SYSCALL_USER_DISPATCH, PR_SCHED_CORE])
        }
        libc::SYS_setsockopt => any_of(&[
            &[(1, Dword, Ne, SOL_SOCKET), (1, Dword, Ne, SOL_TCP)],
            &[
                (1, Dword, Eq, SOL_SOCKET),
                (2, Dword, Ne, SO_ATTACH_FILTER),
                (2, Dword, Ne, SO_ATTACH_BPF),
                (2, Dword, Ne, SO_ATTACH_REUSEPORT_CBPF),
                (2, Dword, Ne, SO_ATTACH_REUSEPORT_EBPF),
            ],
            &[(1, Dword, Eq, SOL_TCP), (2, Dword, Ne, TCP_ULP)],
        ]),
        // Own limits, or only reading.
        libc::SYS_prlimit64 => any_of(&[&[(0, Dword, Eq, 0)], &[(2, Qword, Eq, 0)]]),
        // Without a pid namespace these reach every process of the same uid.
        libc::SYS_sched_setaffinity
        | libc::SYS_sched_setattr
        | libc::SYS_sched_setparam
        | libc::SYS_sched_setscheduler
            if isolation == Isolation::LandlockOnly =>
        {
            any_of(&[&[(0, Dword, Eq, 0)]])
        }
        libc::SYS_setpriority | libc::SYS_ioprio_set if isolation == Isolation::LandlockOnly => {
            any_of(&[&[(1, Dword, Eq, 0)]])
        }
        libc::SYS_personality => any_of(&[&[(0, Dword, Eq, 0)], &[(0, Dword, Eq, PERSONALITY_QUERY)]]),
        libc::SYS_mmap if !plan.jit => any_of(&[
            &[(2, Dword, MaskedEq(PROT_WRITE | PROT_EXEC), 0)],
            &[(2, Dword, MaskedEq(PROT_WRITE | PROT_EXEC), PROT_WRITE)],
            &[(2, Dword, MaskedEq(PROT_WRITE | PROT_EXEC), PROT_EXEC)],
        ]),
        libc::SYS_mprotect | libc::SYS_pkey_mprotect if !plan.jit => {
            any_of(&[&[(2, Dword, MaskedEq(PROT_EXEC), 0)]])
        }
        libc::SYS_shmat if !plan.jit => any_of(&[&[(2, Dword, MaskedEq(SHM_EXEC), 0)]]),
        libc::SYS_memfd_create if !plan.jit => {
            any_of(&[&[(1, Dword, MaskedEq(MFD_NOEXEC_SEAL), MFD_NOEXEC_SEAL)]])
        }
        _ => Ok(Vec::new()),
    }
}

/// TCP, UDP and Unix sockets by their own protocol only (no MPTCP, SCTP, raw); routing netlink,
/// because `getifaddrs` and Node's `os.networkInterfaces()` fail without it, and all it can show is
/// the loopback of an empty network namespace.
fn of_its_namespace() -> Result<Vec<SeccompRule>, BackendError> {
    let mut rules = vec![all_of(&[(0, Dword, Eq, libc::AF_UNIX as u64)])?];
    let stream = (libc::SOCK_STREAM, [0, libc::IPPROTO_TCP]);
    let datagram = (libc::SOCK_DGRAM, [0, libc::IPPROTO_UDP]);
    for family in [libc::AF_INET, libc::AF_INET6] {
        for (kind, protocols) in [stream, datagram] {
            for protocol in protocols {
                rules.push(socket(family, kind, protocol)?);
            }
        }
    }
    for kind in [libc::SOCK_RAW, libc::SOCK_DGRAM] {
        rules.push(socket(libc::AF_NETLINK, kind, libc::NETLINK_ROUTE)?);
    }
    Ok(rules)
}

fn socket(family: i32, kind: i32, protocol: i32) -> Result<SeccompRule, BackendError> {
    all_of(&[
        (0, Dword, Eq, family.unsigned_abs().into()),
        (1, Dword, MaskedEq(SOCKET_TYPE), kind.unsigned_abs().into()),
        (2, Dword, Eq, protocol.unsigned_abs().into()),
    ])
}

/// Any value of `argument` but these, as 32 bits.
fn none_of(argument: u8, values: &[u64]) -> Result<Vec<SeccompRule>, BackendError> {
    let conditions: Vec<Condition> = values.iter().map(|&value| (argument, Dword, Ne, value)).collect();
    any_of(&[&conditions])
}

fn any_of(rules: &[&[Condition]]) -> Result<Vec<SeccompRule>, BackendError> {
    rules.iter().map(|conditions| all_of(conditions)).collect()
}

fn all_of(conditions: &[Condition]) -> Result<SeccompRule, BackendError> {
    let build = |(argument, length, operator, value): &Condition| {
        let length = if lacks(Weakness::WideComparison) { Qword } else { length.clone() };
        SeccompCondition::new(*argument, length, operator.clone(), *value)
    };
    SeccompRule::new(conditions.iter().map(build).collect::<Result<_, _>>()?)
}
