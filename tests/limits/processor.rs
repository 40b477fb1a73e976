//! R05: processor time without end.

use crate::delegated::{act, beside_a_good_neighbour, outside, reader, with};

fn milliseconds(told: &str) -> u64 {
    told.strip_suffix(" ms").and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{told}"))
}

#[test]
fn r05_a_spinning_server_gets_its_share_of_the_processor() {
    let free = milliseconds(&outside("spin 4 3000"));
    let daemon = with("memory: 64MiB, processes: 32, cpu: 25%");
    let reader = reader(&daemon);
    assert_eq!(reader.cpu_quota(), (25_000, 100_000));
    let before = (reader.cpu("usage_usec"), reader.cpu("nr_throttled"));
    let held = milliseconds(&beside_a_good_neighbour(&daemon, || act(&daemon, "spin 4 3000")));
    // A quarter of three seconds, and a period more for each end.
    assert!(held <= 1000, "it got {held} ms of 3000");
    assert!(free >= 2 * held, "outside it got no more: {free} ms, inside {held} ms");
    let used = reader.cpu("usage_usec") - before.0;
    assert!(used.abs_diff(held * 1000) < 300_000, "the kernel counts {used} us, the server {held} ms");
    let throttled = reader.cpu("nr_throttled");
    assert!(throttled > before.1, "it was never made to wait");
    let usage = &daemon.server_status("greedy")["usage"];
    assert!(usage["cpu_throttled_periods"].as_u64().unwrap() >= throttled, "{usage}");
    assert!(usage["cpu_throttled_ms"].as_u64().unwrap() > 1000, "{usage}");
}
