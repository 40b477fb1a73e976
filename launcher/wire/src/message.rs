//! The conversation between proxy and launcher over one `SOCK_SEQPACKET` connection.
//!
//! The proxy sends [`Request`]s, HELLO first; the launcher answers each with one [`Reply`] and may
//! send [`Event`]s between them. One packet is one message:
//! `magic u32 | version u16 | op u16 | request id u32 | body length u32 | body`, little-endian.
//! An event carries request id 0. Anything malformed ends the connection.

mod ids;

pub use ids::{InstanceId, Partition};

use crate::codec::{Decode, DecodeError, Encode, Reader, numbered, record};
use crate::enforced::{Enforced, Wall};
use crate::limits::{LIST_PAGE_NAMES, MESSAGE_BYTES_MAX, STOP_GRACE_MS_MAX};
use crate::name::ServerName;
use crate::step::Step;
use crate::usage::Usage;

/// First four bytes of every message.
pub const MAGIC: u32 = u32::from_le_bytes(*b"o1mL");
/// The one version this crate speaks.
pub const VERSION: u16 = 2;

/// What the proxy may ask. The complete list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Must come first, once.
    Hello,
    /// The current view; the reply carries a sealed memfd.
    View,
    /// A page of the names that may be spawned.
    List {
        /// Counted from 0.
        page: u16,
    },
    /// Start a server.
    Spawn {
        /// Which.
        server: ServerName,
        /// The generation of the view the proxy acts on; another one is refused.
        generation: u64,
        /// Who shares it.
        partition: Partition,
    },
    /// End a running server: close, SIGTERM, after the grace SIGKILL to all of it.
    Stop {
        /// Which.
        instance: InstanceId,
        /// From 0 to [`STOP_GRACE_MS_MAX`].
        grace_ms: u32,
    },
    /// What a running server uses of its limits.
    Usage {
        /// Which.
        instance: InstanceId,
    },
    /// Read the configuration again now.
    Reload,
}

/// The launcher's answer to one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// To HELLO.
    Hello(Machine),
    /// To VIEW, with one descriptor: the view as JSON in a sealed memfd.
    View {
        /// Counts configurations that came into force, from 1.
        generation: u64,
    },
    /// To LIST.
    List {
        /// This page, sorted.
        names: Vec<ServerName>,
        /// The next page, if there is one.
        next: Option<u16>,
    },
    /// To SPAWN, with four descriptors: stdin (write), stdout (read), stderr (read), pidfd.
    Spawned(Spawned),
    /// To STOP: the stop is under way; [`Event::Exited`] follows.
    Stopping,
    /// To USAGE; nothing where no cgroup counts it.
    Usage(Option<Usage>),
    /// To RELOAD, when it was read from the beginning after that.
    Reloaded {
        /// The generation now in force.
        generation: u64,
        /// Errors found; above 0 the old generation stays in force.
        errors: u32,
    },
    /// To any request that is not granted.
    Refused(Refusal),
}

/// What the launcher says unasked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A server of this connection ended, and with it all its processes.
    Exited {
        /// Which.
        instance: InstanceId,
        /// How.
        exit: Exit,
    },
    /// The configuration was read again.
    Changed {
        /// The generation now in force.
        generation: u64,
        /// Errors found; above 0 the old generation stays in force.
        errors: u32,
    },
    /// A server of this connection ran into a limit and goes on. At most one per server and second.
    LimitReached {
        /// Which.
        instance: InstanceId,
        /// Which limit.
        limit: Wall,
        /// How often since it was started.
        times: u64,
    },
}

record! {
    /// What this machine and this launcher offer.
    pub struct Machine {
        /// The mode it runs in.
        pub mode: crate::enforced::Mode,
        /// The kernel's Landlock ABI; 0 without.
        pub landlock_abi: u8,
        /// Whether memory, process and cpu limits can be set by cgroup.
        pub cgroup_limits: bool,
        /// The generation in force.
        pub generation: u64,
    }
}

record! {
    /// A server that runs.
    pub struct Spawned {
        /// Its id.
        pub instance: InstanceId,
        /// The process id of its PID 1, as the launcher sees it.
        pub pid: u32,
        /// SHA-256 of the plan that is in force around it.
        pub digest: [u8; 32],
        /// What the kernel enforces.
        pub enforced: Enforced,
    }
}

numbered! {
    /// Why a request is not granted.
    pub enum RefusalCode: u16 {
        /// No such server in this generation.
        UnknownServer = 1 => "no server of this name is configured",
        /// The proxy acts on an old view.
        StaleGeneration = 2 => "the configuration has changed since",
        /// A cap on running instances.
        TooManyInstances = 3 => "too many instances are running",
        /// A token bucket is empty.
        TooManySpawns = 4 => "it was started too often in a short time",
        /// No such instance of this connection.
        UnknownInstance = 5 => "no such instance",
        /// The policy requires a wall that this machine lacks.
        WallMissing = 6 => "the policy requires a wall that this machine lacks",
        /// A launch failed at a step.
        LaunchFailed = 7 => "the launch failed",
        /// No configuration is in force.
        NoConfiguration = 8 => "no configuration is in force",
        /// The launcher was told to end.
        Ending = 9 => "the launcher is ending",
    }
}

