//! Whole configurations on a tree in memory: what is accepted, and what is said about the rest.

use super::*;
use crate::files::tree::Tree;
use crate::plan;
use crate::view::{
    Algorithm, ConcurrencyView, HealthView, RateLimitView, RecycleView, RoutingKey, RoutingView,
};
use only1mcp_wire::plan::{Bind, PlanSet, VariableValue};

mod context;
mod properties;

const ELF: &str = "\x7fELF";

/// A machine with Node and the programs of only1mcp.
pub fn host() -> Tree {
    Tree::new()
        .file("/usr/bin/node", ELF)
        .link("/bin", "usr/bin")
        .device("/dev/null")
        .plain("/var/lib/only1mcp/credentials/t", "")
        .plain("/etc/ld.so.cache", "")
        .plain("/usr/share/zoneinfo/Europe/Berlin", "")
        .link("/etc/localtime", "/usr/share/zoneinfo/Europe/Berlin")
        .plain("/etc/java-17/security", "")
        .file("/prog/only1mcp-probe", ELF)
        .file("/prog/only1mcp-builtin", ELF)
        .dir("/data/in")
        .dir("/data/out")
        .plain("/data/out/.git/config", "")
        .dir("/data/out/.git/hooks")
}

struct Run {
    checked: Checked,
    findings: Findings,
}

/// These documents on this machine.
pub fn input<'a>(tree: &'a Tree, config: &str, policies: &[(&str, &str)]) -> Input<'a> {
    input_in(Mode::User, tree, config, policies)
}

fn input_in<'a>(mode: Mode, tree: &'a Tree, config: &str, policies: &[(&str, &str)]) -> Input<'a> {
    let source = |path: String, text: &str| Source { path, text: text.to_owned() };
    let policies = policies
        .iter()
        .map(|(name, text)| ((*name).to_owned(), source(format!("policies/{name}.yaml"), text)))
        .collect();
    Input {
        config: source("config.yaml".to_owned(), config),
        policies,
        files: tree,
        own: Own {
            config: Some("/etc/only1mcp/config.yaml".into()),
            state_directory: "/var/lib/only1mcp".into(),
            other_directories: Vec::new(),
            program_directory: "/prog".into(),
            homes: vec!["/home/ann".into()],
        },
        mode,
        environment: BTreeMap::from([("PLACE".to_owned(), "/data/in".to_owned())]),
    }
}

fn run_on(tree: &Tree, config: &str, policies: &[(&str, &str)]) -> Run {
    run_in(Mode::User, tree, config, policies)
}

fn run_in(mode: Mode, tree: &Tree, config: &str, policies: &[(&str, &str)]) -> Run {
    let input = input_in(mode, tree, config, policies);
    let mut findings = Findings::default();
    let checked = check(&input, &mut findings);
    Run { checked, findings }
}

fn run(config: &str) -> Run {
    run_on(&host(), config, &[])
}

/// As if systemd had started it.
fn run_in_system_mode(config: &str) -> Run {
    run_in(Mode::System, &host(), config, &[])
}

/// What is said about one server with this policy.
fn with_policy(policy: &str) -> Run {
    run_on(&host(), "servers: [{id: a, command: node, policy: p}]\n", &[("p", policy)])
}

fn said(run: &Run) -> String {
    run.findings.to_text()
}

fn only_server(run: &Run) -> &Server {
    assert!(!run.findings.has_errors(), "{}", said(run));
    &run.checked.servers[0]
}

fn binds(run: &Run) -> Vec<Bind> {
    plan::plan(only_server(run)).binds
}

#[test]
fn the_built_in_configuration_has_no_findings_and_two_servers() {
    let run = run(BUILT_IN);
    assert_eq!(said(&run), "");
    assert_eq!(run.checked.servers.len(), 2);
    assert_eq!(run.checked.proxy.listen.to_string(), "127.0.0.1:8080");
}

#[test]
fn a_plan_set_holds_every_server_by_name_and_what_to_watch() {
    let run = run(BUILT_IN);
    let bytes = plan::plan_set(&run.checked, vec!["config.yaml".into()], &run.findings).unwrap();
    let again = PlanSet::from_bytes(&bytes).unwrap();
    assert_eq!(again.servers[0], plan::plan(&run.checked.servers[1]));
    assert_eq!(again.servers[0].name.as_str(), "notes");
    assert!(again.inputs.contains(&"/etc/ld.so.cache".to_owned()), "{:?}", again.inputs);
}

