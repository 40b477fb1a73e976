//! Attacks with sockets beyond connecting: listening, other spellings of addresses, ancillary data, options.

use std::net::SocketAddrV4;

use nix::errno::Errno;

use super::network::{inet, message_with, socket};
use super::twins;
use crate::call;
use crate::catalogue::{Attempt, BLANK, Control, Expected, Tried};
use crate::probe::kernel::{Answer, address};
use crate::probe::{Act, Targets};

/// How long a listener waits for somebody from outside, in milliseconds.
const KNOCK_MS: i32 = 600;
const SIOCGIFFLAGS: i64 = 0x8913;
const SIOCSIFFLAGS: i64 = 0x8914;
const SIOCSIFADDR: i64 = 0x8916;

/// Listens on a port at which somebody outside knocks all the time.
fn be_reached(targets: &Targets) -> Tried {
    let address = inet(targets, "knocked")?;
    let listener = socket(libc::AF_INET, libc::SOCK_STREAM, 0);
    let listening = listener.and_then(|listener| {
        call!(
            libc::SYS_setsockopt,
            listener,
            libc::SOL_SOCKET,
            libc::SO_REUSEADDR,
            1_i32.to_ne_bytes().as_slice(),
            4
        )?;
        call!(libc::SYS_bind, listener, address.as_slice(), address.len())?;
        call!(libc::SYS_listen, listener, 1)
    });
    let unbound = socket(libc::AF_INET, libc::SOCK_STREAM, 0).and_then(|own| call!(libc::SYS_listen, own, 1));
    let reached = listening.and(listener).and_then(|listener| {
        let mut watched = [0_u8; 8];
        let number = i32::try_from(listener).map_err(|_| Errno::EBADF)?.to_ne_bytes();
        // The descriptor, and POLLIN.
        for (slot, byte) in watched.iter_mut().zip(number.into_iter().chain([1])) {
            *slot = byte;
        }
        call!(libc::SYS_poll, watched.as_mut_slice(), 1, KNOCK_MS)
    });
    Ok(vec![
        Act::of("listen on a port", listening),
        Act::of("listen without bind", unbound),
        Act::fact("somebody outside reaches it", (reached.unwrap_or(0) > 0).into(), format!("{reached:?}")),
    ])
}

/// The same addresses as those of N01, spelt as IPv6.
fn mapped(targets: &Targets) -> Tried {
    let mut acts = Vec::new();
    for (key, name) in [("tcp", "the host's loopback"), ("mcp", "our own proxy")] {
        let plain = inet(targets, key)?;
        let mapped = inet6_mapped(plain);
        let answer = socket(libc::AF_INET6, libc::SOCK_STREAM, 0)
            .and_then(|socket| call!(libc::SYS_connect, socket, mapped.as_slice(), mapped.len()));
        acts.push(Act::of(format!("connect to {name} by ::ffff:127.0.0.1"), answer));
    }
    Ok(acts)
}

/// The bytes of a `sockaddr_in6` that holds a `sockaddr_in`'s address.
fn inet6_mapped(plain: [u8; 16]) -> Vec<u8> {
    let [_, _, port_high, port_low, a, b, c, d, ..] = plain;
    let family = 10_u16.to_ne_bytes();
    let prefix = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];
    [&family[..], &[port_high, port_low], &[0; 4], &prefix, &[a, b, c, d], &[0; 4]].concat()
}

/// Asks for a way only: connecting a datagram socket sends nothing.
fn metadata_services(_: &Targets) -> Tried {
    let v4 = super::network::inet_bytes(SocketAddrV4::new([169, 254, 169, 254].into(), 80));
    let host: [u8; 16] = [0xfd, 0, 0x0e, 0xc2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x54];
    let v6 = [&10_u16.to_ne_bytes()[..], &80_u16.to_be_bytes(), &[0; 4], &host, &[0; 4]].concat();
    let way = |family: i32, to: &[u8]| {
        socket(family, libc::SOCK_DGRAM, 0).and_then(|socket| call!(libc::SYS_connect, socket, to, to.len()))
    };
    Ok(vec![
        Act::of("find a way to 169.254.169.254", way(libc::AF_INET, &v4)),
        Act::of("find a way to fd00:ec2::254", way(libc::AF_INET6, &v6)),
    ])
}

