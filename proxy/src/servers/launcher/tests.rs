//! The client of the launcher against a scripted launcher on a real socket.

use super::*;
use crate::servers::spawn::Spawner as _;
use nix::fcntl::OFlag;
use only1mcp_wire::enforced::Walls;
use only1mcp_wire::{Decode as _, Enforced, Event, Exit, Mode, RefusalCode, Spawned, Step, Wall};
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::unix::pipe;
use tokio_seqpacket::ancillary::AncillaryMessageWriter;
use tokio_seqpacket::{UnixSeqpacket, UnixSeqpacketListener};

const VIEW: &str = r#"{"proxy":{"listen":"127.0.0.1:0","name_characters_max":48,"rate_limit":null,"view":"full","auto_threshold":10000,"views":[]},"servers":[]}"#;

/// The launcher's end of one connection.
struct Script {
    socket: UnixSeqpacket,
}

impl Script {
    async fn accept(listener: &mut UnixSeqpacketListener) -> Self {
        Self { socket: listener.accept().await.unwrap() }
    }

    async fn hear(&self) -> (u32, Request) {
        let mut packet = [0; 4096];
        let count = self.socket.recv(&mut packet).await.unwrap().bytes_read();
        Request::from_packet(&packet[..count]).unwrap()
    }

    async fn say(&self, message: FromLauncher, descriptors: &[OwnedFd]) {
        let mut buffer = [0; 128];
        let mut ancillary = AncillaryMessageWriter::new(&mut buffer);
        ancillary.add_fds(descriptors.iter().map(|fd| fd.as_fd())).unwrap();
        let packet = message.to_packet();
        self.socket.send_with_ancillary(&packet, &mut ancillary).await.unwrap();
    }

    async fn greet(&self, generation: u64) {
        let (id, request) = self.hear().await;
        assert_eq!(request, Request::Hello);
        let machine = Machine { mode: Mode::User, landlock_abi: 7, cgroup_limits: false, generation };
        self.say(FromLauncher::Reply(id, Reply::Hello(machine)), &[]).await;
        self.show_view(generation).await;
    }

    async fn show_view(&self, generation: u64) {
        let (id, request) = self.hear().await;
        assert_eq!(request, Request::View);
        self.say(FromLauncher::Reply(id, Reply::View { generation }), &[memfd(VIEW)]).await;
    }

    /// Grants a SPAWN: gives the pipes' far ends to the proxy and keeps the near ones.
    async fn spawn(&self, instance: u64) -> (u64, pipe::Receiver, pipe::Sender) {
        let (id, request) = self.hear().await;
        let Request::Spawn { generation, .. } = request else { panic!("{request:?}") };
        let pair = || nix::unistd::pipe2(OFlag::O_CLOEXEC).unwrap();
        let ((read_in, stdin), (stdout, write_out), (stderr, _)) = (pair(), pair(), pair());
        let (pidfd, _) = pair();
        let enforced = Enforced {
            mode: Mode::User,
            walls: Walls::default(),
            unasked: Walls::default(),
            landlock_abi: 7,
        };
        let spawned = Spawned { instance: InstanceId(instance), pid: 9, digest: [1; 32], enforced };
        let reply = FromLauncher::Reply(id, Reply::Spawned(spawned));
        self.say(reply, &[stdin, stdout, stderr, pidfd]).await;
        (
            generation,
            pipe::Receiver::from_owned_fd(read_in).unwrap(),
            pipe::Sender::from_owned_fd(write_out).unwrap(),
        )
    }
}

fn memfd(text: &str) -> OwnedFd {
    let fd = nix::sys::memfd::memfd_create("view", nix::sys::memfd::MFdFlags::MFD_CLOEXEC).unwrap();
    let mut file = std::fs::File::from(fd);
    file.write_all(text.as_bytes()).unwrap();
    file.into()
}

fn name(text: &str) -> ServerName {
    ServerName::new(text).unwrap()
}

/// A directory of its own for one test's socket.
struct Place(PathBuf);

impl Place {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("only1mcp-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn bind(&self) -> UnixSeqpacketListener {
        let _ = std::fs::remove_file(self.socket());
        UnixSeqpacketListener::bind(self.socket()).unwrap()
    }