#[test]
fn a_digest_changes_with_the_plan_and_only_with_it() {
    let digest = |config: &str| plan::plan(only_server(&run(config))).digest;
    let base = digest("servers: [{id: a, command: node, policy: node}]");
    assert_eq!(base, digest("# a remark\nservers:\n- policy: node\n  command: node\n  id: a\n"));
    assert_ne!(base, digest("servers: [{id: a, command: node, policy: node, args: [x]}]"));
    // One replica more is no reason to replace the others, and the launcher allows each its successor.
    let three = "servers: [{id: a, command: node, policy: node, replicas: 3, state: shared}]";
    assert_eq!(base, digest(three));
    assert_eq!(plan::plan(only_server(&run(three))).spawn.instances, 6);
}

#[test]
fn y01_every_wrong_key_is_found_with_its_place() {
    let run = run("servers:\n  - id: a\n    comand: node\n    policy: node\nproxi: {}\n");
    let text = said(&run);
    assert!(
        text.contains("config.yaml:3:5: there is no key `comand` here\nhelp: did you mean `command`?"),
        "{text}"
    );
    assert!(
        text.contains("config.yaml:5:1: there is no key `proxi` here\nhelp: did you mean `proxy`?"),
        "{text}"
    );
    assert!(text.contains("config.yaml:2:9: the server has no `command`"), "{text}");
}

#[test]
fn keys_that_are_not_built_are_refused() {
    let server = "servers: [{id: a, command: node, policy: node";
    for (rest, what) in [
        (", transport: http}]", "`transport: http` is not built yet"),
        (", url: 'http://x'}]", "`url` is not built yet"),
        (", headers: {}}]", "`headers` is not built yet"),
        (", idle_timeout: 0s}]", "`idle_timeout: 0s` is out of range"),
        (", scope: all}]", "`scope` cannot be `all`"),
    ] {
        let run = run(&format!("{server}{rest}\n"));
        assert!(run.findings.has_errors() && said(&run).contains(what), "{rest}: {}", said(&run));
    }
}

#[test]
fn what_keeps_a_server_working_is_taken_over_and_nonsense_is_refused() {
    let server = "servers: [{id: a, command: node, policy: {extends: node}";
    for (rest, what) in [
        (", replicas: 3}]", "3 replicas have one state directory"),
        (", replicas: 33, state: shared}]", "`replicas: 33` is out of range"),
        (", replicas: 2, state: shared, scope: session}]", "whose processes are not shared"),
        (", state: own}]", "`state` cannot be `own`"),
        (", routing: {key: user}}]", "`key` cannot be `user`"),
        (", retry: ['*x*']}]", "`*x*` is not a pattern for tools"),
        (", trust_annotations: yes}]", "true or false"),
        (", health_check: {interval: 10ms}}]", "`interval: 10ms` is out of range"),
        (", health_check: {failure_threshold: 0}}]", "`failure_threshold: 0` is out of range"),
        (", recycle: {memory: 64MiB}}]", "needs a cgroup that counts memory"),
        (", recycle: {age: 1s}}]", "`age: 1s` is out of range"),
        (", recycle: {calls: 0}}]", "`calls: 0` is out of range"),
        (", concurrency: {calls: 2, per_principal: 3}}]", "one principal may make 3 calls at once"),
        ("}]\nproxy: {routing: {algorithm: random}}", "`algorithm` cannot be `random`"),
        ("}]\nproxy: {routing: {virtual_nodes: 0}}", "`virtual_nodes: 0` is out of range"),
        ("}]\nproxy: {health: {interval: 1s}}", "there is no key `interval` here"),
        ("}]\nproxy: {rate_limit: {burst: 5}}", "does not say how many calls per minute"),
    ] {
        let run = run(&format!("{server}{rest}\n"));
        assert!(run.findings.has_errors() && said(&run).contains(what), "{rest}: {}", said(&run));
    }
    let run = run(
        "servers: [{id: a, command: node, policy: {extends: node, requires: {cgroup: true}}, replicas: 3, state: shared, \
         routing: {key: session}, retry: [read_*, find], trust_annotations: true, health_check: {interval: 2s}, \
         recycle: {calls: 100, age: 24h, memory: 64MiB}, concurrency: {calls: 8, queue: 0}}]\n\
         proxy: {routing: {algorithm: round_robin, virtual_nodes: 10}, health: {check_interval: 5s, timeout: 1s}, \
         rate_limit: {requests_per_minute: 60}}\n",
    );
    assert_eq!(said(&run), "");
    let view = plan::view(&run.checked, &plan::plans(&run.checked));
    let server = &view.servers[0];
    assert_eq!(
        (server.replicas, server.may_repeat("read_file"), server.may_repeat("found")),
        (3, true, false)
    );
    assert_eq!(
        server.routing,
        RoutingView { algorithm: Algorithm::RoundRobin, virtual_nodes: 10, key: RoutingKey::Session }
    );
    assert_eq!(server.health, HealthView { interval_ms: 2000, timeout_ms: 1000, failure_threshold: 3 });
    let recycle = RecycleView { calls: Some(100), age_ms: Some(86_400_000), memory_bytes: Some(64 << 20) };
    assert_eq!(server.recycle, recycle);
    assert_eq!(server.concurrency, ConcurrencyView { calls: 8, per_principal: 8, queue: 0 });
    assert!(server.trust_annotations);
    assert_eq!(view.proxy.rate_limit, Some(RateLimitView { requests_per_minute: 60, burst: 60 }));
}

