//! Each wall, seen from inside: what is forbidden fails, and what is allowed beside it works.

use crate::support::plans::{Home, plan, shell, variable};
use crate::support::running::{Launcher, Who, everyone};
use only1mcp_wire::ServerPlan;

/// What a server says before it ends.
fn said(who: Who, server: ServerPlan) -> String {
    let name = server.name.to_string();
    let launcher = Launcher::start(who, Home::new(vec![server]));
    launcher.proxy().run(&name).0
}

fn python(script: &str) -> ServerPlan {
    plan("probe", "/usr/bin/python3", &["python3", "-c", script])
}

#[test]
fn only_the_three_streams_are_open() {
    for who in everyone() {
        // The fourth is the one that lists them.
        let listed = said(who, python("import os; print(sorted(map(int, os.listdir('/proc/self/fd'))))"));
        assert_eq!(listed, "[0, 1, 2, 3]\n", "{who:?}");
    }
}

#[test]
fn the_environment_is_that_of_the_plan_and_nothing_else() {
    for who in everyone() {
        let mut server = plan("probe", "/usr/bin/env", &["env"]);
        server.environment = vec![variable("A", "1"), variable("B", "x=y z")];
        assert_eq!(said(who, server), "A=1\nB=x=y z\n", "{who:?}");
    }
}

#[test]
fn no_privilege_is_left_and_two_filters_stand() {
    for who in everyone() {
        let status = said(who, shell("probe", "cat /proc/self/status"));
        for line in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            assert!(status.contains(&format!("{line}:\t0000000000000000\n")), "{who:?}: {status}");
        }
        for line in
            ["NoNewPrivs:\t1\n", "Seccomp:\t2\n", "Seccomp_filters:\t2\n", "Uid:\t1000\t1000\t1000\t1000\n"]
        {
            assert!(status.contains(line), "{who:?}: {line}: {status}");
        }
        for line in ["SigBlk:\t0000000000000000\n", "SigIgn:\t0000000000000000\n", "Umask:\t0077\n"] {
            assert!(status.contains(line), "{who:?}: {line}: {status}");
        }
    }
}

#[test]
fn the_root_holds_what_the_plan_names_and_nothing_else() {
    for who in everyone() {
        let root = said(who, python("import os; print(' '.join(sorted(os.listdir('/proc/self/root/..'))))"));
        assert!(root.contains("PermissionError"), "landlock lists no root: {root}");
        let script = "ls /etc /home /root /sys /run 2>&1; cat /etc/passwd; ls /usr/bin/cat; \
                      (echo > /usr/x) 2>&1; (echo > /x) 2>&1; (echo > /etc/x) 2>&1; \
                      echo > /tmp/x && echo > /state/x && echo written";
        let listed = said(who, shell("probe", script));
        for absent in ["/home", "/root", "/sys", "/run"] {
            assert!(listed.contains(&format!("'{absent}': No such file or directory")), "{who:?}: {listed}");
        }
        for read_only in ["/usr/x", "/x", "/etc/x"] {
            let answer = format!("cannot create {read_only}: Read-only file system");
            assert!(listed.contains(&answer), "{who:?}: {listed}");
        }
        assert!(
            listed.contains("mcp:x:1000")
                && listed.contains("/usr/bin/cat\n")
                && listed.contains("written\n")
        );
    }
}

#[test]
fn the_mounts_hold_without_landlock() {
    for who in everyone() {
        let mounts = said(who, shell("probe", "cat /proc/self/mountinfo"));
        let options = |point: &str| {
            let line = mounts.lines().find(|line| line.split(' ').nth(4) == Some(point)).unwrap_or_default();
            line.split(' ').nth(5).unwrap_or_default().to_owned()
        };
        assert!(options("/").starts_with("ro,nosuid,nodev,noexec"), "{who:?}: {mounts}");
        assert!(options("/usr").starts_with("ro,nosuid,nodev,"), "{who:?}: {mounts}");
        assert!(options("/state").starts_with("rw,nosuid,nodev,noexec"), "{who:?}: {mounts}");
        assert!(options("/tmp").starts_with("rw,nosuid,nodev,noexec"), "{who:?}: {mounts}");
        assert!(options("/proc").starts_with("rw,nosuid,nodev,noexec"), "{who:?}: {mounts}");
        assert!(!options("/dev/null").contains("nodev"), "{who:?}: {mounts}");
        assert!(mounts.contains("hidepid=invisible,subset=pid") || mounts.contains("hidepid=2,subset=pid"));
    }
}