    fn socket(&self) -> PathBuf {
        self.0.join("launch.sock")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn a_named_server_comes_with_working_pipes_and_its_end_is_reported() {
    let place = Place::new("spawn");
    let mut listener = place.bind();
    let script = tokio::spawn(async move {
        let script = Script::accept(&mut listener).await;
        script.greet(5).await;
        let (generation, mut stdin, mut stdout) = script.spawn(3).await;
        assert_eq!(generation, 5);
        let mut heard = [0; 3];
        stdin.read_exact(&mut heard).await.unwrap();
        stdout.write_all(&heard).await.unwrap();
        let exited = Event::Exited { instance: InstanceId(3), exit: Exit::Status(7) };
        script.say(FromLauncher::Event(exited), &[]).await;
        script
    });
    let launcher = Launcher::connect(&place.socket()).await.unwrap();
    assert_eq!(launcher.machine().landlock_abi, 7);
    assert_eq!(launcher.view().await.unwrap().0, 5);
    let mut process = launcher.spawn(&name("files"), Partition::SHARED).await.unwrap();
    process.stdin.write_all(b"abc").await.unwrap();
    let mut echoed = [0; 3];
    process.stdout.read_exact(&mut echoed).await.unwrap();
    assert_eq!(&echoed, b"abc");
    assert_eq!(process.exit.await, Ok(Exit::Status(7)));
    let script = script.await.unwrap();
    process.leash.stop(Duration::from_secs(1));
    let (_, request) = script.hear().await;
    assert_eq!(request, Request::Stop { instance: InstanceId(3), grace_ms: 1000 });
}

#[tokio::test]
async fn what_a_server_uses_is_asked_for_and_a_reached_limit_ends_nothing() {
    let place = Place::new("usage");
    let mut listener = place.bind();
    let script = tokio::spawn(async move {
        let script = Script::accept(&mut listener).await;
        script.greet(1).await;
        let kept = script.spawn(3).await;
        let reached = Event::LimitReached { instance: InstanceId(3), limit: Wall::ProcessLimit, times: 2 };
        script.say(FromLauncher::Event(reached), &[]).await;
        let (id, request) = script.hear().await;
        assert_eq!(request, Request::Usage { instance: InstanceId(3) });
        let usage = Usage::from_bytes(&[1; 88]).unwrap();
        script.say(FromLauncher::Reply(id, Reply::Usage(Some(usage))), &[]).await;
        let (id, _) = script.hear().await;
        let refusal = Refusal { code: RefusalCode::UnknownInstance, step: None, errno: 0, wall: None };
        script.say(FromLauncher::Reply(id, Reply::Refused(refusal)), &[]).await;
        (script, kept)
    });
    let launcher = Launcher::connect(&place.socket()).await.unwrap();
    let process = launcher.spawn(&name("files"), Partition::SHARED).await.unwrap();
    let usage = process.leash.usage().await.unwrap();
    assert_eq!(usage.processes, u64::from_le_bytes([1; 8]));
    assert_eq!(process.leash.usage().await, None, "it has ended meanwhile");
    drop(script.await.unwrap());
}

#[tokio::test]
async fn a_refusal_is_told_in_words() {
    let place = Place::new("refusal");
    let mut listener = place.bind();
    tokio::spawn(async move {
        let script = Script::accept(&mut listener).await;
        script.greet(1).await;
        let (id, _) = script.hear().await;
        let refusal =
            Refusal { code: RefusalCode::LaunchFailed, step: Some(Step::ExecServer), errno: 2, wall: None };
        script.say(FromLauncher::Reply(id, Reply::Refused(refusal)), &[]).await;
        std::future::pending::<()>().await;
    });
    let launcher = Launcher::connect(&place.socket()).await.unwrap();
    let refused = launcher.spawn(&name("files"), Partition::SHARED).await.unwrap_err().to_string();
    assert_eq!(
        refused,
        "the launch failed: could not execute the server's program: No such file or directory (os error 2)"
    );
}

#[tokio::test]
async fn a_launcher_that_goes_away_is_connected_to_again_and_asked_under_its_new_generation() {
    let place = Place::new("reconnect");
    let mut listener = place.bind();
    let script = tokio::spawn(async move {
        let first = Script::accept(&mut listener).await;
        first.greet(9).await;
        let kept = first.spawn(1).await;
        drop((first, kept));
        let second = Script::accept(&mut listener).await;
        second.greet(1).await;
        let (generation, ..) = second.spawn(2).await;
        generation
    });
    let launcher = Launcher::connect(&place.socket()).await.unwrap();
    let mut in_force = launcher.in_force();
    let process = launcher.spawn(&name("files"), Partition::SHARED).await.unwrap();
    assert!(process.exit.await.is_err(), "nobody can say how it ended");
    in_force.changed().await.unwrap();
    assert_eq!(in_force.borrow().generation, 1);
    launcher.spawn(&name("files"), Partition::SHARED).await.unwrap();
    assert_eq!(script.await.unwrap(), 1);
}

#[tokio::test]
async fn a_changed_configuration_is_fetched_and_one_with_errors_is_not() {
    let place = Place::new("changed");
    let mut listener = place.bind();
    tokio::spawn(async move {
        let script = Script::accept(&mut listener).await;
        script.greet(1).await;
        for (generation, errors) in [(1, 3), (2, 0)] {
            script.say(FromLauncher::Event(Event::Changed { generation, errors }), &[]).await;
        }
        script.show_view(2).await;
        std::future::pending::<()>().await;
    });
    let launcher = Launcher::connect(&place.socket()).await.unwrap();
    let mut in_force = launcher.in_force();
    in_force.changed().await.unwrap();
    assert_eq!(in_force.borrow().generation, 2);
}

#[tokio::test]
async fn an_answer_to_nothing_or_too_few_descriptors_end_the_connection_or_the_server() {
    let place = Place::new("protocol");
    let mut listener = place.bind();
    let script = tokio::spawn(async move {
        let script = Script::accept(&mut listener).await;
        script.greet(1).await;
        let (id, _) = script.hear().await;
        let enforced = Enforced {
            mode: Mode::User,
            walls: Walls::default(),
            unasked: Walls::default(),
            landlock_abi: 7,
        };
        let spawned = Spawned { instance: InstanceId(4), pid: 9, digest: [1; 32], enforced };
        script.say(FromLauncher::Reply(id, Reply::Spawned(spawned)), &[memfd("x")]).await;
        let (_, stop) = script.hear().await;
        script.say(FromLauncher::Reply(777, Reply::Stopping), &[]).await;
        Script::accept(&mut listener).await.greet(2).await;
        stop
    });
    let launcher = Launcher::connect(&place.socket()).await.unwrap();
    let mut in_force = launcher.in_force();
    assert!(launcher.spawn(&name("files"), Partition::SHARED).await.is_err());
    in_force.changed().await.unwrap();
    assert_eq!(in_force.borrow().generation, 2, "connected again");
    assert_eq!(script.await.unwrap(), Request::Stop { instance: InstanceId(4), grace_ms: 0 });
}