#[test]
fn y07_paths_must_be_absolute_plain_real_and_there() {
    let tree = host().link("/data/link", "/data/in").link("/alias", "/data").plain("/data/file", "");
    for (path, why) in [
        ("in", "is not absolute"),
        ("~/in", "only a shell knows"),
        ("$HOME/in", "variables are not expanded"),
        ("/data/../etc", "`..` in it"),
        ("/data/*", "wildcard"),
        ("/data/in/", "write /data/in"),
        ("/data/none", "does not exist"),
        ("/data/link", "help: write /data/in"),
        ("/alias/in", "help: write /data/in"),
        ("/dev/null", "belongs to the kernel"),
        ("/data/file/x", "is not a directory"),
        ("/data/\\nin", "control character"),
    ] {
        // In double quotes, so that a line end can be written.
        let policy = format!("extends: node\nfilesystem: {{read: [\"{path}\"]}}\n");
        let run = run_on(&tree, "servers: [{id: a, command: node, policy: p}]\n", &[("p", &policy)]);
        let text = said(&run);
        assert!(text.contains("policies/p.yaml:2:21") && text.contains(why), "{path}: {text}");
    }
}

#[test]
fn y08_the_floor_holds_in_policies_too() {
    for path in [
        "/",
        "/etc",
        "/usr",
        "/proc",
        "/run",
        "/etc/only1mcp",
        "/var/lib/only1mcp/servers/b",
        "/prog",
        "/home/ann",
    ] {
        let run = with_policy(&format!("extends: node\nfilesystem: {{write: [{path}]}}\n"));
        assert!(run.findings.has_errors(), "{path}");
        assert!(said(&run).contains("cannot be read and written"), "{path}: {}", said(&run));
    }
}

#[test]
fn y08_obeyed_files_in_a_writable_directory_are_mounted_read_only_above_it() {
    let run = with_policy("extends: node\nfilesystem: {write: [/data/out, state]}\n");
    assert!(
        said(&run).contains("note: policies/p.yaml:2:22: stays read-only below /data/out"),
        "{}",
        said(&run)
    );
    let writable = |path: &str| binds(&run).iter().find(|bind| bind.target == path).unwrap().writable;
    assert!(writable("/data/out") && !writable("/data/out/.git"));
    assert!(binds(&run).iter().all(|bind| !bind.target.starts_with("/data/out/.git/")));
    let order: Vec<String> = binds(&run).into_iter().map(|bind| bind.target).collect();
    let at = |path: &str| order.iter().position(|target| target == path).unwrap();
    assert!(at("/data/out") < at("/data/out/.git"));
}

#[test]
fn y08_a_server_cannot_fill_its_directory_until_nothing_in_it_is_protected() {
    let fill = |tree: Tree, number| tree.plain(&format!("/data/out/!{number}/.npmrc"), "");
    let tree = (0..200).fold(host(), fill);
    let policy = "extends: node\nfilesystem: {write: [/data/out]}\n";
    let run = run_on(&tree, "servers: [{id: a, command: node, policy: p}]\n", &[("p", policy)]);
    let refused = "error: policies/p.yaml:2:22: /data/out is too large to be searched whole";
    assert!(said(&run).contains(refused), "{}", said(&run));
    assert!(run.checked.servers.is_empty());
}

