//! The effective configuration as YAML, with defaults filled in and secrets left out.

use crate::check::Checked;
use crate::check::proxy::Proxy;
use crate::check::server::Server;
use crate::document::hidden;
use crate::document::pool::HealthDocument;
use crate::document::units::{show_duration, show_size};
use crate::floor::Access;
use crate::policy::Policy;
use crate::redact;
use crate::view::PrincipalView;
use only1mcp_wire::plan::{Variable, VariableValue};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

/// The effective configuration, redacted. It is a configuration itself, but for what was left out.
#[must_use]
pub fn show(checked: &Checked) -> String {
    let proxy = &checked.proxy;
    let health = HealthDocument::default().or(proxy.health);
    let mut shown = json!({
        "listen": proxy.listen.to_string(),
        "names": {"max_length": proxy.name_characters_max},
        "routing": {"algorithm": proxy.algorithm.word(), "virtual_nodes": proxy.virtual_nodes},
        "health": {
            "check_interval": show_duration(health.interval_ms),
            "timeout": show_duration(health.timeout_ms),
            "failure_threshold": health.failure_threshold,
        },
        "view": proxy.view.word(),
        "auto_threshold": proxy.auto_threshold,
    });
    let rate_limit = proxy
        .rate_limit
        .map(|limit| json!({"requests_per_minute": limit.requests_per_minute, "burst": limit.burst}));
    let written = present(vec![("views", views(proxy)), ("rate_limit", rate_limit)]);
    if let Some(shown) = shown.as_object_mut() {
        shown.extend(written);
    }
    let servers: Vec<Value> = checked.servers.iter().map(server).collect();
    let mut out = String::new();
    write_value(&mut out, &json!({"servers": servers, "proxy": shown}), 0);
    out
}

/// How single principals see the tools, if anything is said of them.
fn views(proxy: &Proxy) -> Option<Value> {
    let one = |view: &PrincipalView| json!({"principal": view.principal.text(), "view": view.view.word()});
    (!proxy.views.is_empty()).then(|| proxy.views.iter().map(one).collect())
}

fn server(server: &Server) -> Value {
    let environment: Map<String, Value> =
        server.written_environment.iter().map(|entry| (entry.name.clone(), variable(entry))).collect();
    let words = redact::arguments(&server.written_arguments);
    let (command, arguments) = words.split_first().map_or((None, [].as_slice()), |(c, rest)| (Some(c), rest));
    let mut shown = json!({
        "id": server.name.as_str(),
        "transport": "stdio",
        "command": command,
        "args": arguments,
        "env": environment,
        "cwd": server.working_directory,
        "scope": server.scope.word(),
        "startup_timeout": show_duration(server.startup_timeout_ms),
        "request_timeout": show_duration(server.request_timeout_ms),
        "policy": policy(server),
        "replicas": server.pool.replicas,
        "routing": {"key": server.pool.key.word()},
        "retry": server.pool.retry,
        "trust_annotations": server.pool.trust_annotations,
        "concurrency": {
            "calls": server.pool.concurrency.calls,
            "per_principal": server.pool.concurrency.per_principal,
            "queue": server.pool.concurrency.queue,
        },
        "read_only": server.context.read_only,
    });
    let recycle = recycle(server);
    let health = health_check(server);
    let results = results(server);
    let written = present(vec![
        ("idle_timeout", server.idle_timeout_ms.map(|idle| show_duration(idle).into())),
        ("state", server.pool.is_state_shared.then(|| "shared".into())),
        ("health_check", (!health.is_empty()).then(|| health.into())),
        ("recycle", (!recycle.is_empty()).then(|| recycle.into())),
        ("expose", server.context.expose.map(|expose| expose.word().into())),
        ("results", (!results.is_empty()).then(|| results.into())),
    ]);
    if let Some(shown) = shown.as_object_mut() {
        shown.extend(written);
    }
    shown
}

/// What differs from the proxy's settings.
fn health_check(server: &Server) -> Map<String, Value> {
    let health = server.pool.health;
    present(vec![
        ("interval", health.interval_ms.map(|span| show_duration(span).into())),
        ("timeout", health.timeout_ms.map(|span| show_duration(span).into())),
        ("failure_threshold", health.failure_threshold.map(Value::from)),
    ])
}

fn recycle(server: &Server) -> Map<String, Value> {
    let recycle = server.pool.recycle;
    present(vec![
        ("calls", recycle.calls.map(Value::from)),
        ("age", recycle.age_ms.map(|age| show_duration(age).into())),
        ("memory", recycle.memory_bytes.map(|memory| show_size(memory).into())),
    ])
}

fn results(server: &Server) -> Map<String, Value> {
    let results = server.context.results;
    present(vec![
        ("max_tokens", results.max_tokens.map(Value::from)),
        ("tables", results.tables.map(|tables| tables.word().into())),
    ])
}

fn present(fields: Vec<(&str, Option<Value>)>) -> Map<String, Value> {
    mapping(fields.into_iter().filter_map(|(name, value)| Some((name, value?))).collect())
}

