//! One server at a time: what starts, and how what cannot start is refused.

use crate::support::plans::{self, Home, bind, plan, shell};
use crate::support::running::{Launcher, Who, everyone};
use only1mcp_wire::plan::{BindKind, Requires, SpawnLimits, Variable, VariableValue};
use only1mcp_wire::{
    Exit, Mode, Partition, Refusal, RefusalCode, Reply, Request, ServerName, ServerPlan, Step, Wall,
};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

/// Why the one server of a plan does not start.
fn refusal(who: Who, plan: ServerPlan) -> (Refusal, String) {
    let name = plan.name.to_string();
    let launcher = Launcher::start(who, Home::new(vec![plan]));
    let refusal = launcher.proxy().spawn(&name).err().expect("it started");
    (refusal, launcher.log())
}

#[test]
fn a_native_program_runs_behind_every_wall_and_answers() {
    for who in everyone() {
        let launcher = Launcher::start(who, Home::new(vec![plan("echo", "/usr/bin/cat", &["cat"])]));
        let mut proxy = launcher.proxy();
        let mut server = proxy.spawn("echo").unwrap();
        server.say("hello");
        assert_eq!(server.hear(), "hello", "{who:?}");
        assert_eq!(server.spawned.digest, [7; 32]);
        server.stdin = None;
        assert_eq!(proxy.exit(server.spawned.instance), Exit::Status(0), "{who:?}");
    }
}

#[test]
fn every_wall_but_the_cgroups_stands_and_is_reported() {
    for who in everyone() {
        let launcher = Launcher::start(who, Home::new(vec![plan("echo", "/usr/bin/cat", &["cat"])]));
        let mut proxy = launcher.proxy();
        let enforced = proxy.spawn("echo").unwrap().spawned.enforced;
        // Whether there is a cgroup tree to write depends on the machine; the report does not.
        assert_eq!(enforced.walls.has(Wall::CgroupKill), launcher.cgroups() == 1, "{who:?}");
        assert_eq!(enforced.walls.has(Wall::MemoryLimit), proxy.machine.cgroup_limits);
        let cgroups = [Wall::MemoryLimit, Wall::ProcessLimit, Wall::CpuLimit, Wall::CgroupKill];
        let missing: Vec<_> = enforced.missing().filter(|wall| !cgroups.contains(wall)).collect();
        match who {
            Who::Root => assert_eq!((enforced.mode, missing), (Mode::Root, vec![])),
            Who::System => assert_eq!((enforced.mode, missing), (Mode::System, vec![])),
            Who::Person => assert_eq!((enforced.mode, missing), (Mode::User, vec![Wall::OwnUid])),
        }
        assert!(enforced.landlock_abi > 0);
    }
}

#[test]
fn a_missing_program_is_reported_from_inside() {
    for who in everyone() {
        let (refusal, log) = refusal(who, plan("absent", "/usr/bin/nodex", &["nodex"]));
        assert_eq!(refusal.code, RefusalCode::LaunchFailed);
        assert_eq!((refusal.step, refusal.errno), (Some(Step::ExecServer), libc::ENOENT));
        let line = "launcher: error: cannot start server \"absent\": execute the server's program: \
                    /usr/bin/nodex: No such file or directory\nlauncher: info: help: ";
        assert!(log.contains(line), "{log}");
    }
}

#[test]
fn a_granted_path_that_is_not_what_was_checked_is_refused() {
    for who in everyone() {
        let mut changed = shell("changed", "exit 0");
        changed.binds.push(bind("/usr/bin/env", BindKind::File));
        let last = changed.binds.last_mut().unwrap();
        last.target = "/opt/env".into();
        last.inode += 1;
        let (refusal, log) = refusal(who, changed);
        assert_eq!((refusal.step, refusal.errno), (Some(Step::SourceChanged), libc::ESTALE), "{log}");
        assert!(log.contains("/usr/bin/env"), "{log}");
    }
}

#[test]
fn a_granted_path_that_became_a_link_is_refused() {
    for who in everyone() {
        let mut linked = shell("linked", "exit 0");
        let directory = format!("/tmp/only1mcp-link-{}-{who:?}", std::process::id());
        let _ = std::fs::remove_file(&directory);
        symlink("/usr/bin", &directory).unwrap();
        linked.binds.push(bind(&directory, BindKind::Directory));
        let (refusal, _) = refusal(who, linked);
        std::fs::remove_file(&directory).unwrap();
        assert_eq!((refusal.step, refusal.errno), (Some(Step::OpenSource), libc::ELOOP));
    }
}

#[test]
fn a_wall_that_is_required_and_missing_is_an_error() {
    for who in everyone() {
        let mut strict = shell("strict", "exit 0");
        strict.requires = Requires { cgroup: false, landlock_abi: 200 };
        let (refusal, log) = refusal(who, strict);
        assert_eq!((refusal.code, refusal.wall), (RefusalCode::WallMissing, Some(Wall::Landlock)));
        assert!(log.contains("help: "), "{log}");
    }
}