/// Descriptors and forged credentials, over a pair of its own and over the streams shared with the proxy.
fn ancillary(_: &Targets) -> Tried {
    let mut ends = [0_u8; 8];
    call!(libc::SYS_socketpair, libc::AF_UNIX, libc::SOCK_STREAM, 0, ends.as_mut_slice())
        .map_err(|errno| errno.to_string())?;
    let own = ends.first_chunk().map_or(-1, |bytes| i64::from(i32::from_ne_bytes(*bytes)));
    let rights = control(libc::SCM_RIGHTS, &[&0_i32.to_ne_bytes()]);
    let own_id = |number| call!(number).ok().and_then(|id| u32::try_from(id).ok()).unwrap_or(0).to_ne_bytes();
    // Another process with its own uid: root has a number only where it is mapped.
    let forged = control(
        libc::SCM_CREDENTIALS,
        &[&1_i32.to_ne_bytes(), &own_id(libc::SYS_getuid), &own_id(libc::SYS_getgid)],
    );
    let send = |stream: i64, control: &[u8]| -> Answer {
        let data = b"x";
        let vector = [address(data).to_ne_bytes(), 1_i64.to_ne_bytes()].concat();
        let header = message_with(&vector, control);
        call!(libc::SYS_sendmsg, stream, header.as_slice(), libc::MSG_NOSIGNAL)
    };
    Ok(vec![
        Act::of("pass a descriptor over a pair of its own", send(own, &rights)),
        Act::of("claim to be PID 1 over a pair of its own", send(own, &forged)),
        Act::of("pass a descriptor over standard output", send(1, &rights)),
        Act::of("pass a descriptor over standard input", send(0, &rights)),
        Act::of("claim to be PID 1 over standard output", send(1, &forged)),
    ])
}

/// The bytes of a `cmsghdr` with its data.
pub(super) fn control(kind: i32, data: &[&[u8]]) -> Vec<u8> {
    let data = data.concat();
    let length = i64::try_from(16 + data.len()).unwrap_or(16).to_ne_bytes();
    let mut bytes = [&length[..], &libc::SOL_SOCKET.to_ne_bytes(), &kind.to_ne_bytes(), &data].concat();
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes
}

/// Changes the interfaces of its own network namespace, of which it is not the owner.
fn change_network(_: &Targets) -> Tried {
    let socket = socket(libc::AF_INET, libc::SOCK_DGRAM, 0);
    let mut request = [0_u8; 40];
    for (slot, byte) in request.iter_mut().zip(*b"lo") {
        *slot = byte;
    }
    let ask = |command: i64, request: &mut [u8]| {
        socket.and_then(|socket| call!(libc::SYS_ioctl, socket, command, request))
    };
    let mut acts = Vec::new();
    if socket.is_ok() {
        ask(SIOCGIFFLAGS, &mut request).map_err(|errno| format!("SIOCGIFFLAGS: {errno}"))?;
    }
    acts.push(Act::of("ioctl(SIOCSIFFLAGS)", ask(SIOCSIFFLAGS, &mut request)));
    let address = super::network::inet_bytes(SocketAddrV4::new([127, 0, 0, 2].into(), 0));
    for (slot, byte) in request.iter_mut().skip(16).zip(address) {
        *slot = byte;
    }
    acts.push(Act::of("ioctl(SIOCSIFADDR)", ask(SIOCSIFADDR, &mut request)));
    Ok(acts)
}

/// Options that take a capability in the network namespace.
fn privileged_options(_: &Targets) -> Tried {
    const IP_TRANSPARENT: i32 = 19;
    const TCP_REPAIR: i32 = 19;
    let set = |level: i32, option: i32| {
        socket(libc::AF_INET, libc::SOCK_STREAM, 0).and_then(|socket| {
            call!(libc::SYS_setsockopt, socket, level, option, 1_i32.to_ne_bytes().as_slice(), 4)
        })
    };
    Ok(vec![
        Act::of("setsockopt(SO_MARK)", set(libc::SOL_SOCKET, libc::SO_MARK)),
        Act::of("setsockopt(IP_TRANSPARENT)", set(libc::IPPROTO_IP, IP_TRANSPARENT)),
        Act::of("setsockopt(TCP_REPAIR)", set(libc::IPPROTO_TCP, TCP_REPAIR)),
    ])
}

/// Programs for the kernel's own machine, and protocols inside protocols, attached to a socket of its own.
fn programs_for_the_kernel(_: &Targets) -> Tried {
    const TCP_ULP: i32 = 31;
    // Return everything.
    let program = [6_u16.to_ne_bytes(), [0, 0], [0xff, 0xff], [0, 0]].concat();
    let description = [1_i64.to_ne_bytes(), address(&program).to_ne_bytes()].concat();
    let mut ends = [0_u8; 8];
    call!(libc::SYS_socketpair, libc::AF_UNIX, libc::SOCK_DGRAM, 0, ends.as_mut_slice())
        .map_err(|errno| errno.to_string())?;
    let own = ends.first_chunk().map_or(-1, |bytes| i64::from(i32::from_ne_bytes(*bytes)));
    let attach = |option: i32, value: &[u8]| {
        call!(libc::SYS_setsockopt, own, libc::SOL_SOCKET, option, value, value.len())
    };
    let layered = call!(libc::SYS_setsockopt, own, libc::IPPROTO_TCP, TCP_ULP, b"tls".as_slice(), 3);
    Ok(vec![
        Act::of("setsockopt(SO_ATTACH_FILTER)", attach(libc::SO_ATTACH_FILTER, &description)),
        Act::taken("setsockopt(SO_ATTACH_BPF)", attach(libc::SO_ATTACH_BPF, &(-1_i32).to_ne_bytes())),
        Act::taken(
            "setsockopt(SO_ATTACH_REUSEPORT_CBPF)",
            attach(libc::SO_ATTACH_REUSEPORT_CBPF, &description),
        ),
        Act::taken("setsockopt(TCP_ULP)", layered),
    ])
}

