//! A proxy with nothing but the wire: starts the launcher, asks it for servers, and holds their pipes.

use command_fds::{CommandFdExt, FdMapping};
use harness::configuration::Configuration;
use harness::scratch::Scratch;
use harness::{daemon, programs};
use only1mcp_wire::message::FromLauncher;
use only1mcp_wire::{Partition, Reply, Request, ServerName};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, SocketAddrUnix,
    SocketFlags, SocketType, bind, connect, listen, recvmsg, send, socket_with,
};
use std::fs::File;
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};

const PACKET_BYTES_MAX: usize = 64 * 1024;

/// A launcher of this program alone.
pub struct Launcher {
    child: Child,
    socket: OwnedFd,
    generation: u64,
    requests: u32,
    _scratch: Scratch,
}

/// A running server's input and output; it ends when they are dropped.
pub struct Server {
    /// Its standard input.
    pub stdin: File,
    /// Its standard output.
    pub stdout: File,
    /// Standard error, and the handle of the process: kept open, read by nobody.
    _rest: Vec<File>,
}

impl Launcher {
    /// Starts one in user mode (as root too: the walls are the same but for the uid).
    pub fn start(configuration: &Configuration) -> Self {
        let scratch = Scratch::new();
        let config = scratch.write("etc/config.yaml", &configuration.text(&scratch.mark()));
        scratch.folder("state/credentials", 0o700);
        let address = SocketAddrUnix::new(scratch.join("launch.sock")).expect("an address");
        let new = || {
            let made = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None);
            made.expect("make a socket")
        };
        let listener = new();
        bind(&listener, &address).expect("bind");
        listen(&listener, 1).expect("listen");
        let mut command = Command::new(programs::program("only1mcp-launcher"));
        daemon::clean(&mut command, "/");
        command
            .args(["--mode", "user", "--config"])
            .arg(config)
            .arg("--state-dir")
            .arg(scratch.join("state"));
        command
            .arg("--program-dir")
            .arg(programs::folder())
            .env("LISTEN_FDS", "1")
            .env("LISTEN_FDNAMES", "launch");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.fd_mappings(vec![FdMapping { parent_fd: listener, child_fd: 3 }]).expect("map a descriptor");
        let child = command.spawn().expect("start the launcher");
        let socket = new();
        connect(&socket, &address).expect("connect to the launcher");
        let mut launcher = Self { child, socket, generation: 0, requests: 0, _scratch: scratch };
        match launcher.ask(&Request::Hello).0 {
            Reply::Hello(machine) => launcher.generation = machine.generation,
            other => panic!("the launcher says {other:?}"),
        }
        launcher
    }

    /// Starts a server.
    pub fn spawn(&mut self, name: &str) -> Server {
        let server = ServerName::new(name).expect("a name");
        let (generation, partition) = (self.generation, Partition::SHARED);
        match self.ask(&Request::Spawn { server, generation, partition }) {
            (Reply::Spawned(_), descriptors) => {
                let mut files = descriptors.into_iter().map(File::from);
                let (stdin, stdout) = (files.next().expect("stdin"), files.next().expect("stdout"));
                Server { stdin, stdout, _rest: files.collect() }
            }
            (other, _) => panic!("the launcher says {other:?}"),
        }
    }

    /// Asks, and waits for the answer; events on the way are not needed.
    fn ask(&mut self, request: &Request) -> (Reply, Vec<OwnedFd>) {
        self.requests += 1;
        send(&self.socket, &request.to_packet(self.requests), SendFlags::NOSIGNAL)
            .expect("send to the launcher");
        loop {
            if let (FromLauncher::Reply(_, reply), descriptors) = self.receive() {
                return (reply, descriptors);
            }
        }
    }

    fn receive(&self) -> (FromLauncher, Vec<OwnedFd>) {
        let mut buffer = vec![0; PACKET_BYTES_MAX];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(16))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut slices = [IoSliceMut::new(&mut buffer)];
        let received = recvmsg(&self.socket, &mut slices, &mut control, RecvFlags::CMSG_CLOEXEC);
        let bytes = received.expect("receive from the launcher").bytes;
        let rights = control.drain().filter_map(|part| match part {
            RecvAncillaryMessage::ScmRights(rights) => Some(rights),
            _ => None,
        });
        let descriptors = rights.flatten().collect();
        let packet = buffer.get(..bytes).expect("a packet");
        (FromLauncher::from_packet(packet).expect("a message of the launcher"), descriptors)
    }
}

impl Drop for Launcher {
    fn drop(&mut self) {
        // Without its proxy the launcher ends all servers; then it may go itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