#[test]
fn y08_a_way_to_an_obeyed_file_does_not_make_a_program_writable() {
    let tree = host()
        .file("/data/out/app/run.js", "#!/usr/bin/node\n")
        .plain("/data/out/app/package.json", "{}")
        .plain("/data/out/app/sub/.npmrc", "")
        .plain("/data/out/kept/sub/.npmrc", "");
    let policy = "extends: node\nfilesystem: {read: [/data/out/kept], write: [/data/out]}\n";
    let run =
        run_on(&tree, "servers: [{id: a, command: /data/out/app/run.js, policy: p}]\n", &[("p", policy)]);
    for bind in binds(&run).iter().filter(|bind| bind.target.starts_with("/data/out/")) {
        assert!(!bind.writable, "{}", bind.target);
    }
    assert!(binds(&run).iter().any(|bind| bind.target == "/data/out/app" && bind.executable));
}

#[test]
fn y08_what_a_server_can_make_for_git_to_obey_is_warned_of() {
    let warned = |path: &str| {
        let run = with_policy(&format!("extends: node\nfilesystem: {{write: [{path}]}}\n"));
        said(&run).contains("the server can make a .git in")
    };
    assert!(warned("/data/in") && !warned("/data/out"));
}

#[test]
fn y08_what_cannot_be_searched_is_mounted_read_only() {
    let tree = host().plain("/data/out/shut/.git/config", "").closed("/data/out/shut");
    let policy = "extends: node\nfilesystem: {write: [/data/out]}\n";
    let run = run_on(&tree, "servers: [{id: a, command: node, policy: p}]\n", &[("p", policy)]);
    assert!(said(&run).contains("/data/out/shut cannot be looked into"), "{}", said(&run));
    assert!(binds(&run).iter().any(|bind| bind.target == "/data/out/shut" && !bind.writable));
}

/// What is said about `a`, which may write `path`, beside `b` with these keys.
fn beside(path: &str, keys: &str) -> Run {
    let tree =
        host().file("/app/bin/run.js", "#!/usr/bin/node\n").plain("/app/bin/main.js", "").dir("/app/log");
    let a = format!("{{id: a, command: node, policy: {{extends: node, filesystem: {{write: [{path}]}}}}}}");
    run_on(&tree, &format!("servers:\n- {a}\n- {{id: b, {keys}}}\n"), &[])
}

#[test]
fn y08_no_server_may_write_the_program_of_another() {
    let granted = "policy: {extends: node, filesystem: {read: [/app/bin]}}";
    let executable = "policy: {extends: node, filesystem: {execute: [/app/bin]}}";
    for (path, keys) in [
        ("/app", "command: /app/bin/run.js, policy: node".to_owned()),
        ("/app/bin", "command: /app/bin/run.js, policy: node".to_owned()),
        ("/app/bin/run.js", "command: /app/bin/run.js, policy: node".to_owned()),
        ("/app/bin", format!("command: node, {executable}")),
        ("/app/bin/main.js", format!("command: node, {executable}")),
    ] {
        let run = beside(path, &keys);
        let text = said(&run);
        assert!(
            text.contains("error: config.yaml:2:") && text.contains("`b` executes /app/bin"),
            "{path}: {text}"
        );
    }
    let script = beside("/app/bin", &format!("command: node, args: [/app/bin/main.js], {granted}"));
    assert!(said(&script).contains("`a` may write /app/bin/main.js, which `b` is started with"));
    assert!(!said(&beside("/app/log", "command: /app/bin/run.js, policy: node")).contains("`b`"));
}

#[test]
fn servers_may_share_what_both_write() {
    let shared = "command: node, args: [/app/log], policy: {extends: node, filesystem: {write: [/app/log]}}";
    assert!(!said(&beside("/app/log", shared)).contains("`b`"));
}

#[test]
fn y10_there_is_no_syntax_to_ask_for_less_than_the_floor() {
    for key in [
        "seccomp: off",
        "user: root",
        "capabilities: []",
        "privileged: true",
        "unsafe: {}",
        "system_calls: []",
    ] {
        assert!(with_policy(&format!("extends: node\n{key}\n")).findings.has_errors(), "{key}");
    }
}

