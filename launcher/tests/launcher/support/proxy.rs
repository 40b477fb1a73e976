//! A proxy with nothing but the wire.

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockType, SockaddrStorage, UnixAddr, connect,
    recvmsg, send, setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};
use only1mcp_wire::message::FromLauncher;
use only1mcp_wire::{
    Event, Exit, InstanceId, Machine, Mode, Partition, Refusal, Reply, Request, ServerName, Spawned,
};
use std::fs::File;
use std::io::{IoSliceMut, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;

/// A connection to the launcher. Whatever it waits for must come within ten seconds.
pub struct Proxy {
    pub socket: OwnedFd,
    /// What the launcher answered to HELLO.
    pub machine: Machine,
    next: u32,
    events: Vec<Event>,
}

/// A server that runs, as a proxy holds it.
pub struct Server {
    pub spawned: Spawned,
    pub stdin: Option<File>,
    pub stdout: File,
    pub stderr: File,
    pub pidfd: OwnedFd,
}

impl Proxy {
    /// Connects as the user of this uid, without saying anything.
    pub fn connect(path: &Path, uid: u32) -> Self {
        let socket = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None).unwrap();
        as_user(uid, || connect(socket.as_raw_fd(), &UnixAddr::new(path).unwrap()).unwrap());
        setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::seconds(10)).unwrap();
        let machine = Machine { mode: Mode::User, landlock_abi: 0, cgroup_limits: false, generation: 0 };
        Self { socket, machine, next: 1, events: Vec::new() }
    }

    /// Connects and says HELLO.
    pub fn greet(path: &Path, uid: u32) -> Self {
        let mut proxy = Self::connect(path, uid);
        match proxy.ask(&Request::Hello).0 {
            Reply::Hello(machine) => Self { machine, ..proxy },
            other => panic!("{other:?}"),
        }
    }

    /// Sends raw bytes.
    pub fn send(&self, bytes: &[u8]) {
        let _ = send(self.socket.as_raw_fd(), bytes, MsgFlags::MSG_NOSIGNAL);
    }

    /// One message and its descriptors; `None` if the launcher closed the connection.
    pub fn receive(&self) -> Option<(FromLauncher, Vec<OwnedFd>)> {
        let mut buffer = [0; 4096];
        let mut control = nix::cmsg_space!([RawFd; 16]);
        let (count, descriptors) = {
            let mut slices = [IoSliceMut::new(&mut buffer)];
            let message = loop {
                let received = recvmsg::<SockaddrStorage>(
                    self.socket.as_raw_fd(),
                    &mut slices,
                    Some(&mut control),
                    MsgFlags::MSG_CMSG_CLOEXEC,
                );
                match received {
                    Ok(message) => break message,
                    // With a timeout, waiting is not resumed after the machine was frozen and thawed.
                    Err(Errno::EINTR) => {}
                    Err(Errno::ECONNRESET) => return None,
                    Err(errno) => panic!("no message: {errno}"),
                }
            };
            let mut descriptors = Vec::new();
            for part in message.cmsgs().unwrap() {
                if let ControlMessageOwned::ScmRights(numbers) = part {
                    descriptors.extend(numbers.into_iter().map(own));
                }
            }
            (message.bytes, descriptors)
        };
        (count > 0).then(|| (FromLauncher::from_packet(&buffer[..count]).unwrap(), descriptors))
    }

    /// Asks, and waits for the answer; events that come before it are kept.
    pub fn ask(&mut self, request: &Request) -> (Reply, Vec<OwnedFd>) {
        let id = self.next;
        self.next += 1;
        self.send(&request.to_packet(id));
        loop {
            match self.receive().expect("the launcher closed the connection") {
                (FromLauncher::Reply(of, reply), descriptors) => {
                    assert_eq!(of, id);
                    return (reply, descriptors);
                }
                (FromLauncher::Event(event), _) => self.events.push(event),
            }
        }
    }

    /// Starts a server of the generation in force.
    pub fn spawn(&mut self, name: &str) -> Result<Server, Refusal> {
        let server = ServerName::new(name).unwrap();
        let request =
            Request::Spawn { server, generation: self.machine.generation, partition: Partition::SHARED };
        match self.ask(&request) {
            (Reply::Spawned(spawned), descriptors) => {
                let [stdin, stdout, stderr, pidfd] = descriptors.try_into().unwrap();
                let [stdin, stdout, stderr] = [stdin, stdout, stderr].map(File::from);
                Ok(Server { spawned, stdin: Some(stdin), stdout, stderr, pidfd })
            }
            (Reply::Refused(refusal), _) => Err(refusal),
            (other, _) => panic!("{other:?}"),
        }
    }

    /// Asks a server to end.
    pub fn stop(&mut self, server: &Server, grace_ms: u32) -> Reply {
        self.ask(&Request::Stop { instance: server.spawned.instance, grace_ms }).0
    }

    /// The next event.
    pub fn event(&mut self) -> Event {
        if !self.events.is_empty() {
            return self.events.remove(0);
        }
        match self.receive() {
            Some((FromLauncher::Event(event), _)) => event,
            other => panic!("{other:?}"),
        }
    }

    /// Takes note of the generations it was told of meanwhile.
    pub fn take_news(&mut self) {
        for event in std::mem::take(&mut self.events) {
            match event {
                Event::Changed { generation, .. } => self.machine.generation = generation,
                other => self.events.push(other),
            }
        }
    }

    /// Waits for the end of an instance.
    pub fn exit(&mut self, instance: InstanceId) -> Exit {
        match self.event() {
            Event::Exited { instance: ended, exit } if ended == instance => exit,
            other => panic!("{other:?}"),
        }
    }

    /// Waits for the end of an instance, whatever else is told before.
    pub fn wait_for_exit(&mut self, instance: InstanceId) -> Exit {
        let mut others = Vec::new();
        let exit = loop {
            match self.event() {
                Event::Exited { instance: ended, exit } if ended == instance => break exit,
                other => others.push(other),
            }
        };
        self.events.extend(others);
        exit
    }

    /// Starts a server, and returns all it says until it ends, and how it ends.
    pub fn run(&mut self, name: &str) -> (String, Exit) {
        let mut server = self.spawn(name).unwrap();
        server.stdin = None;
        let mut output = String::new();
        server.stdout.read_to_string(&mut output).unwrap();
        server.stderr.read_to_string(&mut output).unwrap();
        (output, self.exit(server.spawned.instance))
    }
}

