//! Things on the host that must stay untouched and unread: files, sockets that record, a process.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{PermissionsExt, chown, lchown};
use std::os::unix::net::{SocketAddr as UnixAddress, UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use only1mcp_escape::attempts;
use only1mcp_escape::probe::Targets;

use crate::machine::{self, Mode, Person};

/// The variable that must not get inside.
pub const VARIABLE: &str = "ONLY1MCP_CANARY_VARIABLE";
const GRANTED: &str = "granted to be read";

/// All canaries of one run.
pub struct Canaries {
    /// The directory of the run.
    pub base: PathBuf,
    secret: String,
    touched: Arc<AtomicUsize>,
    own_touches: usize,
    tcp: SocketAddr,
    udp: SocketAddr,
    host: Option<Ipv4Addr>,
    abstract_name: String,
    victim: Option<Victim>,
}

/// A process worth attacking, with the same uid as the server.
struct Victim {
    child: Child,
    said: BufReader<ChildStdout>,
    address: i64,
}

impl Canaries {
    /// Sets the canaries that are the same for all servers.
    pub fn new(mode: Mode, person: &Person) -> Self {
        let base = PathBuf::from(format!("/var/tmp/only1mcp-walls-{}-{}", std::process::id(), unique(mode)));
        for directory in ["", "home/.ssh", "granted/inner", "granted-secret", "outside", "socket"] {
            fs::create_dir_all(base.join(directory)).unwrap();
        }
        let touched = Arc::new(AtomicUsize::new(0));
        let tcp = listen_tcp(&touched);
        let udp = listen_udp(&touched);
        let abstract_name = format!("only1mcp-canary-{}-{}", std::process::id(), unique(mode));
        listen_unix(
            UnixListener::bind_addr(&UnixAddress::from_abstract_name(&abstract_name).unwrap()),
            &touched,
        );
        let path = base.join("socket/canary.sock");
        listen_unix(UnixListener::bind(&path), &touched);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
        let secret =
            format!("canary-{:016x}", std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 1));
        let host = host_address();
        let canaries =
            Self { base, secret, touched, own_touches: 0, tcp, udp, host, abstract_name, victim: None };
        canaries.refill(person);
        canaries
    }

    /// Puts every file back as it was, owned by `person`.
    pub fn refill(&self, person: &Person) {
        let files = [
            ("home/.ssh/id_rsa", self.secret.as_str(), 0o600),
            ("granted/file.txt", GRANTED, 0o644),
            ("granted/victim.txt", GRANTED, 0o644),
            ("granted-secret/file.txt", self.secret.as_str(), 0o644),
        ];
        for (name, content, mode) in files {
            let path = self.base.join(name);
            if fs::read_to_string(&path).ok().as_deref() != Some(content) {
                fs::write(&path, content).unwrap();
            }
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
        for name in ["home", "granted", "granted-secret", "outside"] {
            give(&self.base.join(name), person);
        }
    }

    /// Starts the victim as `person`, in the fake home.
    pub fn hunt(&mut self, person: &Person) {
        let mut child = person
            .command(machine::program("only1mcp-probe"))
            .arg("victim")
            .current_dir(self.base.join("home"))
            .env("ONLY1MCP_VICTIM_SECRET", &self.secret)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        let first: serde_json::Value = serde_json::from_str(&line).unwrap();
        self.victim = Some(Victim { child, said, address: first.get("address").unwrap().as_i64().unwrap() });
    }

    /// What attempts are aimed at.
    pub fn targets(&self) -> Targets {
        let mut targets = Targets::default();
        let path = |name: &str| self.base.join(name).to_string_lossy().into_owned();
        targets.set("secret", path("home/.ssh/id_rsa"));
        targets.set("readonly", path("granted"));
        targets.set("socket", path("socket/canary.sock"));
        targets.set("tcp", format!("127.0.0.1:{}", self.tcp.port()));
        targets.set("udp", format!("127.0.0.1:{}", self.udp.port()));
        if let Some(host) = self.host {
            targets.set("tcp_host", format!("{host}:{}", self.tcp.port()));
            targets.set("udp_host", format!("{host}:{}", self.udp.port()));
        }
        for (key, files) in attempts::found_on_this_machine() {
            targets.set(key, files);
        }
        targets.set("abstract", self.abstract_name.clone());
        targets.set("variable", VARIABLE);
        targets.set("hostname", machine::host_name());
        if let Some(victim) = &self.victim {
            targets.set("victim", victim.child.id().to_string());
            targets.set("victim_group", victim.child.id().to_string());
            targets.set("victim_descriptor", "0");
            targets.set("victim_address", victim.address.to_string());
        }
        targets
    }

    /// Targets that stand in for a daemon's processes, files and sockets where none runs.
    pub fn targets_without_daemon(&self, person: &Person) -> Targets {
        let mut targets = self.targets();
        let victim = targets.text("victim").unwrap().to_owned();
        targets.set("proxy", victim.clone());
        targets.set("launcher", victim);
        let tcp = targets.text("tcp").unwrap().to_owned();
        targets.set("mcp", tcp);
        let secret = targets.text("secret").unwrap().to_owned();
        targets.set("config", secret.clone());
        targets.set("other_state", secret);
        targets.set("system_calls", "0,1");
        let directory = self.base.join("stand-in");
        fs::create_dir_all(&directory).unwrap();
        for name in ["admin.sock", "relay.sock"] {
            listen_unix(UnixListener::bind(directory.join(name)), &self.touched);
        }
        listen_packets(&directory.join("launch.sock"));
        for entry in fs::read_dir(&directory).unwrap() {
            give(&entry.unwrap().path(), person);
        }
        targets.set("runtime", directory.to_string_lossy());
        targets
    }

    /// How often anything but ourselves has reached a listening canary.
    ///
    /// We knock at each and wait for its answer: they answer in order, so whoever came before us is counted.
    pub fn touches(&mut self) -> usize {
        let mut byte = [0];
        TcpStream::connect((Ipv4Addr::LOCALHOST, self.tcp.port())).unwrap().read_exact(&mut byte).unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(b"x", (Ipv4Addr::LOCALHOST, self.udp.port())).unwrap();
        socket.recv_from(&mut byte).unwrap();
        let name = UnixAddress::from_abstract_name(&self.abstract_name).unwrap();
        UnixStream::connect_addr(&name).unwrap().read_exact(&mut byte).unwrap();
        UnixStream::connect(self.base.join("socket/canary.sock")).unwrap().read_exact(&mut byte).unwrap();
        self.own_touches += 4;
        self.touched.load(Ordering::SeqCst) - self.own_touches
    }

    /// What is not as it was.
    pub fn harm(&mut self) -> Vec<String> {
        let mut harm = Vec::new();
        let files = [
            ("home/.ssh/id_rsa", self.secret.as_str()),
            ("granted/file.txt", GRANTED),
            ("granted/victim.txt", GRANTED),
            ("granted-secret/file.txt", self.secret.as_str()),
        ];
        for (name, content) in files {
            if fs::read_to_string(self.base.join(name)).ok().as_deref() != Some(content) {
                harm.push(format!("the canary {name} was changed"));
            }
        }
        let left = fs::read_dir(self.base.join("granted")).unwrap().count();
        if left != 3 {
            harm.push(format!("the granted directory has {left} entries instead of 3"));
        }
        if let Some(victim) = &mut self.victim
            && let Some(status) = victim.child.try_wait().unwrap()
        {
            harm.push(format!("the victim ended: {status}"));
        }
        harm
    }

    /// Whether `text` holds the secret.
    pub fn betrayed_by(&self, text: &str) -> bool {
        text.contains(&self.secret)
    }

    /// Ends the victim, which says whether its memory is as it was.
    pub fn call_off(&mut self) -> Vec<String> {
        let Some(mut victim) = self.victim.take() else {
            return vec!["the victim has gone".to_owned()];
        };
        drop(victim.child.stdin.take());
        let mut last = String::new();
        victim.said.read_line(&mut last).unwrap();
        let status = victim.child.wait().unwrap();
        if last.trim() == "unharmed" && status.success() {
            Vec::new()
        } else {
            vec![format!("the victim's memory was changed, or it was killed: {status}")]
        }
    }
}

impl Drop for Canaries {
    fn drop(&mut self) {
        if let Some(victim) = &mut self.victim {
            let _ = victim.child.kill();
            let _ = victim.child.wait();
        }
        let _ = fs::remove_dir_all(&self.base);
    }
}

fn unique(mode: Mode) -> String {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    format!("{}-{}", machine::name_of(mode), COUNT.fetch_add(1, Ordering::SeqCst))
}

fn give(path: &Path, person: &Person) {
    lchown(path, Some(person.uid), Some(person.gid)).unwrap();
    if path.is_dir() && !path.is_symlink() {
        for entry in fs::read_dir(path).unwrap() {
            give(&entry.unwrap().path(), person);
        }
    }
    let _ = chown(path, Some(person.uid), Some(person.gid));
}

fn listen_tcp(touched: &Arc<AtomicUsize>) -> SocketAddr {
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let address = listener.local_addr().unwrap();
    let touched = Arc::clone(touched);
    thread::spawn(move || {
        for stream in listener.incoming() {
            touched.fetch_add(1, Ordering::SeqCst);
            let _ = stream.map(|mut stream| stream.write_all(b"x"));
        }
    });
    address
}

fn listen_udp(touched: &Arc<AtomicUsize>) -> SocketAddr {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    let address = socket.local_addr().unwrap();
    let touched = Arc::clone(touched);
    thread::spawn(move || {
        let mut bytes = [0; 64];
        while let Ok((_, sender)) = socket.recv_from(&mut bytes) {
            touched.fetch_add(1, Ordering::SeqCst);
            let _ = socket.send_to(b"x", sender);
        }
    });
    address
}

fn listen_unix(listener: std::io::Result<UnixListener>, touched: &Arc<AtomicUsize>) {
    let listener = listener.unwrap();
    let touched = Arc::clone(touched);
    thread::spawn(move || {
        for stream in listener.incoming() {
            touched.fetch_add(1, Ordering::SeqCst);
            let _ = stream.map(|mut stream| stream.write_all(b"x"));
        }
    });
}

fn listen_packets(path: &Path) {
    use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket};
    let socket = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None).unwrap();
    bind(std::os::fd::AsRawFd::as_raw_fd(&socket), &UnixAddr::new(path).unwrap()).unwrap();
    listen(&socket, Backlog::new(16).unwrap()).unwrap();
    std::mem::forget(socket);
}

/// An address of this machine that is not loopback: where a datagram to a documentation address would leave from.
fn host_address() -> Option<Ipv4Addr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("198.51.100.1:9").ok()?;
    match socket.local_addr().ok()? {
        SocketAddr::V4(address) if !address.ip().is_loopback() => Some(*address.ip()),
        _ => None,
    }
}
