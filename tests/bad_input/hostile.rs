//! Servers that mean harm: they flood, dribble, go deaf, answer what nobody can parse, write to the reader's terminal,
//! crash and refuse to end. All the while the answers of another server keep coming.

use harness::configuration::Configuration;
use harness::daemon::{Daemon, Role};
use harness::processes::{self, wait_until};
use harness::run;
use serde_json::{Value, json};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Whatever happens, an answer of the good server comes within this time: a machine under load is no excuse for more.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);
/// Answers that must come for the percentiles to mean something.
const ANSWERS_MIN: usize = 20;
const PAUSE: Duration = Duration::from_millis(2);

fn beside_a_good_one(arguments: &str, more: &str) -> Daemon {
    Daemon::start(&Configuration::new().fixture_with("bad", arguments, more).fixture("good", ""))
}

/// Does harm while somebody asks the good server again and again; tells how long its answers took.
fn meanwhile<T>(name: &str, daemon: &Daemon, harm: impl FnOnce() -> T) -> T {
    let going_on = AtomicBool::new(true);
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut took = Vec::new();
            while going_on.load(Ordering::Relaxed) || took.len() < ANSWERS_MIN {
                let asked = Instant::now();
                let said = daemon.endpoint().call_text("good__echo", &json!({"text": "fine"}));
                assert_eq!(said, "fine", "{}", daemon.story());
                took.push(asked.elapsed());
                std::thread::sleep(PAUSE);
            }
            took
        });
        let done = std::panic::catch_unwind(AssertUnwindSafe(harm));
        // Whatever came of it, the asking ends.
        going_on.store(false, Ordering::Relaxed);
        let mut took = asking.join().expect("the good server's answers stopped");
        took.sort();
        let at = |part: usize| took[(took.len() - 1) * part / 100];
        println!(
            "{name}: {} answers beside it, p50 {:?}, p99 {:?}, longest {:?}",
            took.len(),
            at(50),
            at(99),
            at(100)
        );
        assert!(at(100) < ANSWER_LIMIT, "{name}: an answer took {:?}", at(100));
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// What a call of the bad server ends with: its error, which names the server.
fn error(daemon: &Daemon, tool: &str, arguments: &Value) -> String {
    let answer = daemon.endpoint().call(&format!("bad__{tool}"), arguments).json();
    let text = answer["error"]["message"].as_str().unwrap_or_else(|| panic!("no error: {answer}"));
    assert!(text.contains("bad"), "the message names the server: {text}");
    text.to_owned()
}