impl Server {
    /// Writes a line to the server.
    pub fn say(&mut self, line: &str) {
        writeln!(self.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Reads one line of the server.
    pub fn hear(&mut self) -> String {
        let mut line = Vec::new();
        let mut byte = [0];
        while self.stdout.read(&mut byte).unwrap() == 1 && byte[0] != b'\n' {
            line.push(byte[0]);
        }
        String::from_utf8(line).unwrap()
    }
}

#[expect(unsafe_code, reason = "the kernel just handed the number over")]
fn own(number: RawFd) -> OwnedFd {
    // SAFETY: received by SCM_RIGHTS, so it is new and nobody else's.
    unsafe { OwnedFd::from_raw_fd(number) }
}

/// Does something as another user: this thread alone, unlike the C library's `seteuid`.
#[expect(unsafe_code, reason = "the C library has no call for one thread")]
fn as_user(uid: u32, act: impl FnOnce()) {
    let unchanged = u32::MAX;
    let own = nix::unistd::geteuid().as_raw();
    // SAFETY: only integers are passed.
    let become_user = |uid: u32| unsafe { libc::syscall(libc::SYS_setresuid, unchanged, uid, unchanged) };
    assert_eq!(become_user(uid), 0);
    act();
    assert_eq!(become_user(own), 0);
}
