//! Things on the host that must stay untouched and unread: files, sockets that record, a process.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{PermissionsExt, lchown};
use std::os::unix::net::{SocketAddr as UnixAddress, UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::common_ground::{self, Segment};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::fault::{Context, Fault};
use super::machine::{self, Person, Programs};
use super::surroundings::{Knocker, Litter};
use crate::attempts;
use crate::catalogue::Mode;
use crate::probe::Targets;

/// The variable that must not get inside.
pub const VARIABLE: &str = "ONLY1MCP_CANARY_VARIABLE";
/// Variables by which runtimes and the C library load code; they must not get inside either.
pub const LOADERS: [(&str, &str); 5] = [
    ("LD_LIBRARY_PATH", "/only1mcp-canary-loader"),
    ("NODE_OPTIONS", "--title=only1mcp-canary-loader"),
    ("PYTHONSTARTUP", "/only1mcp-canary-loader"),
    ("JAVA_TOOL_OPTIONS", "-Donly1mcp-canary-loader=1"),
    ("BASH_ENV", "/only1mcp-canary-loader"),
];
const GRANTED: &str = "granted to be read";

/// How often listening canaries were reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touches {
    /// Those that no policy grants.
    pub others: usize,
    /// Sockets in the file system, by their paths.
    pub sockets: Vec<(PathBuf, usize)>,
}

/// Something that is not as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Harm {
    /// In words.
    pub what: String,
    /// The file or directory; nothing for what no policy grants.
    pub at: Option<PathBuf>,
}

/// All canaries of one run.
pub struct Canaries {
    /// The directory of the run.
    pub base: PathBuf,
    programs: Programs,
    secret: String,
    touched: Arc<AtomicUsize>,
    /// Sockets in the file system, the one we knock at ourselves first.
    sockets: Vec<(PathBuf, Arc<AtomicUsize>)>,
    own_touches: usize,
    tcp: SocketAddr,
    udp: SocketAddr,
    host: Option<Ipv4Addr>,
    abstract_name: String,
    segment: Option<Segment>,
    victim: Option<Victim>,
    knocker: Knocker,
    litter: Litter,
}

/// A process worth attacking, with the same uid as the server.
struct Victim {
    child: Child,
    said: BufReader<ChildStdout>,
    address: i64,
}

impl Canaries {
    /// Sets the canaries that are the same for all servers, in a new directory below `below`.
    ///
    /// # Errors
    /// If a file or a socket cannot be made.
    pub fn new(below: &Path, mode: Mode, person: &Person, programs: &Programs) -> Result<Self, Fault> {
        Self::within(&below.join(format!("only1mcp-walls-{}", unique(mode))), mode, person, programs)
    }

