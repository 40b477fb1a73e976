//! The attacks, one line each: the id of the catalogue, the document, its valid neighbour. `@` is the test's folder.

/// One attack on the language.
pub struct Case {
    pub id: &'static str,
    pub text: &'static [u8],
    pub twin: &'static str,
}

const fn case(id: &'static str, text: &'static [u8], twin: &'static str) -> Case {
    Case { id, text, twin }
}

const READ: &str = "extends: native\nfilesystem: {read: ['@/data/real']}\n";
const WRITE: &str = "extends: native\nfilesystem: {write: ['@/data/real']}\n";
const LIMITS: &str = "extends: native\nlimits: {memory: 64MiB, processes: 64, cpu: 50%, open_files: 64}\n";
const JIT: &str = "extends: native\nmemory: {jit: false}\n";
const PLAIN: &str = "extends: native\n";

/// Attacks by a policy.
pub const POLICIES: &[Case] = &[
    case("Y01", b"extends: native\nfilesytem: {}\n", "extends: native\nfilesystem: {}\n"),
    case("Y01", b"extends: native\nlimits: {memroy: 64MiB}\n", LIMITS),
    case("Y01", b"extends: native\nFilesystem: {}\n", "extends: native\nfilesystem: {}\n"),
    case("Y02", b"extends: native\nextends: node\n", PLAIN),
    case("Y02", b"extends: native\nlimits: {memory: 64MiB, memory: 8GiB}\n", LIMITS),
    case("Y02", b"extends: native\nlimits: {\"memory\": 64MiB, 'memory': 8GiB}\n", LIMITS),
    case("Y03", b"extends: native\nmemory: {jit: no}\n", JIT),
    case("Y03", b"extends: native\nmemory: {jit: off}\n", JIT),
    case("Y03", b"extends: native\nmemory: {jit: yes}\n", JIT),
    case("Y03", b"extends: native\nmemory: {jit: 0}\n", JIT),
    case("Y03", b"extends: native\nmemory: {jit: 'false'}\n", JIT),
    case("Y03", b"extends: native\nlimits: {processes: 0777}\n", LIMITS),
    case("Y03", b"extends: native\nlimits: {processes: 1_000}\n", LIMITS),
    case("Y03", b"extends: native\nlimits: {processes: 1e3}\n", LIMITS),
    case("Y03", b"extends: native\nlimits: {processes: .inf}\n", LIMITS),
    case("Y03", b"extends: native\nlimits: {processes: 0x10}\n", LIMITS),
    case("Y03", b"extends: native\nlimits: {processes: 1:30}\n", LIMITS),
    case("Y03", b"extends: native\nlimits: {processes: 64.0}\n", LIMITS),
    case("Y06", b"extends: native\nlimits: &l {memory: 64MiB}\n", LIMITS),
    case("Y06", b"extends: native\nlimits: *l\n", LIMITS),
    case("Y06", b"extends: native\nlimits: {<<: {memory: 8GiB}}\n", LIMITS),
    case("Y06", b"extends: !!str native\n", PLAIN),
    case("Y06", b"extends: !include node.yaml\n", PLAIN),
    case("Y06", b"extends: native\n---\nextends: node\n", PLAIN),
    case("Y06", b"extends: native\n...\nextends: node\n", PLAIN),
    case("Y06", b"%YAML 1.1\n---\nextends: native\nmemory: {jit: no}\n", JIT),
    case("Y06", b"extends: native\x00\n", PLAIN),
    case("Y06", b"extends: nat\xe2\x80\xaeive\n", PLAIN),
    case("Y06", b"extends: native\nfilesystem: {read: ['/data/re\xe2\x80\xaeal']}\n", READ),
    case("Y06", b"extends: native\nfilesystem: {read: [\"@/data/re\\eal\"]}\n", READ),
    case("Y06", b"extends: native\nfilesystem: {read: [\"@/data/real\\nx\"]}\n", READ),
    case("Y07", b"extends: native\nfilesystem: {read: [data]}\n", READ),
    case("Y07", b"extends: native\nfilesystem: {read: ['~/data']}\n", READ),
    case("Y07", b"extends: native\nfilesystem: {read: ['$HOME']}\n", READ),
    case("Y07", b"extends: native\nfilesystem: {read: ['@/data/../state']}\n", READ),
    case("Y07", b"extends: native\nfilesystem: {read: ['@/data/*']}\n", READ),
    case("Y07", b"extends: native\nfilesystem: {read: ['@/data/real/']}\n", READ),
    case("Y07", b"extends: native\nfilesystem: {read: ['@//data/real']}\n", READ),
    case("Y07", b"extends: native\nfilesystem: {read: ['@/data/link']}\n", READ),
    case("Y07", b"extends: native\nfilesystem: {read: ['@/data/none']}\n", READ),
    case("Y07", b"extends: native\nfilesystem: {read: ['/proc/self/root']}\n", READ),
    case("Y08", b"extends: native\nfilesystem: {write: [/]}\n", WRITE),
    case("Y08", b"extends: native\nfilesystem: {write: [/etc]}\n", WRITE),
    case("Y08", b"extends: native\nfilesystem: {write: [/usr]}\n", WRITE),
    case("Y08", b"extends: native\nfilesystem: {write: [/usr/lib]}\n", WRITE),
    case("Y08", b"extends: native\nfilesystem: {write: [/proc]}\n", WRITE),
    case("Y08", b"extends: native\nfilesystem: {write: [/sys]}\n", WRITE),
    case("Y08", b"extends: native\nfilesystem: {write: [/dev]}\n", WRITE),
    case("Y08", b"extends: native\nfilesystem: {write: [/run]}\n", WRITE),
    case("Y08", b"extends: native\nfilesystem: {write: [/var]}\n", WRITE),
    case("Y08", b"extends: native\nfilesystem: {write: ['@/etc']}\n", WRITE),
    case("Y08", b"extends: native\nfilesystem: {write: ['@/etc/policies']}\n", WRITE),
    case("Y08", b"extends: native\nfilesystem: {write: ['@/bin']}\n", WRITE),
    case("Y08", b"extends: native\nfilesystem: {write: ['@/state']}\n", WRITE),
    case("Y08", b"extends: native\nfilesystem: {write: ['@']}\n", WRITE),
    case("Y10", b"extends: native\nseccomp: off\n", PLAIN),
    case("Y10", b"extends: native\nuser: root\n", PLAIN),
    case("Y10", b"extends: native\ncapabilities: [sys_admin]\n", PLAIN),
    case("Y10", b"extends: native\nsystem_calls: [ptrace]\n", PLAIN),
    case("Y10", b"extends: native\nnetwork: {insecure_allow_all: true}\n", PLAIN),
    case("Y10", b"extends: native\nnetwork: host\n", PLAIN),
    case("Y10", b"extends: native\nunsafe: {}\n", PLAIN),
    case("Y10", b"extends: p\n", PLAIN),
    case("Y10", b"extends: [native, node]\n", PLAIN),
    case("Y11", b"extends: native\nlimits: {processes: -1}\n", LIMITS),
    case("Y11", b"extends: native\nlimits: {processes: 0}\n", LIMITS),
    case("Y11", b"extends: native\nlimits: {processes: 18446744073709551616}\n", LIMITS),
    case("Y11", b"extends: native\nlimits: {processes: infinity}\n", LIMITS),
    case("Y11", b"extends: native\nlimits: {memory: 64MB}\n", LIMITS),
    case("Y11", b"extends: native\nlimits: {memory: 64}\n", LIMITS),
    case("Y11", b"extends: native\nlimits: {memory: 18446744073709551615GiB}\n", LIMITS),
    case("Y11", b"extends: native\nlimits: {memory: -64MiB}\n", LIMITS),
    case("Y11", b"extends: native\nlimits: {memory: max}\n", LIMITS),
    case("Y11", b"extends: native\nlimits: {cpu: 0%}\n", LIMITS),
    case("Y11", b"extends: native\nlimits: {cpu: 99999999999%}\n", LIMITS),
    case("Y12", b"extends: native\nfilesystem: {read: }\n", "extends: native\nfilesystem: {read: []}\n"),
    case("Y12", b"extends: native\ntools: {allow: '*'}\n", "extends: native\ntools: {allow: ['*']}\n"),
    case("Y13", b"extends: native\nnetwork: {allow: ['*']}\n", "extends: native\nnetwork: {allow: []}\n"),
    case("Y13", b"extends: native\nnetwork: {allow: ['*.com']}\n", "extends: native\nnetwork: {allow: []}\n"),
    case("Y13", b"extends: native\nnetwork: {allow: ['*.']}\n", "extends: native\nnetwork: {allow: []}\n"),
];