fn memory_of(pid: i32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0");
    line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[test]
fn r11_a_flood_without_a_newline_stops_that_server_alone_and_holds_little_memory() {
    let daemon = beside_a_good_one("--flood", "");
    let proxy = daemon.role(Role::Proxy).expect("a proxy").pid;
    let before = memory_of(proxy);
    let text = meanwhile("flood", &daemon, || {
        (0..3)
            .map(|_| {
                let text = error(&daemon, "echo", &json!({"text": "x"}));
                daemon.wait_for("bad", "ready");
                text
            })
            .collect::<Vec<_>>()
    });
    assert!(text.iter().all(|text| text.contains("a line of more than 16777216 bytes")), "{text:?}");
    let grown = memory_of(proxy).saturating_sub(before);
    println!("flood: {} KiB more in the proxy", grown);
    assert!(grown < 128 * 1024, "{grown} KiB");
    assert!(daemon.server_status("bad")["restarts"].as_u64() >= Some(3), "{:#}", daemon.status());
}

#[test]
fn r11_a_server_that_dribbles_is_given_up_after_the_time_of_the_request() {
    let daemon = beside_a_good_one("--dribble", "request_timeout: 2s");
    let text = meanwhile("dribble", &daemon, || error(&daemon, "echo", &json!({"text": "x"})));
    assert!(text.contains("2 s") || text.contains("2s"), "{text}");
}

#[test]
fn r11_a_server_that_reads_nothing_holds_up_only_those_who_ask_it() {
    let daemon = beside_a_good_one("--deaf", "request_timeout: 2s");
    let big = json!({"text": "x".repeat(4 * 1024 * 1024)});
    let texts = meanwhile("deaf", &daemon, || {
        // More than its pipe and its queue hold, at the same time.
        std::thread::scope(|scope| {
            let calls: Vec<_> = (0..12).map(|_| scope.spawn(|| error(&daemon, "echo", &big))).collect();
            calls.into_iter().map(|call| call.join().expect("a call never ended")).collect::<Vec<_>>()
        })
    });
    assert!(texts.iter().all(|text| !text.is_empty()), "{texts:?}");
    println!("deaf: {}", texts[0]);
}

#[test]
fn r12_a_flood_on_standard_error_is_read_away_and_kept_short() {
    let daemon = beside_a_good_one("--flood-stderr", "");
    let logged = daemon.log().len();
    let answers = meanwhile("stderr", &daemon, || {
        let deadline = Instant::now() + Duration::from_secs(3);
        let mut answers = 0;
        while Instant::now() < deadline {
            assert_eq!(daemon.endpoint().call_text("bad__echo", &json!({"text": "still"})), "still");
            answers += 1;
        }
        answers
    });
    let grown = daemon.log().len() - logged;
    println!("stderr: {answers} answers of the flooding server itself, {grown} bytes more in the log");
    assert!(grown < 64 * 1024, "the flood reached the log: {grown} bytes");
}

#[test]
fn r13_answers_that_are_too_deep_no_text_or_come_twice_are_refused_and_the_next_one_works() {
    for (flag, tool) in [("--deep", "echo"), ("--not-text", "echo")] {
        let daemon = beside_a_good_one(flag, "request_timeout: 2s");
        let text = meanwhile(flag, &daemon, || error(&daemon, tool, &json!({"text": "x"})));
        println!("{flag}: {text}");
        // Its lists and prompts still come: the connection is whole.
        let listed = daemon.endpoint().server("bad").modern("tools/list", &json!({})).json();
        assert!(listed["result"]["tools"].is_array(), "{flag}: {listed}");
    }
    let daemon = beside_a_good_one("--twice", "");
    meanwhile("--twice", &daemon, || {
        for number in 0..20 {
            let text = format!("the answer to {number}");
            assert_eq!(daemon.endpoint().call_text("bad__echo", &json!({"text": text})), text);
        }
    });
}

/// Characters that steer a terminal, forge a line or turn the reading order.
fn steering(text: &str) -> Vec<char> {
    let steers =
        |c: &char| c.is_control() && *c != '\n' && *c != '\t' || matches!(c, '\u{202a}'..='\u{202e}');
    text.chars().filter(steers).collect()
}

#[test]
fn r14_what_a_server_says_never_steers_a_terminal_or_forges_a_line_of_the_log() {
    let daemon = beside_a_good_one("--escapes", "");
    meanwhile("escapes", &daemon, || {
        let shown = [
            &["call", "bad.echo", "{\"text\":\"x\"}"][..],
            &["call", "bad.fail", "{}"],
            &["call", "bad.\u{1b}[31m\u{202e}", "{}"],
            &["status"],
        ];
        for words in shown {
            let outcome = run::run(&mut daemon.command(words));
            let all = format!("{}{}", outcome.stdout, outcome.stderr);
            assert_eq!(steering(&all), Vec::<char>::new(), "{words:?}: {all:?}");
            // A text has lines of its own; what only1mcp says itself has none of the server's.
            assert!(
                !outcome.stderr.lines().any(|line| line.starts_with("only1mcp: forged")),
                "{words:?}: {all}"
            );
        }
        // The twin: a program that asks for JSON gets what the server said, byte for byte as JSON has it.
        let json = run::run(&mut daemon.command(&["call", "bad.echo", "{\"text\":\"x\"}", "--json"]));
        let said: Value = serde_json::from_str(&json.stdout).unwrap();
        assert!(said.to_string().contains("\\u001b[2J"), "{said}");
    });
    let pid =
        daemon.server_status("bad")["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()).expect("a pid");
    // Its end is told with its last lines.
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
    assert!(wait_until(ANSWER_LIMIT, || daemon.log().contains("[2J")), "{}", daemon.log());
    let log = daemon.log();
    assert_eq!(steering(&log), Vec::<char>::new(), "{log:?}");
    assert!(!log.lines().any(|line| line.starts_with("only1mcp: forged")), "{log}");
    let status = run::run(&mut daemon.command(&["status"]));
    assert!(status.stdout.contains("[2J"), "the last error is told: {status:?}");
    assert_eq!(steering(&status.stdout), Vec::<char>::new(), "{status:?}");
}

#[test]
fn r15_a_crash_loop_slows_down_and_says_so_a_few_times() {
    for flag in ["--die-at-start", "--die-after-greeting"] {
        // The bad one is ready for moments only, if at all.
        let configuration = Configuration::new().fixture("bad", flag).fixture("good", "");
        let daemon = Daemon::start_for(&configuration, "good");
        let lines = |daemon: &Daemon| {
            daemon.log().lines().filter(|line| line.contains("started server \"bad\"")).count()
        };
        let (first, second) = meanwhile(flag, &daemon, || {
            std::thread::sleep(Duration::from_secs(3));
            let first = lines(&daemon);
            std::thread::sleep(Duration::from_secs(3));
            (first, lines(&daemon) - first)
        });
        println!("{flag}: {first} starts in the first seconds, {second} in the next three");
        // 0.1, 0.2, 0.4, ... seconds between them: doubling allows no more.
        assert!((1..=8).contains(&first) && second <= 2, "{flag}: {first}, {second}\n{}", daemon.log());
        assert!(daemon.log().len() < 64 * 1024, "{} bytes of log", daemon.log().len());
    }
}

#[test]
fn r16_a_server_that_ignores_every_request_to_end_is_killed_with_its_daemon() {
    let configuration = Configuration::new().fixture("bad", "--stubborn").fixture("good", "");
    let daemon = Daemon::start(&configuration);
    let marked = processes::marked(&daemon.scratch.mark());
    let grandchildren = marked.iter().filter(|one| one.command_line.contains("--grandchild")).count();
    assert!(grandchildren > 0, "{marked:#?}");
    // Taken out of the configuration it must end, while the other goes on.
    let only_good = Configuration::new().fixture("good", "").text(&daemon.scratch.mark());
    let stubborn = || {
        processes::marked(&daemon.scratch.mark())
            .iter()
            .filter(|one| one.command_line.contains("--stubborn"))
            .count()
    };
    assert!(stubborn() > 1);
    meanwhile("stubborn", &daemon, || {
        daemon.scratch.write("etc/config.yaml", &only_good);
        assert!(wait_until(Duration::from_secs(30), || stubborn() == 0), "{}", daemon.story());
    });
    assert_eq!(daemon.stop(), 0);
}
