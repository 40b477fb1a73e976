//! Messages made from values: what either end can say, the other understands, within one packet.

use arbitrary::{Result, Unstructured};
use only1mcp_wire::enforced::{Enforced, Mode, Wall, Walls};
use only1mcp_wire::limits::{LIST_PAGE_NAMES, MESSAGE_BYTES_MAX, SERVER_NAME_BYTES_MAX, STOP_GRACE_MS_MAX};
use only1mcp_wire::message::{FromLauncher, RefusalCode, Request};
use only1mcp_wire::{
    Event, Exit, InstanceId, Machine, Partition, Refusal, Reply, ServerName, Spawned, Step, Usage,
};

/// Every value comes back as it went. The bytes only choose it.
///
/// # Panics
/// If not.
pub fn holds(choices: &[u8]) {
    let mut choices = Unstructured::new(choices);
    if let Ok((id, request)) = request(&mut choices) {
        let packet = request.to_packet(id);
        assert!(packet.len() <= MESSAGE_BYTES_MAX, "{request:?} has {} bytes", packet.len());
        assert_eq!(Request::from_packet(&packet), Ok((id, request)));
    }
    if let Ok(answer) = answer(&mut choices) {
        let packet = answer.to_packet();
        assert!(packet.len() <= MESSAGE_BYTES_MAX, "{answer:?} has {} bytes", packet.len());
        assert_eq!(FromLauncher::from_packet(&packet), Ok(answer));
    }
}

fn request(choices: &mut Unstructured<'_>) -> Result<(u32, Request)> {
    let id = choices.arbitrary()?;
    let request = match choices.int_in_range(0..=6)? {
        0 => Request::Hello,
        1 => Request::View,
        2 => Request::List { page: choices.arbitrary()? },
        3 => Request::Spawn {
            server: name(choices)?,
            generation: choices.arbitrary()?,
            partition: Partition(choices.arbitrary()?),
        },
        4 => Request::Usage { instance: InstanceId(choices.arbitrary()?) },
        5 => Request::Reload,
        _ => Request::Stop {
            instance: InstanceId(choices.arbitrary()?),
            grace_ms: choices.int_in_range(0..=STOP_GRACE_MS_MAX)?,
        },
    };
    Ok((id, request))
}

fn answer(choices: &mut Unstructured<'_>) -> Result<FromLauncher> {
    let id = choices.arbitrary()?;
    let reply = match choices.int_in_range(0..=10)? {
        0 => Reply::Hello(Machine {
            mode: *choices.choose(Mode::ALL)?,
            landlock_abi: choices.arbitrary()?,
            cgroup_limits: choices.arbitrary()?,
            generation: choices.arbitrary()?,
        }),
        1 => Reply::View { generation: choices.arbitrary()? },
        2 => {
            let count = choices.int_in_range(0..=LIST_PAGE_NAMES)?;
            let names = (0..count).map(|_| name(choices)).collect::<Result<_>>()?;
            Reply::List { names, next: choices.arbitrary()? }
        }
        3 => Reply::Spawned(Spawned {
            instance: InstanceId(choices.arbitrary()?),
            pid: choices.arbitrary()?,
            digest: choices.arbitrary()?,
            enforced: enforced(choices)?,
        }),
        4 => Reply::Stopping,
        5 => Reply::Refused(Refusal {
            code: *choices.choose(RefusalCode::ALL)?,
            step: choices.arbitrary::<bool>()?.then(|| choices.choose(Step::ALL)).transpose()?.copied(),
            errno: choices.arbitrary()?,
            wall: choices.arbitrary::<bool>()?.then(|| choices.choose(Wall::ALL)).transpose()?.copied(),
        }),
        6 => return Ok(FromLauncher::Event(exited(choices)?)),
        7 => Reply::Usage(choices.arbitrary::<bool>()?.then(|| usage(choices)).transpose()?),
        8 => Reply::Reloaded { generation: choices.arbitrary()?, errors: choices.arbitrary()? },
        9 => {
            let (instance, times) = (InstanceId(choices.arbitrary()?), choices.arbitrary()?);
            let limit = *choices.choose(Wall::ALL)?;
            return Ok(FromLauncher::Event(Event::LimitReached { instance, limit, times }));
        }
        _ => {
            let (generation, errors) = choices.arbitrary()?;
            return Ok(FromLauncher::Event(Event::Changed { generation, errors }));
        }
    };
    Ok(FromLauncher::Reply(id, reply))
}

fn exited(choices: &mut Unstructured<'_>) -> Result<Event> {
    let exit = match choices.int_in_range(0..=2)? {
        0 => Exit::Status(choices.arbitrary()?),
        1 => Exit::Signal(choices.arbitrary()?),
        _ => Exit::OutOfMemory { limit_bytes: choices.arbitrary()? },
    };
    Ok(Event::Exited { instance: InstanceId(choices.arbitrary()?), exit })
}

fn usage(choices: &mut Unstructured<'_>) -> Result<Usage> {
    Ok(Usage {
        memory_bytes: choices.arbitrary()?,
        memory_limit_bytes: choices.arbitrary()?,
        memory_limit_reached: choices.arbitrary()?,
        processes: choices.arbitrary()?,
        process_limit: choices.arbitrary()?,
        process_limit_reached: choices.arbitrary()?,
        cpu_us: choices.arbitrary()?,
        cpu_throttled_periods: choices.arbitrary()?,
        cpu_throttled_us: choices.arbitrary()?,
        io_read_bytes: choices.arbitrary()?,
        io_written_bytes: choices.arbitrary()?,
    })
}

fn enforced(choices: &mut Unstructured<'_>) -> Result<Enforced> {
    Ok(Enforced {
        mode: *choices.choose(Mode::ALL)?,
        walls: walls(choices)?,
        unasked: walls(choices)?,
        landlock_abi: choices.arbitrary()?,
    })
}

fn walls(choices: &mut Unstructured<'_>) -> Result<Walls> {
    let bits: u32 = choices.arbitrary()?;
    Ok(Wall::ALL.iter().copied().filter(|&wall| bits & (1 << wall as u8) != 0).collect())
}

fn name(choices: &mut Unstructured<'_>) -> Result<ServerName> {
    const LETTERS: &[u8; 37] = b"abcdefghijklmnopqrstuvwxyz0123456789-";
    let length = choices.int_in_range(1..=SERVER_NAME_BYTES_MAX)?;
    let text = (0..length).map(|_| choices.choose(LETTERS).map(|&letter| char::from(letter)));
    let text = text.collect::<Result<String>>()?;
    ServerName::new(text.trim_start_matches('-')).map_err(|_| arbitrary::Error::IncorrectFormat)
}