record! {
    /// A request that was not granted: codes only, so that no path or policy leaks to the proxy.
    pub struct Refusal {
        /// Why.
        pub code: RefusalCode,
        /// The step of the launch that failed, for [`RefusalCode::LaunchFailed`].
        pub step: Option<Step>,
        /// The kernel's error number; 0 for none.
        pub errno: i32,
        /// The wall that is missing, for [`RefusalCode::WallMissing`].
        pub wall: Option<Wall>,
    }
}

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this status.
    Status(u8),
    /// By this signal.
    Signal(u8),
    /// By the kernel, over its memory limit.
    OutOfMemory {
        /// The limit.
        limit_bytes: u64,
    },
}

impl Encode for Exit {
    fn encode(&self, out: &mut Vec<u8>) {
        let (kind, value) = match *self {
            Self::Status(status) => (0_u8, status.into()),
            Self::Signal(signal) => (1, signal.into()),
            Self::OutOfMemory { limit_bytes } => (2, limit_bytes),
        };
        kind.encode(out);
        value.encode(out);
    }
}

impl Decode for Exit {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (kind, value) = (u8::decode(reader)?, u64::decode(reader)?);
        let small = u8::try_from(value).map_err(|_| DecodeError::Value("exit"));
        match kind {
            0 => small.map(Self::Status),
            1 => small.map(Self::Signal),
            2 => Ok(Self::OutOfMemory { limit_bytes: value }),
            _ => Err(DecodeError::Value("exit")),
        }
    }
}

const HELLO: u16 = 1;
const VIEW: u16 = 2;
const LIST: u16 = 3;
const SPAWN: u16 = 4;
const STOP: u16 = 5;
const USAGE: u16 = 6;
const RELOAD: u16 = 7;
const REPLY: u16 = 0x100;
const REFUSED: u16 = 0x1ff;
const EXITED: u16 = 0x200;
const CHANGED: u16 = 0x201;
const LIMIT_REACHED: u16 = 0x202;

/// What the launcher sends: an answer or an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromLauncher {
    /// The answer to the request with this id.
    Reply(u32, Reply),
    /// Unasked.
    Event(Event),
}

impl Request {
    /// The packet that carries this request.
    #[must_use]
    pub fn to_packet(&self, id: u32) -> Vec<u8> {
        let mut body = Vec::new();
        let op = match self {
            Self::Hello => HELLO,
            Self::View => VIEW,
            Self::List { page } => {
                page.encode(&mut body);
                LIST
            }
            Self::Spawn { server, generation, partition } => {
                server.encode(&mut body);
                generation.encode(&mut body);
                partition.encode(&mut body);
                SPAWN
            }
            Self::Stop { instance, grace_ms } => {
                instance.encode(&mut body);
                grace_ms.encode(&mut body);
                STOP
            }
            Self::Usage { instance } => {
                instance.encode(&mut body);
                USAGE
            }
            Self::Reload => RELOAD,
        };
        packet(op, id, &body)
    }

    /// Reads a packet.
    ///
    /// # Errors
    /// [`DecodeError`]; the connection it came from must be closed.
    pub fn from_packet(packet: &[u8]) -> Result<(u32, Self), DecodeError> {
        let (op, id, mut body) = open(packet)?;
        let request = match op {
            HELLO => Self::Hello,
            VIEW => Self::View,
            LIST => Self::List { page: u16::decode(&mut body)? },
            SPAWN => Self::Spawn {
                server: Decode::decode(&mut body)?,
                generation: Decode::decode(&mut body)?,
                partition: Decode::decode(&mut body)?,
            },
            STOP => {
                let instance = Decode::decode(&mut body)?;
                let grace_ms = u32::decode(&mut body)?;
                if grace_ms > STOP_GRACE_MS_MAX {
                    return Err(DecodeError::Value("grace"));
                }
                Self::Stop { instance, grace_ms }
            }
            USAGE => Self::Usage { instance: Decode::decode(&mut body)? },
            RELOAD => Self::Reload,
            _ => return Err(DecodeError::Value("operation")),
        };
        body.finish()?;
        Ok((id, request))
    }
}

impl FromLauncher {
    /// The packet that carries this answer or event.
    #[must_use]
    pub fn to_packet(&self) -> Vec<u8> {
        let mut body = Vec::new();
        let (op, id) = match self {
            Self::Reply(id, reply) => (reply.encode_body(&mut body), *id),
            Self::Event(Event::Exited { instance, exit }) => {
                instance.encode(&mut body);
                exit.encode(&mut body);
                (EXITED, 0)
            }
            Self::Event(Event::Changed { generation, errors }) => {
                generation.encode(&mut body);
                errors.encode(&mut body);
                (CHANGED, 0)
            }
            Self::Event(Event::LimitReached { instance, limit, times }) => {
                instance.encode(&mut body);
                limit.encode(&mut body);
                times.encode(&mut body);
                (LIMIT_REACHED, 0)
            }
        };
        packet(op, id, &body)
    }

