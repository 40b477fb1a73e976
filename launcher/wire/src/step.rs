//! The steps of a launch, so that a failure names the one that failed.

use crate::codec::numbered;

numbered! {
    /// One step of a launch. A launch that fails reports the step and the errno, nothing else.
    pub enum Step: u16 {
        /// Before the fork: state directory, credentials, descriptors.
        Prepare = 1 => "prepare the launch",
        /// The state directory of this server and partition.
        StateDirectory = 2 => "make the state directory",
        /// A credential named by `env`.
        Credential = 3 => "read a credential",
        /// The server's cgroup and its limits.
        Cgroup = 4 => "set the cgroup limits",
        /// `clone3` with the namespaces.
        Clone = 5 => "create the namespaces",
        /// `uid_map` and `gid_map`.
        MapIds = 6 => "map user and group ids",
        /// `setresuid` and its kin, inside.
        BecomeUser = 7 => "become the sandbox user",
        /// `PR_SET_PDEATHSIG`, and that the launcher is still there.
        ParentDeath = 8 => "tie the sandbox to the launcher's life",
        /// `user.max_user_namespaces` of the new namespace.
        NoNestedNamespaces = 9 => "forbid nested user namespaces",
        /// The empty root.
        MountRoot = 10 => "mount the empty root",
        /// A bind source that could not be opened.
        OpenSource = 11 => "open a granted path",
        /// A bind source that is not what was checked.
        SourceChanged = 12 => "find a granted path unchanged since its check",
        /// Binding a source.
        Bind = 13 => "bind a granted path",
        /// Making binds read-only.
        ReadOnly = 14 => "make a granted path read-only",
        /// Synthetic files and links.
        Files = 15 => "write the synthetic files",
        /// tmpfs mounts.
        Scratch = 16 => "mount scratch space",
        /// The private `/proc`.
        Proc = 17 => "mount a private /proc",
        /// `pivot_root` and detaching the old root.
        Pivot = 18 => "change the root",
        /// The working directory.
        WorkingDirectory = 19 => "enter the working directory",
        /// Loopback and host name.
        Identity = 20 => "set up loopback and host name",
        /// Resource limits of the process.
        ResourceLimits = 21 => "set the resource limits",
        /// Capabilities, securebits, no new privileges.
        Privileges = 22 => "drop all privileges",
        /// Session, signals, umask.
        Session = 23 => "start a new session",
        /// Standard descriptors and closing all others.
        Descriptors = 24 => "close inherited descriptors",
        /// Landlock.
        Landlock = 25 => "enforce landlock",
        /// seccomp.
        Seccomp = 26 => "install the system call filters",
        /// Executing PID 1.
        ExecInit = 27 => "execute only1mcp-init",
        /// PID 1 forking the server.
        ForkServer = 28 => "fork the server",
        /// Executing the server.
        ExecServer = 29 => "execute the server's program",
    }
}