#[test]
fn a_file_of_the_server_itself_cannot_be_executed() {
    for who in everyone() {
        let said = said(
            who,
            shell(
                "probe",
                "cp /usr/bin/true t; chmod +x t; ./t; echo $?; cp /usr/bin/true /tmp/t; /tmp/t; echo $?",
            ),
        );
        assert_eq!(said.matches("126\n").count(), 2, "{who:?}: {said}");
        let mut server = shell("probe", "cp /usr/bin/true t; ./t; echo $?");
        server.state_executable = true;
        assert_eq!(self::said(who, server), "0\n", "{who:?}");
    }
}

#[test]
fn other_processes_and_the_machine_are_not_there() {
    for who in everyone() {
        let script = "import os; print(sorted(p for p in os.listdir('/proc') if p.isdigit()), os.getpid() < 9); \
                      print([os.path.exists('/proc/' + f) for f in ('1/status', 'sys', 'kcore', 'cpuinfo', 'meminfo')]); \
                      print(os.uname().nodename, os.cpu_count() > 0)";
        let said = said(who, python(script));
        assert_eq!(said, "['2'] True\n[False, False, False, False, False]\nsandbox True\n", "{who:?}");
    }
}

#[test]
fn the_network_is_an_empty_one_with_loopback() {
    for who in everyone() {
        let script = "
import errno, socket
print(sorted(name for _, name in socket.if_nameindex()))
def attempt(*kind, to=('192.0.2.1', 80)):
    try:
        with socket.socket(*kind) as s:
            s.settimeout(2)
            s.connect(to)
            return 'connected'
    except OSError as e:
        return errno.errorcode[e.errno]
print(attempt(socket.AF_INET, socket.SOCK_STREAM), attempt(socket.AF_INET, socket.SOCK_DGRAM),
      attempt(socket.AF_INET, socket.SOCK_STREAM, 262), attempt(40, socket.SOCK_STREAM), attempt(socket.AF_INET, socket.SOCK_RAW, 1))
a, b = socket.socketpair()
a.send(b'pair'); print(b.recv(9))
s = socket.socket(socket.AF_UNIX); s.bind('/tmp/s'); s.listen(); c = socket.socket(socket.AF_UNIX); c.connect('/tmp/s'); print('unix')
t = socket.create_server(('127.0.0.1', 0)); u = socket.create_connection(t.getsockname()); print('own loopback')";
        let said = said(who, python(script));
        let expected = "['lo']\nENETUNREACH ENETUNREACH EPERM EPERM EPERM\nb'pair'\nunix\nown loopback\n";
        assert_eq!(said, expected, "{who:?}");
    }
}

