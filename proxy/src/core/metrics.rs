//! `GET /metrics` of the administration socket: the status as Prometheus reads it, text format 0.0.4. Written here
//! because the format is one page, and its libraries bring seven packages.

use crate::core::status::{ServerStatus, Status};
use crate::servers::durations::BOUNDS_MS;
use std::fmt::Write as _;

/// The `Content-Type` of the answer.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4";

/// All metrics: name, kind, what it tells.
pub const METRICS: [(&str, &str, &str); 26] = [
    ("only1mcp_info", "gauge", "Always 1; version and mode of the proxy."),
    ("process_open_fds", "gauge", "Descriptors the proxy has open."),
    ("only1mcp_tasks", "gauge", "Tasks of the proxy that have not ended."),
    (
        "only1mcp_configuration_generation",
        "gauge",
        "The configuration in force, counted from the launcher's start.",
    ),
    ("only1mcp_configuration_errors", "gauge", "Errors of the configuration as it was read last."),
    ("only1mcp_reloads_total", "counter", "Times the configuration was read again."),
    ("only1mcp_rate_limited_total", "counter", "Calls refused because of the rate limit."),
    ("only1mcp_parked_calls", "gauge", "Calls that wait for an answer of their client."),
    ("only1mcp_requests_total", "counter", "Requests of clients."),
    ("only1mcp_request_failures_total", "counter", "Requests that failed without an answer of the server."),
    ("only1mcp_request_retries_total", "counter", "Requests given to a second process."),
    ("only1mcp_requests_in_flight", "gauge", "Requests that are not answered yet."),
    ("only1mcp_requests_queued", "gauge", "Requests that wait for others to end."),
    ("only1mcp_request_duration_seconds", "histogram", "How long requests took."),
    ("only1mcp_replica_up", "gauge", "Whether a replica gets requests."),
    ("only1mcp_replica_circuit_open", "gauge", "Whether a replica's circuit is open or half open."),
    ("only1mcp_replica_requests_in_flight", "gauge", "Requests in a replica's hands."),
    ("only1mcp_process_restarts_total", "counter", "Times a process ended and was started again."),
    ("only1mcp_processes", "gauge", "Processes that run."),
    ("only1mcp_walls", "gauge", "Walls that stand around a server."),
    ("only1mcp_walls_missing", "gauge", "Walls a server goes without."),
    (
        "only1mcp_limit_reached_total",
        "counter",
        "Times a server ran into a limit, since its process was started.",
    ),
    ("only1mcp_memory_bytes", "gauge", "Memory a server uses, where it is counted."),
    ("only1mcp_cpu_seconds_total", "counter", "Processor time of a server's process, where it is counted."),
    ("only1mcp_tools", "gauge", "Tools a server offers to clients."),
    ("only1mcp_tool_flags", "gauge", "What is odd about the tools a server offers."),
];

/// The whole text.
#[must_use]
pub fn render(status: &Status) -> String {
    let mut out = String::new();
    for (name, kind, about) in METRICS {
        let _ = writeln!(out, "# HELP {name} {about}\n# TYPE {name} {kind}");
        for (labels, value) in samples(name, status) {
            let _ = writeln!(out, "{labels} {value}");
        }
    }
    out
}

/// The samples of one metric: name with labels, and value.
fn samples(name: &str, status: &Status) -> Vec<(String, String)> {
    let one = |value: u64| vec![(name.to_owned(), value.to_string())];
    let of_each = |value: &dyn Fn(&ServerStatus) -> Option<u64>| -> Vec<(String, String)> {
        let sample = |server: &ServerStatus| Some((of_server(name, server), value(server)?.to_string()));
        status.servers.iter().filter_map(sample).collect()
    };
    match name {
        "only1mcp_info" => {
            let labels = format!("{name}{{version=\"{}\",mode=\"{}\"}}", status.version, status.mode);
            vec![(labels, "1".to_owned())]
        }
        "process_open_fds" => one(count(status.open_descriptors)),
        "only1mcp_tasks" => one(count(status.tasks)),
        "only1mcp_configuration_generation" => one(status.generation),
        "only1mcp_configuration_errors" => one(status.reloads.last_errors.into()),
        "only1mcp_reloads_total" => {
            [("accepted", status.reloads.accepted), ("refused", status.reloads.refused)]
                .map(|(result, count)| (format!("{name}{{result=\"{result}\"}}"), count.to_string()))
                .into()
        }
        "only1mcp_rate_limited_total" => one(status.rate_limited),
        "only1mcp_parked_calls" => one(count(status.parked_calls)),
        "only1mcp_requests_total" => of_each(&|server| Some(server.calls)),
        "only1mcp_request_failures_total" => of_each(&|server| Some(server.failures)),
        "only1mcp_request_retries_total" => of_each(&|server| Some(server.retries)),
        "only1mcp_requests_in_flight" => of_each(&|server| Some(server.in_flight)),
        "only1mcp_requests_queued" => of_each(&|server| Some(count(server.queued))),
        "only1mcp_request_duration_seconds" => {
            status.servers.iter().flat_map(|server| histogram(name, server)).collect()
        }
        "only1mcp_process_restarts_total" => of_each(&|server| Some(server.restarts)),
        "only1mcp_processes" => of_each(&|server| {
            let running = server.replicas.iter().filter(|replica| replica.pid.is_some()).count();
            Some(count(server.processes.unwrap_or(running)))
        }),
        "only1mcp_walls" => of_each(&|server| Some(count(server.walls.len()))),
        "only1mcp_walls_missing" => of_each(&|server| Some(count(server.walls_missing.len()))),
        "only1mcp_tools" => of_each(&|server| Some(count(server.tools))),
        "only1mcp_tool_flags" => of_each(&|server| Some(count(server.flags.total))),
        "only1mcp_memory_bytes" => of_each(&|server| server.usage.as_ref().map(|usage| usage.memory_bytes)),
        "only1mcp_cpu_seconds_total" => {
            let sample = |server: &ServerStatus| {
                let usage = server.usage.as_ref()?;
                Some((of_server(name, server), seconds(usage.cpu_ms * 1000)))
            };
            status.servers.iter().filter_map(sample).collect()
        }
        "only1mcp_limit_reached_total" => {
            status.servers.iter().flat_map(|server| limits(name, server)).collect()
        }
        _ => status.servers.iter().flat_map(|server| of_replicas(name, server)).collect(),
    }
}

