//! Attacks through sockets: the host's loopback and addresses, side doors around TCP rules, Unix sockets.

use std::net::{SocketAddrV4, ToSocketAddrs};

use nix::errno::Errno;

use super::{open, twins};
use crate::call;
use crate::catalogue::{Attempt, BLANK, Control, Expected, Tried};
use crate::probe::kernel::{Answer, address};
use crate::probe::targets::Missing;
use crate::probe::{Act, Targets};

const MPTCP: i32 = 262;
const AF_SMC: i32 = 43;
/// How long a datagram's refusal may take to come back over loopback, in milliseconds.
const REFUSAL_MS: i32 = 200;

/// The bytes of a `sockaddr_in`.
pub(crate) fn inet_bytes(address: SocketAddrV4) -> [u8; 16] {
    let mut bytes = [0_u8; 16];
    let family = 2_u16.to_ne_bytes();
    let parts = family.into_iter().chain(address.port().to_be_bytes()).chain(address.ip().octets());
    for (byte, part) in bytes.iter_mut().zip(parts) {
        *byte = part;
    }
    bytes
}

pub(super) fn inet(targets: &Targets, key: &str) -> Result<[u8; 16], Missing> {
    let text = targets.text(key)?;
    let parsed: Option<SocketAddrV4> = text.parse().ok().or_else(|| resolved(text));
    parsed.map(inet_bytes).ok_or_else(|| format!("the target {key} is not ADDRESS:PORT"))
}

fn resolved(text: &str) -> Option<SocketAddrV4> {
    text.to_socket_addrs().ok()?.find_map(|address| match address {
        std::net::SocketAddr::V4(address) => Some(address),
        std::net::SocketAddr::V6(_) => None,
    })
}

fn unix_bytes(path: &[u8]) -> Vec<u8> {
    [&1_u16.to_ne_bytes(), path].concat()
}

pub(super) fn socket(domain: i32, kind: i32, protocol: i32) -> Answer {
    call!(libc::SYS_socket, domain, kind | libc::SOCK_CLOEXEC, protocol)
}

fn connect_and_send(socket: i64, address: &[u8]) -> Answer {
    call!(libc::SYS_connect, socket, address, address.len())?;
    call!(libc::SYS_sendto, socket, b"secret".as_slice(), 6, libc::MSG_NOSIGNAL, 0, 0)
}

fn tcp(targets: &Targets) -> Tried {
    let dial = |key| -> Result<Answer, Missing> {
        let address = inet(targets, key)?;
        Ok(socket(libc::AF_INET, libc::SOCK_STREAM, 0).and_then(|socket| connect_and_send(socket, &address)))
    };
    let mut acts = vec![Act::of("connect to the host's loopback", dial("tcp")?)];
    if targets.text("tcp_host").is_ok() {
        acts.push(Act::of("connect to the host's address", dial("tcp_host")?));
    }
    acts.push(Act::of("connect to our own proxy", dial("mcp")?));
    Ok(acts)
}

/// Sends, then asks whether it was refused: a datagram to an empty loopback leaves without complaint.
fn udp(targets: &Targets) -> Tried {
    let mut acts = Vec::new();
    for (key, name) in [("udp", "loopback"), ("udp_host", "address")] {
        if key == "udp_host" && targets.text(key).is_err() {
            continue;
        }
        let address = inet(targets, key)?;
        let answer = socket(libc::AF_INET, libc::SOCK_DGRAM, 0).and_then(|socket| {
            connect_and_send(socket, &address)?;
            refusal(socket)?;
            call!(libc::SYS_sendto, socket, b"again".as_slice(), 5, libc::MSG_NOSIGNAL, 0, 0)
        });
        acts.push(Act::of(format!("send to the host's {name}"), answer));
    }
    Ok(acts)
}