#[test]
fn y11_limits_out_of_range_are_errors_with_the_range() {
    for limit in [
        "memory: 1MiB",
        "memory: 18446744073709551616B",
        "memory: -5MiB",
        "memory: 64MB",
        "memory: 512",
        "cpu: 0%",
        "cpu: 100",
        "processes: 0",
        "processes: -1",
        "processes: infinity",
        "processes: 4294967296",
        "open_files: 3",
        "scratch: 1KiB",
        "io: {read: 1KiB}",
        "io: {write: 20MB}",
        "io: {writes: 20MiB}",
        "io: 20MiB",
    ] {
        let run = with_policy(&format!("extends: node\nlimits: {{{limit}}}\n"));
        assert!(said(&run).contains("error: policies/p.yaml:2:"), "{limit}: {}", said(&run));
    }
}

#[test]
fn io_is_limited_only_in_the_direction_that_is_asked_for() {
    let limits = |policy: &str| plan::plan(only_server(&with_policy(policy))).limits;
    let both = limits("extends: node\nlimits: {io: {read: 50MiB, write: 20MiB}}\n");
    assert_eq!((both.io_read_bytes, both.io_write_bytes), (Some(50 << 20), Some(20 << 20)));
    let one = limits("extends: node\nlimits: {io: {write: 1MiB}}\n");
    assert_eq!((one.io_read_bytes, one.io_write_bytes), (None, Some(1 << 20)));
    assert!(!limits("extends: node\n").ask_for_io());
}

#[test]
fn y12_an_empty_list_means_nothing() {
    let run = with_policy(
        "extends: node\nfilesystem: {read: [], write: []}\nnetwork: {allow: []}\ntools: {allow: []}\n",
    );
    let server = only_server(&run);
    assert!(server.policy.tools.allow.is_empty());
    assert!(server.policy.grants.is_empty());
    assert!(binds(&run).iter().all(|bind| !bind.target.starts_with("/data")));
}

#[test]
fn y13_no_host_can_be_granted_and_wildcards_never() {
    for host in ["'*'", "'*.com'", "'*.'", "api.github.com"] {
        let run = with_policy(&format!("extends: node\nnetwork: {{allow: [{host}]}}\n"));
        assert!(run.findings.has_errors(), "{host}");
    }
}

#[test]
fn y14_one_name_is_one_policy() {
    let run =
        run_on(&host(), "servers: [{id: a, command: node, policy: node}]\n", &[("node", "extends: node\n")]);
    assert!(said(&run).contains("is the name of a built-in profile"));
    let run = run_on(&host(), "servers: [{id: a, command: node, policy: Node}]\n", &[]);
    assert!(said(&run).contains("there is no policy `Node`\nhelp: did you mean `node`?"), "{}", said(&run));
    let twice = "servers: [{id: a, command: node, policy: node}, {id: a, command: node, policy: node}]\n";
    assert!(said(&super::tests::run(twice)).contains("there are two servers `a`"));
}

#[test]
fn a_policy_must_extend_a_profile_and_be_there() {
    assert!(said(&with_policy("tools: {allow: ['*']}\n")).contains("the policy has no `extends`"));
    assert!(said(&with_policy("extends: github\n")).contains("`extends` cannot be `github`"));
    assert!(said(&run("servers: [{id: a, command: node}]\n")).contains("the server has no `policy`"));
}

#[test]
fn variables_are_put_in_and_everything_else_is_the_profiles() {
    let run = run(
        "servers: [{id: a, command: node, args: ['${PLACE}/x'], env: {A: '${PLACE}', T: {credential: t}}, policy: node}]\n",
    );
    let server = only_server(&run);
    assert_eq!(server.arguments, ["node", "/data/in/x"]);
    let value =
        |name: &str| server.environment.iter().find(|variable| variable.name == name).unwrap().value.clone();
    assert_eq!(value("A"), VariableValue::Literal("/data/in".into()));
    assert_eq!(value("T"), VariableValue::Credential("t".into()));
    assert_eq!(value("HOME"), VariableValue::Literal("/state".into()));
    assert_eq!(value("TZ"), VariableValue::Literal("Europe/Berlin".into()));
    assert!(server.environment.iter().all(|variable| variable.name != "PLACE"));
}