const NO_MATTER: &str = "the streams are pipes outside, too";

/// The part of the catalogue about other uses of sockets.
pub const ATTEMPTS: &[Attempt] = &[
    Attempt {
        id: "N07",
        what: "listen, also without bind, and be reached from the host",
        wall: "network namespace",
        user: OWN_NETWORK,
        root: OWN_NETWORK,
        minimal: Some(Expected::but("EPERM", &[("somebody outside", "hidden")])),
        twin: "talk over a socket pair",
        reference: "Landlock documentation: ports bound by themselves",
        run: be_reached,
        twin_run: twins::socket_pair,
        ..BLANK
    },
    Attempt {
        id: "N16",
        what: "connect to the host's loopback and to our own proxy by IPv6 spelling",
        wall: "network namespace",
        user: Expected::all("ECONNREFUSED"),
        root: Expected::all("ECONNREFUSED"),
        minimal: Some(Expected::all("EPERM")),
        twin: "make ordinary TCP and UDP sockets",
        reference: "confused deputy; filters of addresses by text",
        run: mapped,
        twin_run: twins::ordinary_sockets,
        ..BLANK
    },
    Attempt {
        id: "N17",
        what: "find a way to the metadata services of clouds",
        wall: "network namespace",
        user: Expected::all("ENETUNREACH"),
        root: Expected::all("ENETUNREACH"),
        minimal: Some(Expected::all("EPERM")),
        control: Control::MayBeAbsent,
        root_control: Control::MayBeAbsent,
        alone: &[("find a way", "the machine may have no way out itself")],
        twin: "make ordinary TCP and UDP sockets",
        reference: "server-side request forgery",
        run: metadata_services,
        twin_run: twins::ordinary_sockets,
        ..BLANK
    },
    Attempt {
        id: "N21",
        what: "change the interfaces of its network namespace",
        wall: "no capabilities",
        control: Control::UserNamespace,
        root_control: Control::UserNamespace,
        twin: "make ordinary TCP and UDP sockets",
        reference: "our own; netdevice(7)",
        run: change_network,
        twin_run: twins::ordinary_sockets,
        ..BLANK
    },
    Attempt {
        id: "N22",
        what: "set options of sockets that take a capability: marks, transparent proxying, repair",
        wall: "no capabilities; seccomp in minimal mode",
        control: Control::UserNamespace,
        root_control: Control::UserNamespace,
        twin: "make ordinary TCP and UDP sockets",
        reference: "our own; ip(7), tcp(7)",
        run: privileged_options,
        twin_run: twins::ordinary_sockets,
        ..BLANK
    },
    Attempt {
        id: "N23",
        what: "give the kernel a program to run on packets, or a protocol to speak, by options of a socket",
        wall: "seccomp: these options are refused",
        twin: "talk over a socket pair",
        reference: "our own; CVE-2016-4997 and the JIT of classic BPF",
        run: programs_for_the_kernel,
        twin_run: twins::socket_pair,
        ..BLANK
    },
    Attempt {
        id: "K16",
        what: "pass descriptors and forged credentials over the streams shared with the proxy",
        wall: "the streams are pipes; the kernel checks credentials",
        user: PASSING,
        root: PASSING,
        alone: &[
            ("claim to be PID 1 over a pair", "no ordinary uid may, outside either"),
            ("pass a descriptor over standard", NO_MATTER),
            ("claim to be PID 1 over standard", NO_MATTER),
        ],
        twin: "talk over a socket pair",
        reference: "unix(7)",
        run: ancillary,
        twin_run: twins::socket_pair,
        ..BLANK
    },
];

const OWN_NETWORK: Expected = Expected::but("allowed", &[("somebody outside", "hidden")]);
const PASSING: Expected = Expected::but(
    "ENOTSOCK",
    &[("pass a descriptor over a pair", "allowed"), ("claim to be PID 1 over a pair", "EPERM")],
);