/// The pending error of a socket, waiting a moment for it.
fn refusal(socket: i64) -> Answer {
    let mut watched = [0_u8; 8];
    if let Some(number) = watched.first_chunk_mut::<4>() {
        *number = i32::try_from(socket).map_err(|_| Errno::EBADF)?.to_ne_bytes();
    }
    call!(libc::SYS_poll, watched.as_mut_slice(), 1, REFUSAL_MS)?;
    let (mut error, mut size) = ([0_u8; 4], 4_i32.to_ne_bytes());
    call!(
        libc::SYS_getsockopt,
        socket,
        libc::SOL_SOCKET,
        libc::SO_ERROR,
        error.as_mut_slice(),
        size.as_mut_slice()
    )?;
    match i32::from_ne_bytes(error) {
        0 => Ok(0),
        errno => Err(Errno::from_raw(errno)),
    }
}

fn multipath(targets: &Targets) -> Tried {
    let address = inet(targets, "tcp")?;
    let made = socket(libc::AF_INET, libc::SOCK_STREAM, MPTCP);
    let mut acts = vec![Act::of("socket(AF_INET, SOCK_STREAM, MPTCP)", made)];
    if let Ok(socket) = made {
        acts.push(Act::of("connect over MPTCP", connect_and_send(socket, &address)));
    }
    acts.push(Act::of(
        "socket(AF_INET6, SOCK_STREAM, MPTCP)",
        socket(libc::AF_INET6, libc::SOCK_STREAM, MPTCP),
    ));
    Ok(acts)
}

/// Connects as a side effect of sending; Landlock's rule for connect is not asked.
fn fast_open(targets: &Targets) -> Tried {
    let to = inet(targets, "tcp")?;
    let flags = libc::MSG_FASTOPEN | libc::MSG_NOSIGNAL;
    let stream = || socket(libc::AF_INET, libc::SOCK_STREAM, 0);
    let data = b"secret";
    let vector = [address(data).to_ne_bytes(), 6_i64.to_ne_bytes()].concat();
    let header = message(&to, &vector);
    let mut headers = [header.as_slice(), &[0; 8]].concat();
    let sendto = stream().and_then(|socket| {
        call!(libc::SYS_sendto, socket, data.as_slice(), 6, flags, to.as_slice(), to.len())
    });
    let sendmsg = stream().and_then(|socket| call!(libc::SYS_sendmsg, socket, header.as_slice(), flags));
    let sendmmsg =
        stream().and_then(|socket| call!(libc::SYS_sendmmsg, socket, headers.as_mut_slice(), 1, flags));
    Ok(vec![
        Act::of("sendto(MSG_FASTOPEN)", sendto),
        Act::of("sendmsg(MSG_FASTOPEN)", sendmsg),
        Act::of("sendmmsg(MSG_FASTOPEN)", sendmmsg),
    ])
}

/// The bytes of a `msghdr`: name, name length, one vector, no control data.
fn message(name: &[u8], vector: &[u8]) -> Vec<u8> {
    [address(name), 16, address(vector), 1, 0, 0, 0].iter().flat_map(|word| word.to_ne_bytes()).collect()
}