#[test]
fn forbidden_calls_are_refused_and_unknown_ones_do_not_exist() {
    for who in everyone() {
        let script = "
import ctypes, errno
libc = ctypes.CDLL(None, use_errno=True)
def call(*arguments):
    ctypes.set_errno(0)
    libc.syscall(*[ctypes.c_ulong(a) for a in arguments])
    return errno.errorcode.get(ctypes.get_errno(), 'ok')
NEWUSER = 0x10000000
print('unshare', call(272, NEWUSER), 'clone', call(56, NEWUSER | 17, 0, 0, 0, 0), 'clone3', call(435, 0, 0))
print('ptrace', call(101, 0, 0, 0, 0), 'mount', call(165, 0, 0, 0, 0, 0), 'keyctl', call(250, 0, 0, 0, 0, 0))
print('io_uring', call(425, 1, 0), 'new', call(470), 'x32', call(0x40000000 | 39), 'fsopen', call(430, 0, 0))
print('tiocsti', call(16, 0, 0x100005412, 0), 'prlimit', call(302, 1, 7, 1, 0), 'own', call(302, 0, 7, 0, 0))
print('fastopen', call(44, 0, 0, 0, 0x20000000, 0, 0), 'setuid', call(105, 0), 'personality', call(135, 8))";
        let expected = "unshare EPERM clone EPERM clone3 ENOSYS\nptrace EPERM mount EPERM keyctl EPERM\n\
                        io_uring ENOSYS new ENOSYS x32 ENOSYS fsopen ENOSYS\n\
                        tiocsti EPERM prlimit EPERM own ok\nfastopen EPERM setuid EPERM personality EPERM\n";
        assert_eq!(said(who, python(script)), expected, "{who:?}");
    }
}

#[test]
fn without_jit_no_memory_is_both_written_and_executed() {
    for who in everyone() {
        let script = "
import mmap
def attempt(protection):
    try:
        mmap.mmap(-1, 4096, prot=protection)
        return 'mapped'
    except OSError as e:
        return e.strerror
print(attempt(mmap.PROT_READ | mmap.PROT_WRITE), attempt(mmap.PROT_WRITE | mmap.PROT_EXEC))";
        let mut strict = python(script);
        strict.jit = false;
        assert_eq!(said(who, strict), "mapped Operation not permitted\n", "{who:?}");
        assert_eq!(said(who, python(script)), "mapped mapped\n", "{who:?}");
    }
}

#[test]
fn without_jit_a_file_in_memory_can_never_be_executed() {
    const MFD_NOEXEC_SEAL: u32 = 8;
    for who in everyone() {
        let script = format!(
            "
import os
def attempt(flags):
    try:
        os.memfd_create('x', flags)
        return 'made'
    except OSError as e:
        return e.strerror
print(attempt(os.MFD_CLOEXEC), attempt(os.MFD_CLOEXEC | {MFD_NOEXEC_SEAL}))"
        );
        let mut strict = python(&script);
        strict.jit = false;
        assert_eq!(said(who, strict), "Operation not permitted made\n", "{who:?}");
        assert_eq!(said(who, python(&script)), "made made\n", "{who:?}");
    }
}

#[test]
fn resource_limits_are_those_of_the_plan() {
    for who in everyone() {
        let script = "import resource as r; print([r.getrlimit(k) for k in (r.RLIMIT_NOFILE, r.RLIMIT_CORE, r.RLIMIT_NPROC, r.RLIMIT_MSGQUEUE)])";
        let launcher = Launcher::start(who, Home::new(vec![python(script)]));
        let mut proxy = launcher.proxy();
        // One more where a cgroup counts them, so that it is the one that refuses and tells.
        let processes = 64 + u64::from(proxy.machine.cgroup_limits);
        let expected = format!("[(128, 128), (0, 0), ({processes}, {processes}), (0, 0)]\n");
        assert_eq!(proxy.run("probe").0, expected, "{who:?}");
    }
}

#[test]
fn a_fork_bomb_ends_at_the_limit() {
    for who in everyone() {
        let script = "
import os, time
count = 0
try:
    while count < 500:
        if os.fork() == 0:
            time.sleep(30); os._exit(0)
        count += 1
except OSError as e:
    print(e.strerror)
print(count < 64, flush=True)
os._exit(0)";
        assert_eq!(said(who, python(script)), "Resource temporarily unavailable\nTrue\n", "{who:?}");
    }
}

#[test]
fn groups_of_the_launcher_do_not_come_along() {
    for who in everyone().into_iter().filter(|&who| who != Who::Person) {
        assert_eq!(said(who, shell("probe", "id -G")), "1000\n", "{who:?}");
    }
}