fn policy(server: &Server) -> Value {
    let policy = &server.policy;
    let granted = |access| -> Vec<&str> {
        let grants = policy.grants.iter().filter(|grant| grant.access == access);
        grants.map(|grant| grant.path.as_str()).collect()
    };
    let mut write = vec!["state"];
    write.extend(granted(Access::Write));
    json!({
        "extends": policy.profile.name,
        "filesystem": {"read": granted(Access::Read), "execute": granted(Access::Execute), "write": write},
        "network": {"allow": []},
        "limits": limits(policy),
        "requires": {"cgroup": policy.requires.cgroup, "landlock": policy.requires.landlock_abi},
        "tools": {"allow": policy.tools.allow, "deny": policy.tools.deny},
        "memory": {"jit": policy.jit},
    })
}

fn limits(policy: &Policy) -> Map<String, Value> {
    let limits = &policy.limits;
    let io: Vec<(&str, Value)> = [("read", limits.io_read_bytes), ("write", limits.io_write_bytes)]
        .into_iter()
        .filter_map(|(direction, bytes)| Some((direction, show_size(bytes?).into())))
        .collect();
    let mut all = vec![
        ("memory", show_size(limits.memory_bytes).into()),
        ("processes", limits.processes.into()),
        ("cpu", format!("{}%", limits.cpu_percent).into()),
        ("open_files", limits.open_files.into()),
        ("scratch", show_size(policy.scratch_bytes).into()),
        ("file_size", show_size(limits.file_bytes).into()),
    ];
    if !io.is_empty() {
        all.push(("io", mapping(io).into()));
    }
    mapping(all)
}

fn mapping(fields: Vec<(&str, Value)>) -> Map<String, Value> {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// A variable as written. A value that may be a secret is left out.
fn variable(variable: &Variable) -> Value {
    match &variable.value {
        VariableValue::Credential(name) => json!({"credential": name}),
        VariableValue::Literal(text) => json!(redact::variable(&variable.name, text)),
    }
}

fn write_value(out: &mut String, value: &Value, depth: usize) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let _ = write!(out, "{indent}{}:", inline(&json!(key)));
                write_below(out, value, depth);
            }
        }
        Value::Array(items) => {
            for item in items {
                let mut text = String::new();
                write_value(&mut text, item, depth + 1);
                // The first key of a mapping stands behind the dash.
                let _ = write!(out, "{indent}- {}", text.trim_start());
            }
        }
        scalar => {
            let _ = writeln!(out, "{indent}{}", inline(scalar));
        }
    }
}

/// A value on one line.
fn inline(value: &Value) -> String {
    match value {
        Value::String(text) if is_plain(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", ")),
        // JSON is YAML; but for a few characters that no document may have as themselves, and no terminal should get.
        other => other.to_string().chars().fold(String::new(), escape_hidden),
    }
}

fn escape_hidden(mut out: String, c: char) -> String {
    if c.is_control() || hidden(c).is_some() {
        let _ = write!(out, "\\u{:04x}", u32::from(c));
    } else {
        out.push(c);
    }
    out
}

/// Whether YAML reads this text as itself without quotes, in every version and place.
fn is_plain(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/');
    let digits = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let unit = digits == "%" || (!digits.is_empty() && digits.chars().all(|c| c.is_ascii_alphabetic()));
    let quantity = digits.len() < text.len() && unit;
    // Digits, dots and colons together are a number in no version of YAML if the dots come first.
    let address = text.parse::<std::net::SocketAddrV4>().is_ok();
    let word = text.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '/'))
        && text.chars().all(fits);
    let old_boolean = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    (word || quantity || address) && !old_boolean.contains(&text.to_lowercase().as_str())
}

fn write_below(out: &mut String, value: &Value, depth: usize) {
    let nested = match value {
        Value::Object(map) => !map.is_empty(),
        Value::Array(items) => items.iter().any(Value::is_object),
        _ => false,
    };
    if nested {
        out.push('\n');
        write_value(out, value, depth + 1);
    } else {
        let _ = writeln!(out, " {}", inline(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_could_be_read_as_something_else_is_quoted() {
        for plain in ["probe", "/usr/bin/x-1.2", "30s", "512MiB", "A", "server.py", "127.0.0.1:80", "100%"] {
            assert_eq!(inline(&json!(plain)), plain);
        }
        for text in [
            "no", "Yes", "null", "1", "1.5", "0x10", "1e5", "", "a: b", "- a", "*", "a#b", "~", "[x]",
            "1:30", "%x",
        ] {
            assert_eq!(inline(&json!(text)), format!("\"{text}\""));
        }
        assert_eq!(
            inline(&json!("\u{1b}\u{7f}\u{202e}\u{feff}\u{e9}")),
            "\"\\u001b\\u007f\\u202e\\ufeff\u{e9}\""
        );
        assert_eq!(inline(&json!(["a", "b c", 3, true])), "[a, \"b c\", 3, true]");
    }
}
