//! A proxy in the hands of an attacker, on the wire: what it forges, repeats, floods and leaves unread.
//!
//! Each attack has the honest message beside it, and ends with an honest proxy that starts a server.

use crate::support::forged::Forged;
use crate::support::plans::{Home, plan, shell};
use crate::support::proxy::Proxy;
use crate::support::running::{Launcher, eventually, everyone};
use nix::sys::socket::{MsgFlags, Shutdown, send, shutdown};
use only1mcp_wire::limits::MESSAGE_BYTES_MAX;
use only1mcp_wire::message::{FromLauncher, VERSION};
use only1mcp_wire::plan::SpawnLimits;
use only1mcp_wire::{Event, Exit, InstanceId, Partition, RefusalCode, Reply, Request, ServerName};
use std::os::fd::AsRawFd;
use std::time::Instant;

/// More than a launcher may answer with a launch in the time that the flood takes.
const FLOOD_SPAWNS: usize = 5_000;
/// The launcher's bound on lines that its proxy causes, within one minute.
const CAUSED_LINES_MAX: usize = 100;

fn good() -> Home {
    Home::new(vec![shell("good", "exit 0")])
}

/// Sends this after HELLO; the launcher must close the connection without a word.
fn is_cut_off(launcher: &Launcher, bytes: &[u8], what: &str) {
    let proxy = launcher.proxy();
    proxy.send(bytes);
    assert!(proxy.receive().is_none(), "{what}: it was answered");
}

/// An honest proxy comes, and a server of it runs.
fn lives(launcher: &Launcher) {
    assert_eq!(launcher.proxy().run("good").1, Exit::Status(0), "{}", launcher.log());
}

/// Every field of the header, wrong in every way that differs to a decoder.
fn wrong_headers() -> Vec<(String, Vec<u8>)> {
    let sound = Forged::new(2, Vec::new());
    let mut all = Vec::new();
    let operations =
        (0..64).chain([0x100, 0x104, 0x1ff, 0x200, 0x201, 0x0102, 0x0200, 0x7fff, 0x8004, 0xffff]);
    for operation in operations.filter(|operation| !(1..=7).contains(operation)) {
        all.push((format!("operation {operation}"), Forged { operation, ..sound.clone() }.bytes()));
    }
    for version in [0, VERSION - 1, VERSION + 1, 0x100, 0xffff] {
        all.push((format!("version {version}"), Forged { version, ..sound.clone() }.bytes()));
    }
    for magic in [0, u32::MAX, u32::from_be_bytes(*b"o1mL"), u32::from_le_bytes(*b"GET ")] {
        all.push((format!("magic {magic:x}"), Forged { magic, ..sound.clone() }.bytes()));
    }
    for length in [1, 4, 4080, 4096, u32::MAX] {
        all.push((format!("length {length}"), Forged { length: Some(length), ..sound.clone() }.bytes()));
    }
    all
}

fn requests() -> Vec<Request> {
    let server = ServerName::new("good").unwrap();
    vec![
        Request::View,
        Request::List { page: 0 },
        Request::Spawn { server, generation: 1, partition: Partition::SHARED },
        Request::Stop { instance: InstanceId(1), grace_ms: 0 },
    ]
}

/// Every request cut at every byte, and lengthened.
fn wrong_lengths() -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for request in requests() {
        let packet = request.to_packet(2);
        let cut = (1..packet.len()).map(|end| packet[..end].to_vec());
        let longer =
            [1, 2, MESSAGE_BYTES_MAX - packet.len(), MESSAGE_BYTES_MAX - packet.len() + 1, 64 * 1024];
        let longer = longer.iter().map(|&more| [packet.clone(), vec![0; more]].concat());
        all.extend(cut.chain(longer).map(|bytes| (format!("{request:?} as {} bytes", bytes.len()), bytes)));
    }
    all
}

#[test]
fn i03_whatever_is_malformed_ends_the_connection_and_is_told_a_bounded_number_of_times() {
    for who in everyone() {
        let launcher = Launcher::start(who, good());
        let mut control = launcher.proxy();
        assert!(matches!(control.ask(&Request::List { page: 0 }).0, Reply::List { .. }));
        drop(control);
        let wrong: Vec<_> = wrong_headers().into_iter().chain(wrong_lengths()).collect();
        assert!(wrong.len() > 200, "{}", wrong.len());
        for (what, bytes) in &wrong {
            is_cut_off(&launcher, bytes, what);
        }
        lives(&launcher);
        let log = launcher.log();
        let told = log.matches("closed a connection: the proxy sent no request: ").count();
        assert!((1..CAUSED_LINES_MAX).contains(&told), "{who:?}: {told} of {}", wrong.len());
        assert!(log.lines().count() < CAUSED_LINES_MAX + 20, "{who:?}: {log}");
    }
}

