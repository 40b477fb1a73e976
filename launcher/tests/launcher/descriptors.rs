//! Descriptors across the socket: none goes in, and exactly those of the contract come out.

use crate::support::forged::send_with;
use crate::support::plans::{Home, plan, shell};
use crate::support::proxy::Proxy;
use crate::support::running::{Launcher, eventually, everyone};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::Signal;
use nix::sys::stat::{SFlag, fstat};
use only1mcp_wire::{Exit, Partition, Reply, Request, ServerName};
use std::collections::BTreeSet;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

/// The most the kernel carries in one message.
const SCM_MAX_FD: usize = 253;

/// Sends HELLO with so many descriptors over a connection that the launcher has, or has not, accepted yet.
///
/// Where the kernel refuses to carry them nothing has happened, and the connection is as good as new.
fn smuggle(launcher: &Launcher, count: usize, accepted: bool) {
    let file = File::open("/dev/null").unwrap();
    let numbers: Vec<RawFd> = std::iter::repeat_n(file.as_raw_fd(), count).collect();
    let (mut proxy, sent) = if accepted {
        let proxy = launcher.proxy();
        let sent = send_with(&proxy.socket, &Request::View.to_packet(2), &numbers);
        (proxy, sent)
    } else {
        launcher.signal(Signal::SIGSTOP);
        let proxy = Proxy::connect(&launcher.socket(), launcher.uid);
        let sent = send_with(&proxy.socket, &Request::Hello.to_packet(1), &numbers);
        launcher.signal(Signal::SIGCONT);
        (proxy, sent)
    };
    match sent {
        Ok(_) => assert!(proxy.receive().is_none(), "it answered a message with descriptors"),
        Err(errno) => {
            assert_eq!(errno, Errno::EPERM, "{count}");
            let request = if accepted { Request::List { page: 0 } } else { Request::Hello };
            assert!(matches!(proxy.ask(&request).0, Reply::List { .. } | Reply::Hello(_)));
        }
    }
}

#[test]
fn i07_no_descriptor_ever_arrives_however_many_and_however_early_they_are_sent() {
    for who in everyone() {
        let launcher = Launcher::start(who, Home::new(vec![shell("good", "exit 0")]));
        drop(launcher.proxy());
        eventually("the first proxy is gone", || launcher.log().contains("the proxy closed its connection"));
        let before = launcher.descriptors();
        for accepted in [true, false] {
            for count in [1, 16, 17, SCM_MAX_FD] {
                for _ in 0..4 {
                    smuggle(&launcher, count, accepted);
                    // Only then: while it has not noticed that one proxy is gone it turns the next away.
                    eventually("what was sent is closed", || launcher.descriptors() == before);
                }
            }
        }
        // The twin: the same message without them, and a server comes of it.
        assert_eq!(launcher.proxy().run("good").1, Exit::Status(0), "{who:?}");
    }
}

/// What a descriptor is: its kind in the file system, and how it was opened.
fn kind(descriptor: impl AsFd) -> (SFlag, OFlag) {
    let found = fstat(&descriptor).unwrap();
    let kind = SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT;
    let flags = OFlag::from_bits_truncate(fcntl(&descriptor, FcntlArg::F_GETFL).unwrap());
    (kind, flags & (OFlag::O_ACCMODE | OFlag::O_PATH))
}

/// Whether it is a pidfd of this process.
fn is_pidfd_of(descriptor: BorrowedFd<'_>, pid: u32) -> bool {
    let about = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", descriptor.as_raw_fd())).unwrap();
    about.lines().any(|line| line == format!("Pid:\t{pid}"))
}

#[test]
fn i12_a_spawn_hands_out_three_pipe_ends_and_a_pidfd_and_nothing_else() {
    for who in everyone() {
        let launcher = Launcher::start(who, Home::new(vec![plan("echo", "/usr/bin/cat", &["cat"])]));
        let mut proxy = launcher.proxy();
        let before = launcher.descriptors();
        let server = ServerName::new("echo").unwrap();
        let spawn = Request::Spawn { server, generation: 1, partition: Partition::SHARED };
        let (reply, descriptors) = proxy.ask(&spawn);
        let Reply::Spawned(spawned) = reply else { panic!("{reply:?}") };
        let [stdin, stdout, stderr, pidfd] = &descriptors[..] else { panic!("{}", descriptors.len()) };
        assert_eq!(kind(stdin), (SFlag::S_IFIFO, OFlag::O_WRONLY));
        assert_eq!(kind(stdout), (SFlag::S_IFIFO, OFlag::O_RDONLY));
        assert_eq!(kind(stderr), (SFlag::S_IFIFO, OFlag::O_RDONLY));
        assert!(is_pidfd_of(pidfd.as_fd(), spawned.pid));
        // Three pipes of its own, none that another server has too.
        let inodes: BTreeSet<u64> = descriptors.iter().map(|one| fstat(one).unwrap().st_ino).collect();
        let (_, others) = proxy.ask(&spawn);
        assert!(others[..3].iter().all(|one| !inodes.contains(&fstat(one).unwrap().st_ino)));
        // The launcher keeps a pidfd (and a cgroup) of each, no stream.
        let kept = 2 * (1 + launcher.cgroups() / 2);
        eventually("its ends are closed", || launcher.descriptors() <= before + kept);
        assert_eq!(proxy.ask(&Request::View).1.len(), 1);
        let none = [Request::List { page: 0 }, Request::Stop { instance: spawned.instance, grace_ms: 0 }];
        assert!(none.iter().all(|request| proxy.ask(request).1.is_empty()), "{who:?}");
    }
}