    /// Reads a packet.
    ///
    /// # Errors
    /// [`DecodeError`]; the connection it came from must be closed.
    pub fn from_packet(packet: &[u8]) -> Result<Self, DecodeError> {
        let (op, id, mut body) = open(packet)?;
        if matches!(op, EXITED | CHANGED | LIMIT_REACHED) && id != 0 {
            return Err(DecodeError::Value("request id of an event"));
        }
        let message = match op {
            EXITED => Self::Event(Event::Exited {
                instance: Decode::decode(&mut body)?,
                exit: Decode::decode(&mut body)?,
            }),
            CHANGED => Self::Event(Event::Changed {
                generation: Decode::decode(&mut body)?,
                errors: Decode::decode(&mut body)?,
            }),
            LIMIT_REACHED => Self::Event(Event::LimitReached {
                instance: Decode::decode(&mut body)?,
                limit: Decode::decode(&mut body)?,
                times: Decode::decode(&mut body)?,
            }),
            _ => Self::Reply(id, Reply::decode_body(op, &mut body)?),
        };
        body.finish()?;
        Ok(message)
    }
}

impl Reply {
    fn encode_body(&self, body: &mut Vec<u8>) -> u16 {
        match self {
            Self::Hello(machine) => {
                machine.encode(body);
                REPLY | HELLO
            }
            Self::View { generation } => {
                generation.encode(body);
                REPLY | VIEW
            }
            Self::List { names, next } => {
                names.encode(body);
                next.encode(body);
                REPLY | LIST
            }
            Self::Spawned(spawned) => {
                spawned.encode(body);
                REPLY | SPAWN
            }
            Self::Stopping => REPLY | STOP,
            Self::Usage(usage) => {
                usage.encode(body);
                REPLY | USAGE
            }
            Self::Reloaded { generation, errors } => {
                generation.encode(body);
                errors.encode(body);
                REPLY | RELOAD
            }
            Self::Refused(refusal) => {
                refusal.encode(body);
                REFUSED
            }
        }
    }

    fn decode_body(op: u16, body: &mut Reader<'_>) -> Result<Self, DecodeError> {
        const HELLO_REPLY: u16 = REPLY | HELLO;
        const VIEW_REPLY: u16 = REPLY | VIEW;
        const LIST_REPLY: u16 = REPLY | LIST;
        const SPAWN_REPLY: u16 = REPLY | SPAWN;
        const STOP_REPLY: u16 = REPLY | STOP;
        const USAGE_REPLY: u16 = REPLY | USAGE;
        const RELOAD_REPLY: u16 = REPLY | RELOAD;
        Ok(match op {
            HELLO_REPLY => Self::Hello(Decode::decode(body)?),
            VIEW_REPLY => Self::View { generation: Decode::decode(body)? },
            LIST_REPLY => {
                let names: Vec<ServerName> = Decode::decode(body)?;
                if names.len() > LIST_PAGE_NAMES {
                    return Err(DecodeError::TooLong("page"));
                }
                Self::List { names, next: Decode::decode(body)? }
            }
            SPAWN_REPLY => Self::Spawned(Decode::decode(body)?),
            STOP_REPLY => Self::Stopping,
            USAGE_REPLY => Self::Usage(Decode::decode(body)?),
            RELOAD_REPLY => {
                Self::Reloaded { generation: Decode::decode(body)?, errors: Decode::decode(body)? }
            }
            REFUSED => Self::Refused(Decode::decode(body)?),
            _ => return Err(DecodeError::Value("operation")),
        })
    }
}

fn packet(op: u16, id: u32, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(16 + body.len());
    MAGIC.encode(&mut out);
    VERSION.encode(&mut out);
    op.encode(&mut out);
    id.encode(&mut out);
    u32::try_from(body.len()).unwrap_or(u32::MAX).encode(&mut out);
    out.extend_from_slice(body);
    out
}

fn open(packet: &[u8]) -> Result<(u16, u32, Reader<'_>), DecodeError> {
    if packet.len() > MESSAGE_BYTES_MAX {
        return Err(DecodeError::TooLong("message"));
    }
    let mut reader = Reader::new(packet);
    if u32::decode(&mut reader)? != MAGIC {
        return Err(DecodeError::Value("magic"));
    }
    if u16::decode(&mut reader)? != VERSION {
        return Err(DecodeError::Value("version"));
    }
    let op = u16::decode(&mut reader)?;
    let id = u32::decode(&mut reader)?;
    let body = reader.bytes_up_to(MESSAGE_BYTES_MAX, "body")?;
    reader.finish()?;
    Ok((op, id, Reader::new(body)))
}

#[cfg(test)]
mod tests;
