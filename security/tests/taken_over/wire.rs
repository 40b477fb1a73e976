//! What the launcher gives a taken-over proxy: what it gives an honest one, and nothing for a name it does not know.

use crate::acts::REACHED;
use crate::stage::{SECRETS, Targets};
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockType, SockaddrStorage, UnixAddr, connect,
    recvmsg, send, socket,
};
use only1mcp_wire::message::FromLauncher;
use only1mcp_wire::{Partition, Reply, Request, ServerName};
use std::io::IoSliceMut;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

struct Wire {
    socket: OwnedFd,
    next: u32,
}

impl Wire {
    fn open(path: &str) -> Self {
        let socket = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None).unwrap();
        connect(socket.as_raw_fd(), &UnixAddr::new(path).unwrap()).unwrap();
        Self { socket, next: 1 }
    }

    /// Asks, and gives the answer with the numbers of its descriptors.
    fn ask(&mut self, request: &Request) -> (Reply, Vec<RawFd>) {
        self.next += 1;
        send(self.socket.as_raw_fd(), &request.to_packet(self.next), MsgFlags::MSG_NOSIGNAL).unwrap();
        loop {
            let mut buffer = [0; 4096];
            let mut control = nix::cmsg_space!([RawFd; 16]);
            let mut slices = [IoSliceMut::new(&mut buffer)];
            let received = recvmsg::<SockaddrStorage>(
                self.socket.as_raw_fd(),
                &mut slices,
                Some(&mut control),
                MsgFlags::empty(),
            );
            let message = received.unwrap();
            let mut numbers = Vec::new();
            for part in message.cmsgs().unwrap() {
                if let ControlMessageOwned::ScmRights(more) = part {
                    numbers.extend(more);
                }
            }
            let count = message.bytes;
            if let FromLauncher::Reply(_, reply) = FromLauncher::from_packet(&buffer[..count]).unwrap() {
                return (reply, numbers);
            }
        }
    }
}

/// All acts over the wire.
pub fn try_all(targets: &Targets) -> Vec<(String, String)> {
    let mut wire = Wire::open(&targets.launcher);
    let Reply::Hello(machine) = wire.ask(&Request::Hello).0 else { panic!("no HELLO") };
    let spawn = |name: &str, generation: u64, partition: Partition| Request::Spawn {
        server: ServerName::new(name).unwrap(),
        generation,
        partition,
    };
    let (reply, _) = wire.ask(&spawn("named", machine.generation, Partition::SHARED));
    let spawned = said("spawn a configured server", &reply);
    let Reply::Spawned(server) = reply else { panic!("not spawned: {reply:?}") };
    let mut all = vec![
        said("list the names it may spawn", &wire.ask(&Request::List { page: 0 }).0),
        view(&mut wire),
        spawned,
    ];
    for (act, request) in [
        ("spawn it in a partition of its own choice", spawn("named", machine.generation, Partition([7; 16]))),
        ("stop the server it spawned", Request::Stop { instance: server.instance, grace_ms: 0 }),
        ("spawn a server that is not configured", spawn("unnamed", machine.generation, Partition::SHARED)),
        ("spawn under another generation", spawn("named", machine.generation + 1, Partition::SHARED)),
    ] {
        all.push(said(act, &wire.ask(&request).0));
    }
    all
}

fn said(act: &str, reply: &Reply) -> (String, String) {
    let answer = match reply {
        Reply::Refused(refusal) => format!("refused: {}", refusal.code),
        _ => REACHED.to_owned(),
    };
    (act.to_owned(), answer)
}

/// The view may be read; a secret in it is told as such.
fn view(wire: &mut Wire) -> (String, String) {
    let (_, descriptors) = wire.ask(&Request::View);
    let mut bytes = vec![0_u8; 64 * 1024];
    let number = i64::from(descriptors[0]);
    let count =
        only1mcp_escape::call!(nix::libc::SYS_pread64, number, bytes.as_mut_slice(), 64 * 1024, 0).unwrap();
    let text = String::from_utf8_lossy(&bytes[..usize::try_from(count).unwrap()]).into_owned();
    let leaked = SECRETS.iter().find(|secret| text.contains(**secret));
    let answer = leaked.map_or_else(|| REACHED.to_owned(), |secret| format!("leaks {secret}"));
    ("read the view".to_owned(), answer)
}