#[test]
fn an_unknown_server_and_an_old_generation_are_refused() {
    for who in everyone() {
        let launcher = Launcher::start(who, Home::new(vec![shell("known", "exit 0")]));
        let mut proxy = launcher.proxy();
        assert_eq!(proxy.spawn("other").err().unwrap().code, RefusalCode::UnknownServer);
        let server = ServerName::new("known").unwrap();
        let request = Request::Spawn { server, generation: 9, partition: Partition::SHARED };
        match proxy.ask(&request).0 {
            Reply::Refused(refusal) => assert_eq!(refusal.code, RefusalCode::StaleGeneration),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn caps_and_buckets_of_the_plan_hold() {
    for who in everyone() {
        let mut one = plan("one", "/usr/bin/cat", &["cat"]);
        one.spawn = SpawnLimits { instances: 1, burst: 9, per_minute: 1 };
        let mut rare = shell("rare", "exit 0");
        rare.spawn = SpawnLimits { instances: 9, burst: 1, per_minute: 1 };
        let launcher = Launcher::start(who, Home::new(vec![one, rare]));
        let mut proxy = launcher.proxy();
        let first = proxy.spawn("one").unwrap();
        assert_eq!(proxy.spawn("one").err().unwrap().code, RefusalCode::TooManyInstances);
        drop(first);
        proxy.event();
        assert!(proxy.spawn("one").is_ok());
        assert!(proxy.spawn("rare").is_ok());
        assert_eq!(proxy.spawn("rare").err().unwrap().code, RefusalCode::TooManySpawns);
    }
}

#[test]
fn a_credential_reaches_the_server_and_nobody_else() {
    for who in everyone() {
        let mut secret = shell("secret", "echo \"$TOKEN\"");
        let value = VariableValue::Credential("token".into());
        secret.environment.push(Variable { name: "TOKEN".into(), value });
        let home = Home::new(vec![secret, shell("other", "env")]);
        let path = home.path.join("state/credentials/token");
        std::fs::write(&path, "s3cret\n").unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        // As root it takes what root put there; the others are given theirs.
        who.give(&path);
        let launcher = Launcher::start(who, home);
        let mut proxy = launcher.proxy();
        assert_eq!(proxy.run("secret").0, "s3cret\n", "{}", launcher.log());
        assert!(!proxy.run("other").0.contains("s3cret"));
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
        let refusal = proxy.spawn("secret").err().unwrap();
        assert_eq!((refusal.step, refusal.errno), (Some(Step::Credential), libc::EPERM));
        assert!(!launcher.log().contains("s3cret"));
    }
}

#[test]
fn each_partition_has_its_own_lasting_directory_and_uid() {
    for who in everyone() {
        let home = Home::new(vec![shell("keeper", "cat mine 2>&1; echo kept > mine")]);
        let launcher = Launcher::start(who, home);
        let mut proxy = launcher.proxy();
        assert!(proxy.run("keeper").0.contains("No such file"));
        assert_eq!(proxy.run("keeper").0, "kept\n");
        let server = ServerName::new("keeper").unwrap();
        let partition = Partition([0xab; 16]);
        assert!(matches!(
            proxy.ask(&Request::Spawn { server, generation: 1, partition }).0,
            Reply::Spawned(_)
        ));
        proxy.event();
        let servers = launcher.home.path.join("state/servers/keeper");
        let shared = std::fs::metadata(servers.join("shared/mine")).unwrap();
        let other = std::fs::metadata(servers.join("abababababababababababababababab/mine")).unwrap();
        match who {
            Who::Root | Who::System => {
                assert!(shared.uid() >= 1_879_048_208 && other.uid() >= 1_879_048_208);
                assert_ne!(shared.uid(), other.uid());
            }
            Who::Person => assert_eq!((shared.uid(), other.uid()), (launcher.uid, launcher.uid)),
        }
        assert_eq!(std::fs::metadata(servers.join("shared")).unwrap().mode() & 0o777, 0o700);
    }
}

#[test]
fn a_script_runs_by_its_interpreter_and_python_finds_itself() {
    for who in everyone() {
        let script = "import json, sys, threading; t = threading.Thread(target=lambda: None); t.start(); t.join(); \
                      print(json.dumps([sys.version_info[0], sys.executable]))";
        let python = plans::plan("python", "/usr/bin/python3", &["python3", "-c", script]);
        let launcher = Launcher::start(who, Home::new(vec![python]));
        assert_eq!(launcher.proxy().run("python").0, "[3, \"/usr/bin/python3\"]\n", "{who:?}");
    }
}
