//! Every key of every document, once: what it holds, whether it is built, and what it is for.
//! The reader refuses what is not here; the JSON Schema is made from here.

/// A key of a mapping.
#[derive(Debug)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What its value may be.
    pub shape: Shape,
    /// What it is for, in a sentence.
    pub about: &'static str,
}

/// What a value may be.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// Text.
    Text,
    /// A list of texts.
    Texts,
    /// A time span such as `30s`.
    Duration,
    /// A size such as `512MiB`.
    Size,
    /// A percentage such as `100%`.
    Percent,
    /// A whole number.
    Count,
    /// `true` or `false`.
    Switch,
    /// One of these words; the second list is designed but not built.
    Choice(&'static [&'static str], &'static [&'static str]),
    /// A mapping with these keys.
    Mapping(&'static [Key]),
    /// A list of mappings with these keys.
    Mappings(&'static [Key]),
    /// A mapping from a variable's name to text or `{credential: NAME}`.
    Environment,
    /// A name, or a mapping with the keys of a policy.
    Policy,
    /// Anything: the key is designed but not built, and refused with this help.
    NotBuilt(&'static str),
}

const fn key(name: &'static str, shape: Shape, about: &'static str) -> Key {
    Key { name, shape, about }
}

/// `config.yaml`.
pub const CONFIG: &[Key] = &[
    key("servers", Shape::Mappings(SERVER), "The MCP servers, each run in its own sandbox."),
    key("proxy", Shape::Mapping(PROXY), "The proxy that clients reach."),
];

/// One entry of `servers`.
pub const SERVER: &[Key] = &[
    key(
        "id",
        Shape::Text,
        "Its name: a-z, 0-9 and -, at most 32 characters; short ids make short tool names.",
    ),
    key("transport", Shape::Choice(&["stdio"], &["http"]), "How the server is reached."),
    key("command", Shape::Text, "The program: a name looked up in the profile's PATH, or an absolute path."),
    key("args", Shape::Texts, "Its arguments. ${NAME} stands for a variable of only1mcp's own environment."),
    key("env", Shape::Environment, "Its environment, beside what the profile sets. Nothing is inherited."),
    key("cwd", Shape::Text, "Its working directory, as a path inside the sandbox; /state if absent."),
    key("policy", Shape::Policy, "What it may touch: a file in policies/, a built-in profile, or a mapping."),
    key(
        "scope",
        Shape::Choice(&["shared", "session", "principal"], &[]),
        "Who shares one process: everybody, one client's session, or one principal; shared if absent.",
    ),
    key(
        "idle_timeout",
        Shape::Duration,
        "After how long without a request a process ends until the next one; never if absent, or 5m if not shared.",
    ),
    key(
        "startup_timeout",
        Shape::Duration,
        "How long it may take to answer its first request; 30s if absent.",
    ),
    key("request_timeout", Shape::Duration, "How long one request may take; 60s if absent."),
    key("replicas", Shape::Count, "How many processes do the same work, at most 32; 1 if absent."),
    key(
        "state",
        Shape::Choice(&["shared"], &[]),
        "That several processes may use its state directory at one time, as replicas must.",
    ),
    key("routing", Shape::Mapping(SERVER_ROUTING), "Which replica gets a call."),
    key(
        "retry",
        Shape::Texts,
        "Tools that may be called twice when a process failed; names, or prefixes followed by *.",
    ),
    key(
        "trust_annotations",
        Shape::Switch,
        "Believe the server on which of its tools may be called twice; false if absent.",
    ),
    key(
        "health_check",
        Shape::Mapping(HEALTH_CHECK),
        "How its health is checked; as `proxy.health` says if absent.",
    ),
    key("recycle", Shape::Mapping(RECYCLE), "When a process is replaced by a fresh one; never if absent."),
    key("concurrency", Shape::Mapping(CONCURRENCY), "How many calls it takes at once."),
    key(
        "expose",
        Shape::Choice(&["listed", "found", "hidden"], &[]),
        "Whether its tools are listed in every view, only found by search, or neither; as the view says if absent.",
    ),
    key("read_only", Shape::Texts, "Tools that only read; names, or prefixes followed by *."),
    key("results", Shape::Mapping(RESULTS), "What becomes of its results; they stay as they are if absent."),
    key(
        "url",
        Shape::NotBuilt("remove the key; only stdio servers can be used so far"),
        "Address of an http server.",
    ),
    key(
        "headers",
        Shape::NotBuilt("remove the key; only stdio servers can be used so far"),
        "Headers for an http server.",
    ),
];

/// `routing` of a server.
pub const SERVER_ROUTING: &[Key] = &[key(
    "key",
    Shape::Choice(&["auto", "principal", "session", "arguments"], &[]),
    "What calls have in common that go to one replica: by default their session, else tool and arguments.",
)];

/// `health_check` of a server.
pub const HEALTH_CHECK: &[Key] = &[
    key("interval", Shape::Duration, "Time between two checks."),
    key("timeout", Shape::Duration, "How long a check may take."),
    key("failure_threshold", Shape::Count, "Failures in a row until it gets no more calls."),
];

/// `recycle` of a server.
pub const RECYCLE: &[Key] = &[
    key("calls", Shape::Count, "After so many calls."),
    key("age", Shape::Duration, "After so long, at least 1m."),
    key(
        "memory",
        Shape::Size,
        "When it uses so much memory; needs `requires: {cgroup: true}` in its policy.",
    ),
];

/// `concurrency` of a server.
pub const CONCURRENCY: &[Key] = &[
    key("calls", Shape::Count, "Calls of all clients in its hands at once; 1024 if absent."),
    key("per_principal", Shape::Count, "Calls of one principal in its hands at once; as `calls` if absent."),
    key("queue", Shape::Count, "Calls that may wait for their turn; 1024 if absent."),
];

/// `results` of a server.
pub const RESULTS: &[Key] = &[
    key(
        "max_tokens",
        Shape::Count,
        "Tokens of a text above which it is cut and the rest can be read as a resource, 100 to 1000000; never if absent.",
    ),
    key("tables", Shape::Choice(&["csv", "toon"], &[]), "How tables are written; as they come if absent."),
];

/// `proxy`.
pub const PROXY: &[Key] = &[
    key("listen", Shape::Text, "Address and port to listen on; 127.0.0.1:8080 if absent."),
    key("names", Shape::Mapping(NAMES), "How names are made when servers are shown together."),
    key(
        "rate_limit",
        Shape::Mapping(RATE_LIMIT),
        "How often one principal may call one server; as often as it likes if absent.",
    ),
    key(
        "view",
        Shape::Choice(TOOL_VIEWS, &[]),
        "How tools are shown to clients that do not choose and that `views` does not name; full if absent.",
    ),
    key(
        "auto_threshold",
        Shape::Count,
        "Tokens of tool definitions below which the view auto shows them in full; 10000 if absent, 100 to 1000000.",
    ),
    key("views", Shape::Mappings(PRINCIPAL_VIEW), "How single principals see the tools."),
    key("routing", Shape::Mapping(ROUTING), "How calls are spread over replicas."),
    key("health", Shape::Mapping(HEALTH), "How the health of all servers is checked."),
];

/// Words for how tools are shown.
const TOOL_VIEWS: &[&str] = &["full", "compact", "brief", "search", "auto"];

/// One entry of `proxy.views`.
pub const PRINCIPAL_VIEW: &[Key] = &[
    key("principal", Shape::Text, "Who: token for bearers of the token, or uid:N for processes of this uid."),
    key("view", Shape::Choice(TOOL_VIEWS, &[]), "How tools are shown to it."),
];

/// `proxy.routing`.
pub const ROUTING: &[Key] = &[
    key(
        "algorithm",
        Shape::Choice(&["consistent_hash", "least_connections", "round_robin"], &[]),
        "How a replica is chosen; consistent_hash if absent.",
    ),
    key("virtual_nodes", Shape::Count, "Points of a replica on the ring of consistent_hash; 150 if absent."),
];

/// `proxy.health`.
pub const HEALTH: &[Key] = &[
    key("check_interval", Shape::Duration, "Time between two checks; 10s if absent."),
    key("timeout", Shape::Duration, "How long a check may take; 5s if absent."),
    key(
        "failure_threshold",
        Shape::Count,
        "Failures in a row until a replica gets no more calls; 3 if absent.",
    ),
];

/// `proxy.names`.
pub const NAMES: &[Key] =
    &[key("max_length", Shape::Count, "Longest aggregated name, in characters; 48 if absent, 16 to 128.")];

/// `proxy.rate_limit`.
pub const RATE_LIMIT: &[Key] = &[
    key("requests_per_minute", Shape::Count, "Calls per minute in the long run."),
    key("burst", Shape::Count, "Calls that may follow each other at once; as requests_per_minute if absent."),
];

/// A policy: `policies/NAME.yaml`, or the mapping below `policy`.
pub const POLICY: &[Key] = &[
    key(
        "extends",
        Shape::Choice(&["native", "node", "python", "jvm", "go"], &[]),
        "The built-in profile it starts from.",
    ),
    key("filesystem", Shape::Mapping(FILESYSTEM), "Files of the host that are visible inside."),
    key("network", Shape::Mapping(NETWORK), "Where it may connect to; nowhere if absent."),
    key("limits", Shape::Mapping(LIMITS), "How much it may use; the profile's figures where absent."),
    key("requires", Shape::Mapping(REQUIRES), "Walls that must stand, or the server is not started."),
    key("tools", Shape::Mapping(TOOLS), "Which of its tools clients may list and call."),
    key("memory", Shape::Mapping(MEMORY), "How it may use memory."),
];

/// `filesystem` of a policy.
pub const FILESYSTEM: &[Key] = &[
    key("read", Shape::Texts, "Absolute paths that may be read, at the same path inside."),
    key("execute", Shape::Texts, "Absolute paths that may be read and executed."),
    key(
        "write",
        Shape::Texts,
        "Absolute paths that may be read and written; `state` is the server's own directory, /state.",
    ),
];

/// `network` of a policy.
pub const NETWORK: &[Key] =
    &[key("allow", Shape::Texts, "Host names it may connect to. Must be empty so far.")];

/// `limits` of a policy or a profile.
pub const LIMITS: &[Key] = &[
    key("memory", Shape::Size, "Memory of all its processes, such as 512MiB."),
    key("processes", Shape::Count, "Processes and threads at once."),
    key("cpu", Shape::Percent, "Processor time; 100% is one whole processor."),
    key("open_files", Shape::Count, "Open files of one process."),
    key("scratch", Shape::Size, "Size of /tmp, and of /dev/shm."),
    key("file_size", Shape::Size, "Largest file it may write."),
    key(
        "io",
        Shape::Mapping(IO),
        "What it may move from and to each disk per second; as much as it can if absent.",
    ),
];

/// `limits.io` of a policy or a profile.
pub const IO: &[Key] = &[
    key("read", Shape::Size, "Bytes read per second, such as 50MiB."),
    key("write", Shape::Size, "Bytes written per second, such as 20MiB."),
];

/// `requires` of a policy.
pub const REQUIRES: &[Key] = &[
    key(
        "cgroup",
        Shape::Switch,
        "Refuse to start without memory, process, processor and, if asked for, io limits by cgroup.",
    ),
    key("landlock", Shape::Count, "Refuse to start below this Landlock ABI."),
];

/// `tools` of a policy or a profile.
pub const TOOLS: &[Key] = &[
    key("allow", Shape::Texts, "Names, or prefixes followed by *. An empty list allows none."),
    key("deny", Shape::Texts, "Names, or prefixes followed by *. Wins over allow."),
];

/// `memory` of a policy.
pub const MEMORY: &[Key] = &[key(
    "jit",
    Shape::Switch,
    "Whether memory may be written and executed, as just-in-time compilers need.",
)];

/// A built-in profile.
pub const PROFILE: &[Key] = &[
    key("about", Shape::Text, "What it is for."),
    key("path", Shape::Texts, "Where commands are looked up, inside and outside."),
    key("environment", Shape::Mappings(PROFILE_VARIABLE), "Variables every server of this profile has."),
    key("etc", Shape::Mappings(PROFILE_ITEM), "Entries of /etc beside those every server has."),
    key("system_calls", Shape::Mappings(PROFILE_GROUP), "Groups of system calls."),
    key("jit", Shape::Mapping(PROFILE_SWITCH), "Whether memory may be written and executed."),
    key("tmp_executable", Shape::Mapping(PROFILE_SWITCH), "Whether files in /tmp may be executed."),
    key("state_executable", Shape::Mapping(PROFILE_SWITCH), "Whether files in /state may be executed."),
    key("limits", Shape::Mapping(LIMITS), "How much a server may use."),
    key("limits_reason", Shape::Text, "Why these limits."),
    key("requires", Shape::Mapping(REQUIRES), "Walls that must stand."),
    key("tools", Shape::Mapping(TOOLS), "Which tools may be called unless a policy says otherwise."),
];

/// A variable of a profile.
pub const PROFILE_VARIABLE: &[Key] = &[
    key("name", Shape::Text, "Its name."),
    key("value", Shape::Text, "Its value."),
    key("reason", Shape::Text, "Why it is set."),
];

/// An entry of `/etc` of a profile.
pub const PROFILE_ITEM: &[Key] = &[
    key("path", Shape::Text, "Its path; a trailing * stands for any ending."),
    key("reason", Shape::Text, "Why it is needed."),
];

/// A group of system calls, named by a profile.
pub const PROFILE_GROUP: &[Key] =
    &[key("group", Shape::Text, "Its name."), key("reason", Shape::Text, "Why it is needed.")];

/// A switch of a profile.
pub const PROFILE_SWITCH: &[Key] =
    &[key("value", Shape::Switch, "On or off."), key("reason", Shape::Text, "Why.")];

/// The file of system call groups.
pub const GROUPS: &[Key] = &[key("groups", Shape::Mappings(GROUP), "The groups.")];

/// A group of system calls.
pub const GROUP: &[Key] = &[
    key("name", Shape::Text, "Its name."),
    key("reason", Shape::Text, "Why a server may make these calls."),
    key("calls", Shape::Texts, "The calls."),
];