#[test]
fn i04_no_name_that_is_a_path_or_a_file_of_the_kernel_names_anything() {
    for who in everyone() {
        let launcher = Launcher::start(who, good());
        let long = [b'a'; 33];
        let names: [&[u8]; 17] = [
            b"",
            b".",
            b"..",
            b"../../etc/x",
            b"a/b",
            b"/good",
            b"-good",
            b"good\0",
            b"go\0od",
            b"GOOD",
            b"good ",
            b"good\n",
            b"cgroup.procs",
            b"g\xd0\xbeod",
            b"\xff\xfe",
            b"good_",
            &long,
        ];
        for name in names {
            let what = String::from_utf8_lossy(name).into_owned();
            is_cut_off(&launcher, &Forged::spawn(name, 1, b"").bytes(), &what);
        }
        // These could be servers, and are none: refused, and the connection stays.
        let mut proxy = launcher.proxy();
        for name in ["tasks", "servers", "uids", "shared", "0"] {
            assert_eq!(proxy.spawn(name).err().unwrap().code, RefusalCode::UnknownServer, "{name}");
        }
        assert_eq!(proxy.run("good").1, Exit::Status(0), "{who:?}");
        let entries = std::fs::read_dir(launcher.home.path.join("state/servers")).unwrap().flatten();
        let names: Vec<_> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
        assert!(names.iter().all(|name| name == "good" || name.starts_with(".uids")), "{names:?}");
    }
}

#[test]
fn i05_there_is_no_field_for_a_command_a_path_a_variable_or_a_uid() {
    for who in everyone() {
        let launcher = Launcher::start(who, good());
        for more in
            [&b"\0"[..], b"/bin/sh", b"\x07\0\0\0/bin/sh", b"LD_PRELOAD=/tmp/x.so\0", &[0; 4], &[0xff; 512]]
        {
            is_cut_off(&launcher, &Forged::spawn(b"good", 1, more).bytes(), "more after the partition");
        }
        // A partition of any bytes only ever becomes 32 hexadecimal digits.
        let mut proxy = launcher.proxy();
        let server = ServerName::new("good").unwrap();
        for bytes in [*b"../../../../etc\0", *b"\xff/..\0\n%s${HOME}~", *b"/etc/passwd\0\0\0\0\0"] {
            let partition = Partition(bytes);
            let (reply, streams) =
                proxy.ask(&Request::Spawn { server: server.clone(), generation: 1, partition });
            assert!(matches!(reply, Reply::Spawned(_)), "{reply:?}");
            drop(streams);
            proxy.event();
        }
        let below = std::fs::read_dir(launcher.home.path.join("state/servers/good")).unwrap().flatten();
        let names: Vec<_> = below.map(|entry| entry.file_name().into_string().unwrap()).collect();
        let plain = |name: &String| name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        assert!(names.len() == 3 && names.iter().all(plain), "{names:?}");
        // The twin: the same SPAWN with nothing after it.
        proxy.send(&Forged::spawn(b"good", 1, b"").bytes());
        let spawned = matches!(proxy.receive(), Some((FromLauncher::Reply(2, Reply::Spawned(_)), _)));
        assert!(spawned, "{who:?}: {}", launcher.log());
    }
}

#[test]
fn i06_forged_generations_ids_and_repeated_requests_get_only_what_is_ones_own() {
    for who in everyone() {
        let launcher = Launcher::start(
            who,
            Home::new(vec![shell("good", "exit 0"), plan("echo", "/usr/bin/cat", &["cat"])]),
        );
        let mut first = launcher.proxy();
        let others = first.spawn("echo").unwrap().spawned.instance;
        drop(first);
        let mut proxy = launcher.proxy();
        let mut server = proxy.spawn("echo").unwrap();
        let own = server.spawned.instance;
        for generation in [0, 2, u64::MAX] {
            proxy.send(&Forged::spawn(b"echo", generation, b"").bytes());
            match proxy.receive() {
                Some((FromLauncher::Reply(2, Reply::Refused(refusal)), none)) => {
                    assert_eq!((refusal.code, none.len()), (RefusalCode::StaleGeneration, 0));
                }
                other => panic!("{generation}: {other:?}"),
            }
        }
        for forged in [others, InstanceId(0), InstanceId(u64::MAX), InstanceId(own.0 ^ 1)] {
            match proxy.ask(&Request::Stop { instance: forged, grace_ms: 0 }).0 {
                Reply::Refused(refusal) => assert_eq!(refusal.code, RefusalCode::UnknownInstance),
                other => panic!("{forged}: {other:?}"),
            }
        }
        server.say("untouched");
        assert_eq!(server.hear(), "untouched");
        repeated(&mut proxy, own);
        drop(proxy);
        lives(&launcher);
    }
}