    /// Sets them in the directory `base`.
    ///
    /// # Errors
    /// If a file or a socket cannot be made.
    pub fn within(base: &Path, mode: Mode, person: &Person, programs: &Programs) -> Result<Self, Fault> {
        let (base, name) = (base.to_owned(), unique(mode));
        for directory in ["", "home/.ssh", "granted/inner", "granted-secret", "outside", "socket"] {
            let path = base.join(directory);
            fs::create_dir_all(&path).doing(|| format!("make {}", path.display()))?;
        }
        let touched = Arc::new(AtomicUsize::new(0));
        let tcp = listen_tcp(&touched).doing(|| "listen at a TCP port".to_owned())?;
        let udp = listen_udp(&touched).doing(|| "listen at a UDP port".to_owned())?;
        let abstract_name = format!("only1mcp-canary-{name}");
        let listener = UnixAddress::from_abstract_name(&abstract_name)
            .and_then(|address| UnixListener::bind_addr(&address));
        listen_unix(listener.doing(|| format!("listen at @{abstract_name}"))?, &touched);
        let path = base.join("socket/canary.sock");
        let socket = Arc::default();
        listen_unix(UnixListener::bind(&path).doing(|| format!("listen at {}", path.display()))?, &socket);
        set_mode(&path, 0o777)?;
        let secret =
            format!("canary-{:016x}", std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 1));
        let litter = Litter::leave(&format!("only1mcp-canary-{name}"), &secret)?;
        let canaries = Self {
            base,
            programs: programs.clone(),
            secret,
            touched,
            sockets: vec![(path, socket)],
            own_touches: 0,
            tcp,
            udp,
            host: host_address(),
            abstract_name,
            segment: Segment::new(),
            victim: None,
            knocker: Knocker::start()?,
            litter,
        };
        common_ground::plant_key();
        canaries.refill(person)?;
        Ok(canaries)
    }

    /// The files, what they must hold, and their modes.
    fn files(&self) -> [(&'static str, &str, u32); 4] {
        [
            ("home/.ssh/id_rsa", self.secret.as_str(), 0o600),
            ("granted/file.txt", GRANTED, 0o644),
            ("granted/victim.txt", GRANTED, 0o644),
            ("granted-secret/file.txt", self.secret.as_str(), 0o644),
        ]
    }

    /// Puts every file back as it was, owned by `person`.
    ///
    /// # Errors
    /// If a file cannot be written or given away.
    pub fn refill(&self, person: &Person) -> Result<(), Fault> {
        for (name, content, mode) in self.files() {
            let path = self.base.join(name);
            if fs::read_to_string(&path).ok().as_deref() != Some(content) {
                fs::write(&path, content).doing(|| format!("write {}", path.display()))?;
            }
            set_mode(&path, mode)?;
        }
        for name in ["home", "granted", "granted-secret", "outside"] {
            give(&self.base.join(name), person)?;
        }
        self.victim.iter().for_each(Victim::go_on);
        Ok(())
    }

    /// Starts the victim as `person`, in the fake home.
    ///
    /// # Errors
    /// If it cannot be started, or does not say where its secret lies.
    pub fn hunt(&mut self, person: &Person) -> Result<(), Fault> {
        let mut child = person
            .command(self.programs.find("only1mcp-probe")?)
            .arg("victim")
            .current_dir(self.base.join("home"))
            .env("ONLY1MCP_VICTIM_SECRET", &self.secret)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // It may outlive us, with nobody to talk to.
            .stderr(Stdio::null())
            .spawn()
            .doing(|| "start the victim".to_owned())?;
        let silent = || Fault::Program("the victim does not say where its secret lies".to_owned());
        let mut said = BufReader::new(child.stdout.take().ok_or_else(silent)?);
        let mut line = String::new();
        said.read_line(&mut line).doing(|| "read what the victim says".to_owned())?;
        let first: serde_json::Value = serde_json::from_str(&line).map_err(|_| silent())?;
        let address = first.get("address").and_then(serde_json::Value::as_i64).ok_or_else(silent)?;
        self.victim = Some(Victim { child, said, address });
        Ok(())
    }

    /// What attempts are aimed at.
    ///
    /// # Errors
    /// If the machine does not tell its name.
    pub fn targets(&self) -> Result<Targets, Fault> {
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
        targets.set("temporary", self.litter.paths());
        targets.set("knocked", format!("127.0.0.1:{}", self.knocker.port));
        targets.set("abstract", self.abstract_name.clone());
        targets.set("variable", VARIABLE);
        targets.set("hostname", machine::host_name()?);
        if let Some(segment) = &self.segment {
            targets.set("segment", segment.number().to_string());
        }
        if let Some(victim) = &self.victim {
            targets.set("victim", victim.child.id().to_string());
            targets.set("victim_group", victim.child.id().to_string());
            targets.set("victim_descriptor", "0");
            targets.set("victim_address", victim.address.to_string());
        }
        Ok(targets)
    }

    /// Targets that stand in for a daemon's processes, files and sockets where none runs.
    ///
    /// # Errors
    /// If no victim was started, or a socket cannot be made.
    pub fn targets_without_daemon(&mut self, person: &Person) -> Result<Targets, Fault> {
        let mut targets = self.targets()?;
        let known = |targets: &Targets, key: &str| -> Result<String, Fault> {
            targets.text(key).map(str::to_owned).map_err(Fault::Program)
        };
        let victim = known(&targets, "victim")?;
        targets.set("proxy", victim.clone());
        targets.set("launcher", victim);
        let tcp = known(&targets, "tcp")?;
        targets.set("mcp", tcp);
        let secret = known(&targets, "secret")?;
        targets.set("config", secret.clone());
        targets.set("other_state", secret);
        targets.set("own_place", self.base.to_string_lossy());
        targets.set("system_calls", "0,1");
        let bounds =
            [("scratch_bytes", 1 << 26), ("file_bytes", 1 << 30), ("open_files", 4096), ("processes", 64)];
        for (key, bound) in bounds {
            targets.set(key, bound.to_string());
        }
        targets.set("scratch_files", "16384");
        let directory = self.base.join("stand-in");
        fs::create_dir_all(&directory).doing(|| format!("make {}", directory.display()))?;
        for name in ["admin.sock", "relay.sock"] {
            let path = directory.join(name);
            let listener = UnixListener::bind(&path).doing(|| format!("listen at {}", path.display()))?;
            let touched = Arc::default();
            listen_unix(listener, &touched);
            give(&path, person)?;
            self.sockets.push((path, touched));
        }
        let path = directory.join("launch.sock");
        listen_packets(&path).doing(|| format!("listen at {}", path.display()))?;
        give(&path, person)?;
        targets.set("runtime", directory.to_string_lossy());
        Ok(targets)
    }

    /// How often anything but ourselves has reached a listening canary that no policy grants, and how often each
    /// socket in the file system, which one may.
    ///
    /// We knock at each and wait for its answer: they answer in order, so whoever came before us is counted.
    ///
    /// # Errors
    /// If a canary does not answer.
    pub fn touches(&mut self) -> Result<Touches, Fault> {
        self.knock().doing(|| "reach the canaries' own sockets".to_owned())?;
        self.own_touches += 1;
        // Our own knocks reach three others and the first of the sockets.
        let own = |index| if index == 0 { self.own_touches } else { 0 };
        let others = self.touched.load(Ordering::SeqCst) - 3 * self.own_touches;
        let sockets = self.sockets.iter().enumerate();
        let sockets = sockets
            .map(|(index, (path, touched))| (path.clone(), touched.load(Ordering::SeqCst) - own(index)));
        Ok(Touches { others, sockets: sockets.collect() })
    }

    fn knock(&self) -> io::Result<()> {
        let mut byte = [0];
        TcpStream::connect((Ipv4Addr::LOCALHOST, self.tcp.port()))?.read_exact(&mut byte)?;
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.send_to(b"x", (Ipv4Addr::LOCALHOST, self.udp.port()))?;
        socket.recv_from(&mut byte)?;
        let name = UnixAddress::from_abstract_name(&self.abstract_name)?;
        UnixStream::connect_addr(&name)?.read_exact(&mut byte)?;
        UnixStream::connect(self.base.join("socket/canary.sock"))?.read_exact(&mut byte)
    }

    /// What is not as it was, and where: what a policy may grant has a path, what none grants has none.
    pub fn harm(&mut self) -> Vec<Harm> {
        let mut harm = Vec::new();
        let mut to_file = |name: &str, what: String| harm.push(Harm { what, at: Some(self.base.join(name)) });
        for (name, content, _) in self.files() {
            if fs::read_to_string(self.base.join(name)).ok().as_deref() != Some(content) {
                to_file(name, format!("the canary {name} was changed"));
            }
        }
        match fs::read_dir(self.base.join("granted")).map(Iterator::count) {
            Ok(3) => {}
            Ok(left) => to_file("granted", format!("the granted directory has {left} entries instead of 3")),
            Err(error) => {
                to_file("granted", format!("the granted directory cannot be read any more: {error}"))
            }
        }
        harm.extend(self.harm_to_the_victim().map(|what| Harm { what, at: None }));
        harm
    }

    /// Lets it go on if it was stopped.
    fn harm_to_the_victim(&mut self) -> Option<String> {
        let victim = self.victim.as_mut()?;
        match victim.child.try_wait() {
            Ok(None) if victim.is_stopped() => {
                victim.go_on();
                Some("the victim was stopped".to_owned())
            }
            Ok(None) => None,
            Ok(Some(status)) => Some(format!("the victim ended: {status}")),
            Err(error) => Some(format!("the victim cannot be asked after: {error}")),
        }
    }

    /// The files that hold the secret, if `text` holds it.
    pub fn betrayed_by(&self, text: &str) -> Vec<PathBuf> {
        if !text.contains(&self.secret) {
            return Vec::new();
        }
        let files = self.files();
        let secret = files.iter().filter(|(_, content, _)| *content == self.secret);
        secret.map(|(name, ..)| self.base.join(name)).collect()
    }

    /// Ends the victim, which says whether its memory is as it was.
    pub fn call_off(&mut self) -> Vec<String> {
        let Some(mut victim) = self.victim.take() else {
            return vec!["the victim has gone".to_owned()];
        };
        victim.go_on();
        drop(victim.child.stdin.take());
        let mut last = String::new();
        let read = victim.said.read_line(&mut last);
        match victim.child.wait() {
            Ok(status) if read.is_ok() && last.trim() == "unharmed" && status.success() => Vec::new(),
            Ok(status) => vec![format!("the victim's memory was changed, or it was killed: {status}")],
            Err(error) => vec![format!("the victim cannot be waited for: {error}")],
        }
    }
}