#[test]
fn wrong_variables_are_refused() {
    for (env, why) in [
        ("{PATH: /x}", "PATH is set by the sandbox"),
        ("{HOME: /x}", "HOME is set by the sandbox"),
        ("{'A B': x}", "cannot name a variable"),
        ("{A: '${NONE}'}", "the variable NONE is not set"),
        ("{A: {credential: ../x}}", "cannot name a credential"),
        ("{A: {credentials: x}}", "did you mean `credential`?"),
        ("{A: 1}", "put it in quotes: \"1\""),
        ("{A: }", "found nothing"),
        ("[A]", "expected a mapping of variables"),
    ] {
        let run = run(&format!("servers: [{{id: a, command: node, env: {env}, policy: node}}]\n"));
        assert!(run.findings.has_errors() && said(&run).contains(why), "{env}: {}", said(&run));
    }
}

#[test]
fn a_secret_in_the_configuration_is_warned_of() {
    let run = run("servers: [{id: a, command: node, env: {API_TOKEN: abc}, policy: node}]\n");
    assert!(!run.findings.has_errors() && said(&run).contains("credential: NAME"), "{}", said(&run));
}

#[test]
fn a_program_that_would_fetch_the_server_is_warned_of() {
    let told =
        |command: &str| said(&run(&format!("servers: [{{id: a, command: {command}, policy: node}}]\n")));
    for command in ["npx", "uvx", "/usr/bin/npx", "/nowhere/pipx"] {
        assert!(told(command).contains("fetches what it runs, and a server has no network"), "{command}");
    }
    assert!(
        told("npx").contains("1:28: `npx` fetches") && told("npx").contains("help: install the server first")
    );
    assert!(!told("node").contains("fetches") && !told("/npx/node").contains("fetches"));
}

#[test]
fn an_argument_that_names_an_invisible_path_is_warned_of() {
    let run = run(
        "servers: [{id: a, command: node, args: [/data/in, --root=/data/in, /usr/bin, /tmp/x, /nowhere], policy: node}]\n",
    );
    let text = said(&run);
    assert_eq!(text.matches("warning:").count(), 2, "{text}");
    assert!(text.contains("help: add /data/in to filesystem.read"), "{text}");
}

#[test]
fn a_working_directory_must_be_visible_inside() {
    let config =
        |cwd: &str| run(&format!("servers: [{{id: a, command: node, cwd: '{cwd}', policy: node}}]\n"));
    assert_eq!(only_server(&config("/tmp")).working_directory, "/tmp");
    assert!(said(&config("/data/in")).contains("there is no /data/in inside the sandbox"));
    assert!(said(&config("here")).contains("is not absolute"));
}

#[test]
fn listening_beyond_this_machine_is_warned_of_and_names_are_refused() {
    assert!(said(&run("proxy: {listen: '0.0.0.0:80'}\n")).starts_with("warning:"));
    for bad in ["localhost:8080", "8080", "127.0.0.1", "'127.0.0.1:99999'"] {
        assert!(run(&format!("proxy: {{listen: {bad}}}\n")).findings.has_errors(), "{bad}");
    }
}

#[test]
fn in_system_mode_the_address_is_systemds_to_choose() {
    let listen = "proxy: {listen: '127.0.0.1:9000'}\n";
    assert_eq!(said(&run(listen)), "");
    assert!(said(&run_in_system_mode(listen)).contains("help: remove it, and change ListenStream="));
    for without in ["proxy: {names: {max_length: 40}}\n", BUILT_IN] {
        assert_eq!(said(&run_in_system_mode(without)), "", "{without}");
    }
}

#[test]
fn mounts_and_rules_say_the_same() {
    let run = with_policy("extends: jvm\nfilesystem: {read: [/data/in], write: [/data/out]}\n");
    let plan = plan::plan(only_server(&run));
    for bind in plan.binds.iter().filter(|bind| !bind.target.starts_with("/data/out/")) {
        let rule = plan.rules.iter().find(|rule| rule.path == bind.target).unwrap();
        assert_eq!((rule.write, rule.execute), (bind.writable, bind.executable), "{}", bind.target);
        assert!(!(bind.writable && bind.executable), "{} can be written and executed", bind.target);
    }
    assert!(plan.binds.iter().any(|bind| bind.target == "/etc/java-17"));
    let localtime = plan.binds.iter().find(|bind| bind.target == "/etc/localtime").unwrap();
    assert_eq!(localtime.source, "/usr/share/zoneinfo/Europe/Berlin");
}