/// The same STOP three times under one id: each is answered once, and one end is told.
fn repeated(proxy: &mut Proxy, own: InstanceId) {
    let stop = Request::Stop { instance: own, grace_ms: 10_000 }.to_packet(7);
    (0..3).for_each(|_| proxy.send(&stop));
    let (mut answers, mut ends) = (0, 0);
    while answers < 3 || ends < 1 {
        match proxy.receive().expect("it hung up") {
            (FromLauncher::Reply(7, Reply::Stopping | Reply::Refused(_)), _) => answers += 1,
            (FromLauncher::Event(Event::Exited { instance, .. }), _) if instance == own => ends += 1,
            other => panic!("{other:?}"),
        }
    }
    // What would follow comes before this answer.
    assert!(matches!(proxy.ask(&Request::List { page: 0 }).0, Reply::List { .. }));
    assert_eq!((answers, ends), (3, 1));
}

#[test]
fn i08_a_flood_of_spawns_starts_what_the_bucket_holds_and_others_are_served() {
    for who in everyone() {
        let mut rare = shell("rare", "exit 0");
        rare.spawn = SpawnLimits { instances: 4, burst: 6, per_minute: 60 };
        let home = Home::new(vec![rare, shell("good", "exit 0"), plan("echo", "/usr/bin/cat", &["cat"])]);
        let launcher = Launcher::start(who, home);
        let mut proxy = launcher.proxy();
        let mut neighbour = proxy.spawn("echo").unwrap();
        let begun = Instant::now();
        let (mut started, mut slowest) = (0, std::time::Duration::ZERO);
        for number in 0..FLOOD_SPAWNS {
            match proxy.spawn("rare") {
                Ok(_) => started += 1,
                Err(refusal) => assert!(
                    matches!(refusal.code, RefusalCode::TooManySpawns | RefusalCode::TooManyInstances),
                    "{refusal:?}"
                ),
            }
            if number % 100 == 0 {
                let asked = Instant::now();
                neighbour.say("between");
                assert_eq!(neighbour.hear(), "between");
                slowest = slowest.max(asked.elapsed());
            }
        }
        let most = 6 + begun.elapsed().as_secs() + 1;
        println!(
            "{who:?}: {FLOOD_SPAWNS} asked, {started} started in {:?}, neighbour at most {slowest:?}",
            begun.elapsed()
        );
        assert!((1..=most).contains(&started), "{started} of at most {most}");
        let log = launcher.log();
        assert!(
            log.contains("did not start server \"rare\": it was started too often in a short time"),
            "{log}"
        );
        assert!(log.lines().count() < 2 * CAUSED_LINES_MAX, "{} lines", log.lines().count());
        drop(proxy);
        lives(&launcher);
    }
}

#[test]
fn i13_a_proxy_that_never_reads_is_cut_off_and_holds_nobody_up() {
    for who in everyone() {
        let chatter = "while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done";
        let launcher = Launcher::start(who, Home::new(vec![shell("good", "exit 0"), shell("loud", chatter)]));
        drop(launcher.proxy());
        eventually("the first proxy is gone", || launcher.log().contains("the proxy closed its connection"));
        let before = launcher.descriptors();
        let mut proxy = launcher.proxy();
        // Servers that write what nobody reads, and answers that nobody reads, descriptors among them.
        let loud = [proxy.spawn("loud").unwrap(), proxy.spawn("loud").unwrap()];
        let view = Request::View.to_packet(9);
        let sent = (0..100_000)
            .take_while(|_| send(proxy.socket.as_raw_fd(), &view, MsgFlags::MSG_NOSIGNAL).is_ok());
        println!("{who:?}: cut off after {} requests", sent.count());
        eventually("it was cut off", || launcher.log().contains("the proxy does not read its answers"));
        drop(loud);
        eventually("all is given back", || launcher.descriptors() == before && launcher.children() == 0);
        drop(proxy);
        lives(&launcher);
    }
}

/// The same numbers in every run.
fn random(state: &mut u64) -> usize {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    usize::try_from(*state >> 33).unwrap()
}

#[test]
fn i14_a_thousand_damaged_requests_leave_a_launcher_that_serves() {
    for who in everyone() {
        let launcher = Launcher::start(who, good());
        let mut state = 11;
        for _ in 0..1000 {
            let requests = requests();
            let mut packet = requests[random(&mut state) % requests.len()].to_packet(3);
            for _ in 0..=random(&mut state) % 3 {
                let at = random(&mut state) % packet.len();
                packet[at] = u8::try_from(random(&mut state) % 256).unwrap();
            }
            // Some stay sound: answered or not, what counts is what comes after.
            let proxy = launcher.proxy();
            proxy.send(&packet);
            let _ = shutdown(proxy.socket.as_raw_fd(), Shutdown::Write);
            while proxy.receive().is_some() {}
        }
        lives(&launcher);
        eventually("nothing is left", || launcher.children() == 0);
    }
}