/// The bytes of a `msghdr`: no name, one vector, control data.
pub(super) fn message_with(vector: &[u8], control: &[u8]) -> Vec<u8> {
    let length = i64::try_from(control.len()).unwrap_or(0);
    let words = [0, 0, address(vector), 1, address(control), length, 0];
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

fn families(_: &Targets) -> Tried {
    let families = [
        ("netlink audit", libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_AUDIT),
        ("netlink sock_diag", libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_SOCK_DIAG),
        ("netlink netfilter", libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_NETFILTER),
        ("netlink uevent", libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_KOBJECT_UEVENT),
        ("AF_ALG", libc::AF_ALG, libc::SOCK_SEQPACKET, 0),
        ("AF_VSOCK", libc::AF_VSOCK, libc::SOCK_STREAM, 0),
        ("AF_PACKET", libc::AF_PACKET, libc::SOCK_RAW, 0),
        ("AF_XDP", libc::AF_XDP, libc::SOCK_RAW, 0),
        ("AF_KEY", libc::AF_KEY, libc::SOCK_RAW, 2),
        ("AF_BLUETOOTH", libc::AF_BLUETOOTH, libc::SOCK_RAW, 1),
        ("AF_TIPC", libc::AF_TIPC, libc::SOCK_SEQPACKET, 0),
        ("AF_RDS", libc::AF_RDS, libc::SOCK_SEQPACKET, 0),
        ("AF_SMC", AF_SMC, libc::SOCK_STREAM, 0),
        ("SCTP", libc::AF_INET, libc::SOCK_STREAM, libc::IPPROTO_SCTP),
        ("DCCP", libc::AF_INET, libc::SOCK_DCCP, libc::IPPROTO_DCCP),
        ("UDP-Lite", libc::AF_INET, libc::SOCK_DGRAM, libc::IPPROTO_UDPLITE),
    ];
    let ask =
        |(name, domain, kind, protocol)| Act::of(format!("socket({name})"), socket(domain, kind, protocol));
    Ok(families.into_iter().map(ask).collect())
}

fn raw_sockets(_: &Targets) -> Tried {
    Ok(vec![
        Act::of("socket(raw ICMP)", socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP)),
        Act::of("socket(raw IPv6)", socket(libc::AF_INET6, libc::SOCK_RAW, libc::IPPROTO_ICMPV6)),
        Act::of("socket(raw any)", socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_RAW)),
    ])
}

fn connect_unix(kind: i32, path: &[u8]) -> Answer {
    let address = unix_bytes(path);
    let socket = socket(libc::AF_UNIX, kind, 0)?;
    call!(libc::SYS_connect, socket, address.as_slice(), address.len())
}

fn abstract_socket(targets: &Targets) -> Tried {
    let name = [b"\0", targets.text("abstract")?.as_bytes()].concat();
    Ok(vec![Act::of("connect to the abstract socket", connect_unix(libc::SOCK_STREAM, &name))])
}

fn path_socket(targets: &Targets) -> Tried {
    let path = targets.text("socket")?;
    Ok(vec![Act::of(
        "connect to the socket in the file system",
        connect_unix(libc::SOCK_STREAM, path.as_bytes()),
    )])
}

fn own_sockets(targets: &Targets) -> Tried {
    let directory = targets.text("runtime")?;
    let dial = |(name, kind)| {
        let path = format!("{directory}/{name}");
        Act::of(format!("connect to {name}"), connect_unix(kind, path.as_bytes()))
    };
    let sockets = [
        ("admin.sock", libc::SOCK_STREAM),
        ("relay.sock", libc::SOCK_STREAM),
        ("launch.sock", libc::SOCK_SEQPACKET),
    ];
    Ok(sockets.into_iter().map(dial).collect())
}

fn enter_network(_: &Targets) -> Tried {
    let own = open(c"/proc/self/ns/net", libc::O_RDONLY).unwrap_or(-1);
    Ok(vec![
        Act::of("unshare(NEWNET)", call!(libc::SYS_unshare, libc::CLONE_NEWNET)),
        Act::of("setns(own network namespace)", call!(libc::SYS_setns, own, libc::CLONE_NEWNET)),
    ])
}

const EMPTY_NETWORK: Expected = Expected::but(
    "ECONNREFUSED",
    &[("connect to the host's address", "ENETUNREACH"), ("send to the host's address", "ENETUNREACH")],
);

