//! What a machine has around a sandbox, beside the canaries: files in shared directories, somebody who knocks at a
//! port, somebody who moves directories about.

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::fault::{Context, Fault};
use super::machine::Person;
use crate::attempts::lookout::MOVE_EVERY;

/// Where everybody may write.
const SHARED: [&str; 3] = ["/tmp", "/var/tmp", "/dev/shm"];
/// Ports below those that the kernel gives away by itself.
const PORTS: std::ops::Range<u16> = 20_000..30_000;
/// How often somebody knocks.
const KNOCK_EVERY: Duration = Duration::from_millis(20);

/// Something that goes on in a thread until it is dropped.
struct Going {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Going {
    fn on(mut step: impl FnMut() + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::SeqCst) {
                step();
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Going {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Somebody who knocks at one port of loopback all the time.
pub struct Knocker {
    /// The port, at which nobody listens yet.
    pub port: u16,
    _going: Going,
}

impl Knocker {
    /// Begins to knock.
    ///
    /// # Errors
    /// If no port is free.
    pub fn start() -> Result<Self, Fault> {
        let first =
            PORTS.start + u16::try_from(std::process::id() % u32::from(PORTS.end - PORTS.start)).unwrap_or(0);
        let free = (first..PORTS.end)
            .chain(PORTS.start..first)
            .find(|&port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok());
        let port = free.ok_or_else(|| Fault::Program(format!("no port of {PORTS:?} is free")))?;
        let to = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let going = Going::on(move || {
            let _ = TcpStream::connect_timeout(&to, KNOCK_EVERY);
            thread::sleep(KNOCK_EVERY);
        });
        Ok(Self { port, _going: going })
    }
}

/// Files in the shared directories, readable for everybody.
pub struct Litter {
    files: Vec<PathBuf>,
}

impl Litter {
    /// Leaves one in each.
    ///
    /// # Errors
    /// If one cannot be written.
    pub fn leave(name: &str, content: &str) -> Result<Self, Fault> {
        let mut litter = Self { files: Vec::new() };
        for directory in SHARED.map(Path::new).into_iter().filter(|directory| directory.is_dir()) {
            let path = directory.join(name);
            // New or not at all: everybody may plant links in these directories, and this may be root.
            let made = path.display().to_string();
            let writing = || format!("make {made}");
            let mut file = fs::File::options().write(true).create_new(true).open(&path).doing(writing)?;
            let written = file
                .write_all(content.as_bytes())
                .and_then(|()| file.set_permissions(fs::Permissions::from_mode(0o644)))
                .doing(writing);
            litter.files.push(path);
            written?;
        }
        Ok(litter)
    }

    /// Their paths, with commas between them.
    #[must_use]
    pub fn paths(&self) -> String {
        self.files.iter().map(|path| path.to_string_lossy()).collect::<Vec<_>>().join(",")
    }
}

impl Drop for Litter {
    fn drop(&mut self) {
        self.files.iter().for_each(|path| drop(fs::remove_file(path)));
    }
}

/// Somebody who moves a directory out of the granted one and back again.
pub struct Mover {
    inside: PathBuf,
    outside: PathBuf,
    going: Option<Going>,
}

impl Mover {
    /// Begins to move it, below the canaries' directory `base`, for attempts that wait for it.
    ///
    /// # Errors
    /// If the directory cannot be made.
    pub fn start(base: &Path, person: &Person) -> Result<Self, Fault> {
        let (inside, outside) = (base.join("granted/inner/moving"), base.join("elsewhere/moving"));
        for path in [inside.join("deep"), base.join("elsewhere")] {
            fs::create_dir_all(&path).doing(|| format!("make {}", path.display()))?;
        }
        for path in [inside.clone(), inside.join("deep")] {
            std::os::unix::fs::chown(&path, Some(person.uid), Some(person.gid))
                .doing(|| format!("give {} away", path.display()))?;
        }
        let (from, to) = (inside.clone(), outside.clone());
        let going = Going::on(move || {
            thread::sleep(MOVE_EVERY);
            let _ = fs::rename(&from, &to);
            thread::sleep(MOVE_EVERY);
            let _ = fs::rename(&to, &from);
        });
        Ok(Self { inside, outside, going: Some(going) })
    }

    /// If `attempt` waits for it.
    ///
    /// # Errors
    /// If the directory cannot be made.
    pub fn wanted_by(attempt: &str, base: &Path, person: &Person) -> Result<Option<Self>, Fault> {
        (attempt == "F27").then(|| Self::start(base, person)).transpose()
    }
}

impl Drop for Mover {
    fn drop(&mut self) {
        drop(self.going.take());
        for path in [&self.inside, &self.outside] {
            let _ = fs::remove_dir_all(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn litter_is_never_written_through_a_link_that_somebody_planted() {
        let name = format!("only1mcp-litter-{}", std::process::id());
        let target = std::env::temp_dir().join(format!("{name}-target"));
        fs::write(&target, "precious").unwrap();
        let link = Path::new(SHARED[0]).join(&name);
        std::os::unix::fs::symlink(&target, &link).unwrap();
        let left = Litter::leave(&name, "litter");
        let content = fs::read_to_string(&target).unwrap();
        fs::remove_file(&link).unwrap();
        fs::remove_file(&target).unwrap();
        assert!(left.is_err());
        assert_eq!(content, "precious");
    }
}
