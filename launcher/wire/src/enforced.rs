//! What is enforced around one running server: part of every SPAWN reply, shown by `status`.

use crate::codec::{Decode, DecodeError, Encode, Reader, numbered, record};

numbered! {
    /// How the whole of only1mcp runs on this machine.
    pub enum Mode: u8 {
        /// systemd units, static users, a pool of uids.
        System = 1 => "system",
        /// Our own supervisor, started as root: a pool of uids.
        Root = 2 => "root",
        /// Our own supervisor, started by a person: one uid for all.
        User = 3 => "user",
        /// User mode without user namespaces: Landlock and seccomp alone.
        Minimal = 4 => "minimal",
    }
}

numbered! {
    /// One wall around a server. The number is its bit in [`Walls`].
    pub enum Wall: u8 {
        /// Its own user namespace.
        UserNamespace = 0 => "user namespace",
        /// Its own root, empty but for what is granted.
        MountNamespace = 1 => "mount namespace",
        /// It sees no other process.
        PidNamespace = 2 => "pid namespace",
        /// An empty network.
        NetworkNamespace = 3 => "network namespace",
        /// No shared System V or POSIX IPC.
        IpcNamespace = 4 => "ipc namespace",
        /// Its own host name.
        UtsNamespace = 5 => "uts namespace",
        /// Its own view of the cgroup tree.
        CgroupNamespace = 6 => "cgroup namespace",
        /// A uid no other server and no person has.
        OwnUid = 7 => "own uid",
        /// Landlock, at the level in [`Enforced::landlock_abi`].
        Landlock = 8 => "landlock",
        /// The system call filters.
        Seccomp = 9 => "seccomp",
        /// `no_new_privs`.
        NoNewPrivileges = 10 => "no new privileges",
        /// All five capability sets are empty.
        NoCapabilities = 11 => "no capabilities",
        /// Process resource limits.
        ResourceLimits = 12 => "resource limits",
        /// `memory.max` and no swap.
        MemoryLimit = 13 => "memory limit",
        /// `pids.max`.
        ProcessLimit = 14 => "process limit",
        /// `cpu.max`.
        CpuLimit = 15 => "cpu limit",
        /// Ended as a whole by `cgroup.kill`.
        CgroupKill = 16 => "cgroup kill",
        /// `io.max` on every disk behind its files.
        IoLimit = 17 => "io limit",
    }
}

/// A set of [`Wall`]s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Walls(u32);

impl Walls {
    /// The set with `wall` added.
    #[must_use]
    pub const fn with(self, wall: Wall) -> Self {
        Self(self.0 | 1 << wall as u8)
    }

    /// Whether `wall` stands.
    #[must_use]
    pub const fn has(self, wall: Wall) -> bool {
        self.0 & (1 << wall as u8) != 0
    }

    /// The walls that stand, in order.
    pub fn iter(self) -> impl Iterator<Item = Wall> {
        Wall::ALL.iter().copied().filter(move |&wall| self.has(wall))
    }
}

impl FromIterator<Wall> for Walls {
    fn from_iter<I: IntoIterator<Item = Wall>>(walls: I) -> Self {
        walls.into_iter().fold(Self::default(), Self::with)
    }
}

impl Encode for Walls {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
}

impl Decode for Walls {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let bits = u32::decode(reader)?;
        let known = Wall::ALL.iter().copied().collect::<Self>().0;
        if bits & !known == 0 { Ok(Self(bits)) } else { Err(DecodeError::Value("walls")) }
    }
}

record! {
    /// What the kernel enforces around one server.
    pub struct Enforced {
        /// The mode it was started in.
        pub mode: Mode,
        /// The walls that stand.
        pub walls: Walls,
        /// Walls that do not stand because the policy asks for nothing they could enforce.
        pub unasked: Walls,
        /// The Landlock ABI in force; 0 without Landlock.
        pub landlock_abi: u8,
    }
}

impl Enforced {
    /// The walls that should stand and do not, in order.
    pub fn missing(&self) -> impl Iterator<Item = Wall> {
        Wall::ALL.iter().copied().filter(|&wall| !self.walls.has(wall) && !self.unasked.has(wall))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wall_stands_or_is_missing_or_was_not_asked_for() {
        let walls = Walls::default().with(Wall::Seccomp).with(Wall::Landlock);
        assert_eq!(walls.iter().collect::<Vec<_>>(), [Wall::Landlock, Wall::Seccomp]);
        let unasked = Walls::default().with(Wall::IoLimit);
        let enforced = Enforced { mode: Mode::User, walls, unasked, landlock_abi: 7 };
        assert_eq!(walls.iter().count() + 1 + enforced.missing().count(), Wall::ALL.len());
        assert!(enforced.missing().all(|wall| wall != Wall::IoLimit && wall != Wall::Seccomp));
    }

    #[test]
    fn refuses_bits_of_walls_it_does_not_know() {
        assert!(Walls::from_bytes(&u32::MAX.to_le_bytes()).is_err());
    }
}