/// The part of the catalogue about the network.
pub const ATTEMPTS: &[Attempt] = &[
    Attempt {
        id: "N01",
        minimal: Some(Expected::all("EPERM")),
        what: "connect by TCP to the host's loopback, its address, and to our own proxy",
        wall: "network namespace",
        user: EMPTY_NETWORK,
        root: EMPTY_NETWORK,
        twin: "talk over a socket pair",
        reference: "every sandbox for agents",
        run: tcp,
        twin_run: twins::socket_pair,
        ..BLANK
    },
    Attempt {
        id: "N02",
        minimal: Some(Expected::all("EPERM")),
        what: "send UDP to the host's loopback and address",
        wall: "network namespace",
        user: EMPTY_NETWORK,
        root: EMPTY_NETWORK,
        twin: "make ordinary TCP and UDP sockets",
        reference: "DNS exfiltration; Landlock ABI 10",
        run: udp,
        twin_run: twins::ordinary_sockets,
        ..BLANK
    },
    Attempt {
        id: "N03",
        what: "connect over MPTCP",
        wall: "seccomp, network namespace",
        twin: "make ordinary TCP and UDP sockets",
        reference: "landlock-lsm/linux issue 54",
        run: multipath,
        twin_run: twins::ordinary_sockets,
        ..BLANK
    },
    Attempt {
        id: "N04",
        what: "connect as a side effect of sending (TCP Fast Open)",
        wall: "seccomp, network namespace",
        twin: "make ordinary TCP and UDP sockets",
        reference: "landlock-lsm/linux issue 41",
        run: fast_open,
        twin_run: twins::ordinary_sockets,
        ..BLANK
    },
    Attempt {
        id: "N05",
        what: "make sockets of every other family",
        wall: "seccomp",
        control: Control::UserNamespace,
        root_control: Control::UserNamespace,
        twin: "make ordinary TCP and UDP sockets",
        reference: "flatpak's list of families",
        run: families,
        twin_run: twins::ordinary_sockets,
        ..BLANK
    },
    Attempt {
        id: "N06",
        what: "make raw sockets",
        wall: "seccomp, no capabilities",
        control: Control::UserNamespace,
        root_control: Control::UserNamespace,
        twin: "make ordinary TCP and UDP sockets",
        reference: "CAP_NET_RAW in container defaults",
        run: raw_sockets,
        twin_run: twins::ordinary_sockets,
        ..BLANK
    },
    Attempt {
        id: "N18",
        minimal: Some(Expected::all("EPERM")),
        what: "connect to an abstract Unix socket of the host",
        wall: "network namespace, Landlock scope",
        user: Expected::all("ECONNREFUSED"),
        root: Expected::all("ECONNREFUSED"),
        twin: "talk over a socket pair",
        reference: "CVE-2020-15257",
        run: abstract_socket,
        twin_run: twins::socket_pair,
        ..BLANK
    },
    Attempt {
        id: "N19",
        minimal: Some(Expected::all("EPERM")),
        what: "connect to a Unix socket in the file system of the host",
        wall: "mount namespace (Landlock below ABI 9 does not govern it)",
        user: Expected::all("ENOENT"),
        root: Expected::all("ENOENT"),
        twin: "talk over a socket pair",
        reference: "docker.sock, D-Bus, ssh-agent",
        run: path_socket,
        twin_run: twins::socket_pair,
        ..BLANK
    },
    Attempt {
        id: "N19.own",
        minimal: Some(Expected::all("EPERM")),
        what: "connect to our own admin, relay and launch sockets",
        wall: "mount namespace, modes and owners of the sockets",
        user: Expected::all("ENOENT"),
        root: Expected::all("ENOENT"),
        root_control: Control::Root,
        twin: "talk over a socket pair",
        reference: "confused deputy",
        run: own_sockets,
        twin_run: twins::socket_pair,
        ..BLANK
    },
    Attempt {
        id: "N20",
        what: "get or enter another network namespace",
        wall: "seccomp, no capabilities",
        control: Control::UserNamespace,
        root_control: Control::UserNamespace,
        twin: "make ordinary TCP and UDP sockets",
        reference: "network_namespaces(7)",
        run: enter_network,
        twin_run: twins::ordinary_sockets,
        ..BLANK
    },
];