/// A server's name needs no escape: it is of a few letters.
fn of_server(name: &str, server: &ServerStatus) -> String {
    format!("{name}{{server=\"{}\"}}", server.id)
}

fn of_replicas(name: &str, server: &ServerStatus) -> Vec<(String, String)> {
    let sample = |replica: &crate::core::status::ReplicaStatus| {
        let value = match name {
            "only1mcp_replica_up" => u64::from(replica.state == "ready" && replica.circuit == "closed"),
            "only1mcp_replica_circuit_open" => u64::from(replica.circuit != "closed"),
            _ => count(replica.in_flight),
        };
        (format!("{name}{{server=\"{}\",replica=\"{}\"}}", server.id, replica.number), value.to_string())
    };
    server.replicas.iter().map(sample).collect()
}

fn limits(name: &str, server: &ServerStatus) -> Vec<(String, String)> {
    let Some(usage) = &server.usage else { return Vec::new() };
    let all = [
        ("memory", usage.memory_limit_reached),
        ("processes", usage.process_limit_reached),
        ("cpu", usage.cpu_throttled_periods),
    ];
    let sample = |(limit, times): (&str, u64)| {
        (format!("{name}{{server=\"{}\",limit=\"{limit}\"}}", server.id), times.to_string())
    };
    all.into_iter().map(sample).collect()
}

fn histogram(name: &str, server: &ServerStatus) -> Vec<(String, String)> {
    let (mut samples, mut sum) = (Vec::new(), 0);
    let bounds = BOUNDS_MS.iter().map(|bound| seconds(bound * 1000)).chain(["+Inf".to_owned()]);
    for (bound, bucket) in bounds.zip(server.durations.buckets) {
        sum += bucket;
        samples.push((format!("{name}_bucket{{server=\"{}\",le=\"{bound}\"}}", server.id), sum.to_string()));
    }
    samples.push((of_server(&format!("{name}_sum"), server), seconds(server.durations.sum_us)));
    samples.push((of_server(&format!("{name}_count"), server), sum.to_string()));
    samples
}

/// Microseconds as seconds, with no more digits than they need.
fn seconds(microseconds: u64) -> String {
    let text = format!("{}.{:06}", microseconds / 1_000_000, microseconds % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::scripted::{Bench, Fixture};
    use crate::exchange::Era::Legacy;
    use serde_json::json;

    #[tokio::test(start_paused = true)]
    async fn every_metric_has_samples_and_the_guide_names_it() {
        let bench = Bench::start(&[("one", Fixture::new(Legacy).script())]).await;
        bench.ask("one", Legacy, "tools/call", json!({"name": "echo"})).await;
        bench.ask("one", Legacy, "tools/call", json!({"name": "die"})).await;
        let text = render(&bench.core.measured_status().await);
        let guide = include_str!("../../../packaging/guide/guide.md");
        for (name, kind, _) in METRICS {
            assert!(guide.contains(&format!("`{name}`")), "the guide does not name {name}");
            let is_sample =
                |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ', '_']));
            // After a death nothing is measured until the next process runs.
            let is_measured =
                ["only1mcp_limit_reached_total", "only1mcp_memory_bytes", "only1mcp_cpu_seconds_total"];
            assert!(
                text.lines().any(|line| is_sample(&line)) || is_measured.contains(&name),
                "{name}:\n{text}"
            );
            assert!(text.contains(&format!("# TYPE {name} {kind}\n")));
        }
        for line in [
            "only1mcp_requests_total{server=\"one\"} 2",
            "only1mcp_request_failures_total{server=\"one\"} 1",
            "only1mcp_request_duration_seconds_bucket{server=\"one\",le=\"+Inf\"} 2",
            "only1mcp_request_duration_seconds_count{server=\"one\"} 2",
            "only1mcp_process_restarts_total{server=\"one\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        let is_well_formed = |line: &str| {
            line.starts_with("# ")
                || line.rsplit_once(' ').is_some_and(|(_, value)| value.parse::<f64>().is_ok())
        };
        assert!(text.lines().all(is_well_formed), "{text}");
    }

    #[test]
    fn microseconds_become_seconds_without_useless_digits() {
        assert_eq!(
            [1_000, 2_500_000, 60_000_000, 0, 1].map(seconds),
            ["0.001", "2.5", "60", "0", "0.000001"]
        );
    }
}