#[test]
fn what_a_policy_writes_as_escapes_stays_escaped_for_people() {
    let run = with_policy("extends: node\ntools: {allow: [\"\\e[2J\", \"a\\nForged\", \"\\u202e\"]}\n");
    let server = only_server(&run);
    let explained = crate::explain::explain(server, &plan::plan(server)).to_text();
    for text in [explained, crate::show::show(&run.checked)] {
        assert!(!text.contains(|c: char| (c.is_control() && c != '\n') || c == '\u{202e}'), "{text}");
        assert!(!text.lines().any(|line| line.trim_start().starts_with("Forged")), "{text}");
    }
}

#[test]
fn an_empty_configuration_is_a_configuration() {
    let run = run("");
    assert_eq!(said(&run), "");
    assert!(run.checked.servers.is_empty());
}

#[test]
fn a_credential_that_is_not_there_is_warned_of() {
    let run = run(
        "servers: [{id: a, command: node, env: {A: {credential: t}, B: {credential: u}}, policy: node}]\n",
    );
    let text = said(&run);
    assert_eq!(text.matches("warning:").count(), 1, "{text}");
    assert!(
        text.contains("no credential `u` yet") && text.contains("/var/lib/only1mcp/credentials/u"),
        "{text}"
    );
}

#[test]
fn a_grant_that_permissions_contradict_is_refused_for_reading_and_warned_of_for_writing() {
    let config = "servers: [{id: a, command: node, policy: p}]\n";
    let of = |tree: &Tree, grant: &str| {
        run_on(tree, config, &[("p", &format!("extends: node\nfilesystem: {grant}\n"))])
    };
    let closed = of(&host().closed("/data/in"), "{read: [/data/in]}");
    assert!(
        closed.findings.has_errors() && said(&closed).contains("may not read /data/in"),
        "{}",
        said(&closed)
    );
    let guarded = of(&host().guarded("/data/in"), "{write: [/data/in]}");
    assert!(
        !guarded.findings.has_errors() && said(&guarded).contains("perhaps not write /data/in"),
        "{}",
        said(&guarded)
    );
}

/// A virtual environment in `/srv/venv`, and a policy.
fn run_venv(grants: &str) -> Run {
    let tree = host()
        .file("/usr/bin/python3", ELF)
        .plain("/srv/venv/pyvenv.cfg", "home = /usr/bin\n")
        .link("/srv/venv/bin/python", "/usr/bin/python3")
        .dir("/srv/venv/lib");
    let policy = format!("extends: python\nfilesystem: {{{grants}}}\n");
    let config = "servers: [{id: a, command: /srv/venv/bin/python, policy: p}]\n";
    run_on(&tree, config, &[("p", &policy)])
}

#[test]
fn a_program_cannot_be_made_writable_by_a_grant_nor_unexecutable() {
    for write in ["/srv/venv", "/srv/venv/lib"] {
        let run = run_venv(&format!("write: [{write}]"));
        assert!(said(&run).contains("it belongs to the virtual environment"), "{}", said(&run));
    }
    let executable =
        |run: &Run| binds(run).iter().find(|bind| bind.target == "/srv/venv").unwrap().executable;
    assert!(executable(&run_venv("read: [/srv/venv]")));
    assert!(executable(&run_venv("read: [/srv/venv/lib]")));
}

#[test]
fn a_program_below_a_writable_directory_stays_read_only_and_is_warned_of() {
    let tree = host().file("/data/out/tool", ELF);
    let config = "servers: [{id: a, command: /data/out/tool, policy: p}]\n";
    let run = run_on(&tree, config, &[("p", "extends: native\nfilesystem: {write: [/data/out]}\n")]);
    assert!(
        said(&run).contains("warning: policies/p.yaml:2:22: /data/out/tool is executed"),
        "{}",
        said(&run)
    );
    let binds = binds(&run);
    let tool = binds.iter().position(|bind| bind.target == "/data/out/tool").unwrap();
    let directory = binds.iter().position(|bind| bind.target == "/data/out").unwrap();
    assert!(directory < tool && !binds[tool].writable && binds[tool].executable);
}