const SOUND: &str = "servers:\n- id: a\n  command: only1mcp-probe\n  policy: p\n";
const IN_TMP: &str = "servers:\n- id: a\n  command: only1mcp-probe\n  policy: p\n  cwd: /tmp\n";
const SHOWN: &str = "servers:\n- id: a\n  command: only1mcp-probe\n  policy: p\n  read_only: ['*']\n  \
    results: {max_tokens: 1000}\nproxy: {auto_threshold: 1000, views: [{principal: token, view: full}, {principal: uid:777, view: search}]}\n";

/// Attacks by a configuration.
pub const CONFIGS: &[Case] = &[
    case("Y01", b"servers:\n- id: a\n  comand: only1mcp-probe\n  policy: p\n", SOUND),
    case("Y02", b"servers:\n- id: a\n  id: b\n  command: only1mcp-probe\n  policy: p\n", SOUND),
    case("Y06", b"servers:\n- id: a\n  command: only1mcp-probe\n  policy: p\nservers: []\n", SOUND),
    case("Y14", b"servers:\n- id: A\n  command: only1mcp-probe\n  policy: p\n", SOUND),
    case("Y14", b"servers:\n- id: a\n  command: only1mcp-probe\n  policy: P\n", SOUND),
    case("Y14", b"servers:\n- id: a\n  command: only1mcp-probe\n  policy: ../policies/p\n", SOUND),
    case("Y14", b"servers:\n- id: a\n  command: only1mcp-probe\n  policy: p.yaml\n", SOUND),
    case("Y14", b"servers:\n- id: a\n  command: only1mcp-probe\n  policy: p\n- id: a\n  command: only1mcp-probe\n  policy: p\n", SOUND),
    case("Y01", b"servers:\n- id: a\n  command: only1mcp-probe\n  policy: p\n  resluts: {max_tokens: 1000}\n", SHOWN),
    case("Y01", b"servers:\n- id: a\n  command: only1mcp-probe\n  policy: p\nproxy: {veiw: search}\n", SHOWN),
    case("Y02", b"servers:\n- id: a\n  command: only1mcp-probe\n  policy: p\nproxy: {views: [{principal: token, view: full}, {principal: token, view: search}]}\n", SHOWN),
    case("Y03", b"servers:\n- id: a\n  command: only1mcp-probe\n  policy: p\n  results: {max_tokens: 1_000}\n", SHOWN),
    case("Y03", b"servers:\n- id: a\n  command: only1mcp-probe\n  policy: p\nproxy: {views: [{principal: 'uid:0777', view: full}]}\n", SHOWN),
    case("Y11", b"servers:\n- id: a\n  command: only1mcp-probe\n  policy: p\n  results: {max_tokens: -1}\n", SHOWN),
    case("Y11", b"servers:\n- id: a\n  command: only1mcp-probe\n  policy: p\nproxy: {auto_threshold: 18446744073709551616}\n", SHOWN),
    case("Y11", b"servers:\n- id: a\n  command: only1mcp-probe\n  policy: p\nproxy: {views: [{principal: 'uid:4294967296', view: full}]}\n", SHOWN),
    case("Y12", b"servers:\n- id: a\n  command: only1mcp-probe\n  policy: p\n  read_only: '*'\n", SHOWN),
    case("R14", b"servers:\n- id: a\n  command: only1mcp-probe\n  policy: p\nproxy: {views: [{principal: \"uid:0\\e[2J\\u202e\", view: full}]}\n", SHOWN),
    case("R14", b"servers:\n- id: \"a\\e[2J\"\n  command: only1mcp-probe\n  policy: p\n", SOUND),
    case("R14", b"servers:\n- id: \"a\\u202e\"\n  command: only1mcp-probe\n  policy: p\n", SOUND),
    case("R14", b"servers:\n- id: a\n  command: \"only1mcp-probe\\e[2J\\u202e\"\n  policy: p\n", SOUND),
    case("R14", b"servers:\n- id: a\n  \"co\\e[2J\\u202e\": only1mcp-probe\n  policy: p\n", SOUND),
    case("F07", b"servers:\n- id: a\n  command: only1mcp-probe\n  policy: p\n  cwd: /proc/self/fd/7\n", IN_TMP),
    case("F07", b"servers:\n- id: a\n  command: only1mcp-probe\n  policy: p\n  cwd: /proc/1/root\n", IN_TMP),
    case("F07", b"servers:\n- id: a\n  command: only1mcp-probe\n  policy: p\n  cwd: /tmp/../proc\n", IN_TMP),
    case("F07", b"servers:\n- id: a\n  command: only1mcp-probe\n  policy: p\n  cwd: here\n", IN_TMP),
    case("F07", b"servers:\n- id: a\n  command: only1mcp-probe\n  policy: p\n  cwd: '@/data/link'\n", IN_TMP),
];
