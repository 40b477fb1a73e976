//! A launcher that lacks a wall, or makes a mistake, for the tests that ask what each wall is worth.
//!
//! Only the feature `weakened` makes that possible, and no release can be built with it: in what ships
//! every question asked here is answered with "no" while it is compiled. What is lacking is named in a
//! file beside the program; `security/layers.md` and `security/mutations.md` say what came of it.

#[cfg(feature = "weakened")]
mod chosen;

#[cfg(feature = "weakened")]
pub use chosen::{begin, lacks, pretend_undumpable};

#[cfg(all(feature = "weakened", not(debug_assertions)))]
compile_error!("the feature `weakened` takes walls away: it is for tests and never for a release");

/// Whether this launcher lacks something, or makes a mistake, on purpose.
#[cfg(not(feature = "weakened"))]
#[must_use]
pub const fn lacks(_: Weakness) -> bool {
    false
}

macro_rules! weaknesses {
    ($($(#[$only:meta])? $name:ident = $text:literal,)*) => {
        /// What a launcher may lack, or do wrong.
        #[derive(Clone, Copy, PartialEq, Eq)]
        pub enum Weakness {
            $($(#[$only])? #[doc = $text] $name,)*
        }

        /// How the file names them.
        #[cfg(feature = "weakened")]
        const NAMES: &[(&str, Weakness)] = &[$(($text, Weakness::$name),)*];
    };
}

weaknesses! {
    // Walls that are not there.
    MountNamespace = "mount namespace",
    PidNamespace = "pid namespace",
    NetworkNamespace = "network namespace",
    IpcNamespace = "ipc namespace",
    UtsNamespace = "uts namespace",
    CgroupNamespace = "cgroup namespace",
    NestedNamespaceLimit = "limit of user namespaces",
    Landlock = "landlock",
    Seccomp = "seccomp",
    NoNewPrivileges = "no new privileges",
    #[cfg(feature = "weakened")]
    NoCapabilities = "no capabilities",
    ReadOnlyMounts = "read-only mounts",
    NoExecMounts = "noexec mounts",
    NoSetuidMounts = "nosuid mounts",
    NoDeviceMounts = "nodev mounts",
    SmallProc = "small /proc",
    HiddenProcesses = "hidden processes",
    #[cfg(feature = "weakened")]
    UndumpableInit = "undumpable init",
    OwnUid = "own uid",
    ClosedDescriptors = "closed descriptors",
    ResourceLimits = "resource limits",
    OwnSession = "own session",
    SessionKeyring = "own session keyring",
    // Mistakes somebody could make.
    DefaultAllow = "filter that allows by default",
    AnyArguments = "filter that looks at no argument",
    WideComparison = "filter that compares 64 bits",
    RefusedClone3 = "clone3 answered with EPERM",
    NothingAbsent = "no filter for what does not exist",
    #[cfg(feature = "weakened")]
    OpenDirectory = "directory opened without close-on-exec",
    InheritedEnvironment = "inherited environment",
    CapabilitiesBeforeUid = "capabilities dropped before the uid changes",
    BoundingSet = "bounding set kept",
    UnlockedSecurebits = "securebits not locked",
    SupplementaryGroups = "groups kept",
    LooseUmask = "umask 022",
    BlockedSignals = "signals left blocked",
    WritableSystem = "writable /usr",
    TiedTooEarly = "parent-death signal set before the uid changes",
    SparedRemains = "what a killed launcher left is spared",
    OldRoot = "old root left mounted",
    StateOfOthers = "state of all servers bound",
}