impl Victim {
    /// Lets it go on, should a control have stopped it.
    fn go_on(&self) {
        if let Ok(process) = i32::try_from(self.child.id()) {
            // It is ours and not reaped, so the number is its own; one that has ended is noticed elsewhere.
            let _ = kill(Pid::from_raw(process), Signal::SIGCONT);
        }
    }

    fn is_stopped(&self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
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
    let count = COUNT.fetch_add(1, Ordering::SeqCst);
    format!("{}-{}-{count}", std::process::id(), machine::name_of(mode))
}

fn set_mode(path: &Path, mode: u32) -> Result<(), Fault> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .doing(|| format!("set the mode of {}", path.display()))
}

fn give(path: &Path, person: &Person) -> Result<(), Fault> {
    let named = || format!("give {} to uid {}", path.display(), person.uid);
    lchown(path, Some(person.uid), Some(person.gid)).doing(named)?;
    if path.is_dir() && !path.is_symlink() {
        for entry in fs::read_dir(path).doing(named)? {
            give(&entry.doing(named)?.path(), person)?;
        }
    }
    Ok(())
}

fn listen_tcp(touched: &Arc<AtomicUsize>) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("0.0.0.0:0")?;
    let address = listener.local_addr()?;
    let touched = Arc::clone(touched);
    thread::spawn(move || {
        for stream in listener.incoming() {
            touched.fetch_add(1, Ordering::SeqCst);
            let _ = stream.map(|mut stream| stream.write_all(b"x"));
        }
    });
    Ok(address)
}

fn listen_udp(touched: &Arc<AtomicUsize>) -> io::Result<SocketAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    let address = socket.local_addr()?;
    let touched = Arc::clone(touched);
    thread::spawn(move || {
        let mut bytes = [0; 64];
        while let Ok((_, sender)) = socket.recv_from(&mut bytes) {
            touched.fetch_add(1, Ordering::SeqCst);
            let _ = socket.send_to(b"x", sender);
        }
    });
    Ok(address)
}

fn listen_unix(listener: UnixListener, touched: &Arc<AtomicUsize>) {
    let touched = Arc::clone(touched);
    thread::spawn(move || {
        for stream in listener.incoming() {
            touched.fetch_add(1, Ordering::SeqCst);
            let _ = stream.map(|mut stream| stream.write_all(b"x"));
        }
    });
}

/// A listening socket of the launcher's kind; it stays open as long as this process lives.
fn listen_packets(path: &Path) -> nix::Result<()> {
    use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket};
    let socket = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None)?;
    bind(std::os::fd::AsRawFd::as_raw_fd(&socket), &UnixAddr::new(path)?)?;
    listen(&socket, Backlog::new(16)?)?;
    std::mem::forget(socket);
    Ok(())
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
