//! Messages made from values: what either end can say, the other understands, within one packet.

use arbitrary::{Result, Unstructured};
use only1mcp_wire::enforced::{Enforced, Mode, Wall};
use only1mcp_wire::limits::{LIST_PAGE_NAMES, MESSAGE_BYTES_MAX, SERVER_NAME_BYTES_MAX, STOP_GRACE_MS_MAX};
use only1mcp_wire::message::{FromLauncher, RefusalCode, Request};
use only1mcp_wire::{Event, Exit, InstanceId, Machine, Partition, Refusal, Reply, ServerName, Spawned, Step};

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
    let request = match choices.int_in_range(0..=4)? {
        0 => Request::Hello,
        1 => Request::View,
        2 => Request::List { page: choices.arbitrary()? },
        3 => Request::Spawn {
            server: name(choices)?,
            generation: choices.arbitrary()?,
            partition: Partition(choices.arbitrary()?),
        },
        _ => Request::Stop {
            instance: InstanceId(choices.arbitrary()?),
            grace_ms: choices.int_in_range(0..=STOP_GRACE_MS_MAX)?,
        },
    };
    Ok((id, request))
}

fn answer(choices: &mut Unstructured<'_>) -> Result<FromLauncher> {
    let id = choices.arbitrary()?;
    let reply = match choices.int_in_range(0..=7)? {
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
        _ => Exit::OutOfMemory,
    };
    Ok(Event::Exited { instance: InstanceId(choices.arbitrary()?), exit })
}

fn enforced(choices: &mut Unstructured<'_>) -> Result<Enforced> {
    let bits: u32 = choices.arbitrary()?;
    let walls = Wall::ALL.iter().copied().filter(|&wall| bits & (1 << wall as u8) != 0).collect();
    Ok(Enforced { mode: *choices.choose(Mode::ALL)?, walls, landlock_abi: choices.arbitrary()? })
}

fn name(choices: &mut Unstructured<'_>) -> Result<ServerName> {
    const LETTERS: &[u8; 37] = b"abcdefghijklmnopqrstuvwxyz0123456789-";
    let length = choices.int_in_range(1..=SERVER_NAME_BYTES_MAX)?;
    let text = (0..length).map(|_| choices.choose(LETTERS).map(|&letter| char::from(letter)));
    let text = text.collect::<Result<String>>()?;
    ServerName::new(text.trim_start_matches('-')).map_err(|_| arbitrary::Error::IncorrectFormat)
}
