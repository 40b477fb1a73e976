//! Packets there and back, and what is none.

use super::*;
use crate::enforced::{Mode, Walls};

fn requests() -> Vec<Request> {
    vec![
        Request::Hello,
        Request::View,
        Request::List { page: 3 },
        Request::Spawn {
            server: ServerName::new("files").unwrap(),
            generation: 7,
            partition: Partition([9; 16]),
        },
        Request::Stop { instance: InstanceId(5), grace_ms: 10_000 },
        Request::Usage { instance: InstanceId(5) },
        Request::Reload,
    ]
}

fn usage() -> Usage {
    Usage {
        memory_bytes: 1,
        memory_limit_bytes: 2,
        memory_limit_reached: 3,
        processes: 4,
        process_limit: 5,
        process_limit_reached: 6,
        cpu_us: 7,
        cpu_throttled_periods: 8,
        cpu_throttled_us: 9,
        io_read_bytes: 10,
        io_written_bytes: 11,
    }
}

fn answers() -> Vec<FromLauncher> {
    let enforced = Enforced {
        mode: Mode::User,
        walls: Walls::default().with(Wall::Seccomp),
        unasked: Walls::default().with(Wall::IoLimit),
        landlock_abi: 7,
    };
    let refusal =
        Refusal { code: RefusalCode::LaunchFailed, step: Some(Step::ExecServer), errno: 2, wall: None };
    vec![
        FromLauncher::Reply(
            1,
            Reply::Hello(Machine { mode: Mode::Root, landlock_abi: 7, cgroup_limits: false, generation: 1 }),
        ),
        FromLauncher::Reply(2, Reply::View { generation: 4 }),
        FromLauncher::Reply(3, Reply::List { names: vec![ServerName::new("a").unwrap()], next: Some(1) }),
        FromLauncher::Reply(
            4,
            Reply::Spawned(Spawned { instance: InstanceId(8), pid: 42, digest: [3; 32], enforced }),
        ),
        FromLauncher::Reply(5, Reply::Stopping),
        FromLauncher::Reply(6, Reply::Refused(refusal)),
        FromLauncher::Event(Event::Exited { instance: InstanceId(8), exit: Exit::Signal(9) }),
        FromLauncher::Event(Event::Exited {
            instance: InstanceId(9),
            exit: Exit::OutOfMemory { limit_bytes: 512 << 20 },
        }),
        FromLauncher::Event(Event::Changed { generation: 2, errors: 1 }),
        FromLauncher::Event(Event::LimitReached {
            instance: InstanceId(8),
            limit: Wall::ProcessLimit,
            times: 70_000,
        }),
        FromLauncher::Reply(7, Reply::Usage(None)),
        FromLauncher::Reply(8, Reply::Usage(Some(usage()))),
    ]
}

#[test]
fn every_request_comes_back_as_it_went() {
    for request in requests() {
        assert_eq!(Request::from_packet(&request.to_packet(77)), Ok((77, request)));
    }
}

#[test]
fn every_answer_comes_back_as_it_went() {
    for answer in answers() {
        assert_eq!(FromLauncher::from_packet(&answer.to_packet()), Ok(answer));
    }
}

#[test]
fn every_shortened_or_lengthened_packet_is_refused() {
    for request in requests() {
        let packet = request.to_packet(1);
        for end in 0..packet.len() {
            assert!(Request::from_packet(&packet[..end]).is_err(), "{request:?} cut at {end}");
        }
        let longer = [packet, vec![0]].concat();
        assert_eq!(Request::from_packet(&longer), Err(DecodeError::Trailing));
    }
}

#[test]
fn refuses_other_magic_version_operation_and_size() {
    let good = Request::Hello.to_packet(1);
    for (index, what) in [(0, "magic"), (4, "version"), (6, "operation")] {
        let mut bad = good.clone();
        bad[index] ^= 0x40;
        assert_eq!(Request::from_packet(&bad), Err(DecodeError::Value(what)));
    }
    assert_eq!(Request::from_packet(&[0; MESSAGE_BYTES_MAX + 1]), Err(DecodeError::TooLong("message")));
}

#[test]
fn an_answer_is_not_a_request() {
    for answer in answers() {
        assert!(Request::from_packet(&answer.to_packet()).is_err());
    }
}

#[test]
fn an_event_answers_no_request() {
    for event in answers().into_iter().filter(|answer| matches!(answer, FromLauncher::Event(_))) {
        let mut packet = event.to_packet();
        packet[8] = 1;
        let refused = DecodeError::Value("request id of an event");
        assert_eq!(FromLauncher::from_packet(&packet), Err(refused));
    }
}

#[test]
fn refuses_a_longer_grace_than_the_limit() {
    let stop = Request::Stop { instance: InstanceId(5), grace_ms: STOP_GRACE_MS_MAX + 1 };
    assert_eq!(Request::from_packet(&stop.to_packet(1)), Err(DecodeError::Value("grace")));
}
