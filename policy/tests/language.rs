//! Attacks on the policy language, through the real `only1mcp-compile`: each is refused with its place, in words that
//! a golden file keeps, and the valid neighbour beside it is accepted.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test: the program is what is tested")]

#[path = "language/cases.rs"]
mod cases;

use cases::{CONFIGS, Case, POLICIES};
use only1mcp_wire::PlanSet;
use std::fmt::Write;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

const CONFIG: &str = "servers:\n- id: a\n  command: only1mcp-probe\n  policy: p\n";
const SOUND: &str = "extends: native\n";

/// A configuration directory with one policy, and places that policies name.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = PathBuf::from(format!("/var/tmp/only1mcp-language-{name}-{}", std::process::id()));
        for directory in ["", "bin", "etc", "etc/policies", "data", "data/real", "state"] {
            fs::create_dir(path.join(directory)).unwrap();
            fs::set_permissions(path.join(directory), Permissions::from_mode(0o755)).unwrap();
        }
        for program in ["only1mcp-probe", "only1mcp-builtin"] {
            fs::copy("/usr/bin/true", path.join("bin").join(program)).unwrap();
        }
        symlink("real", path.join("data/link")).unwrap();
        let folder = Self(path);
        folder.write("etc/config.yaml", CONFIG.as_bytes());
        folder.write("etc/policies/p.yaml", SOUND.as_bytes());
        folder
    }

    fn write(&self, name: &str, content: &[u8]) {
        fs::write(self.0.join(name), content).unwrap();
        fs::set_permissions(self.0.join(name), Permissions::from_mode(0o644)).unwrap();
    }

    /// A text of a case: `@` is this folder.
    fn filled(&self, text: &[u8]) -> Vec<u8> {
        let here = self.0.to_str().unwrap().as_bytes();
        text.split(|&byte| byte == b'@').collect::<Vec<_>>().join(here)
    }

    fn compile(&self, action: &str) -> (Option<i32>, Vec<u8>, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_only1mcp-compile"));
        command.arg(action).arg("--config").arg(self.0.join("etc/config.yaml")).args(["--mode", "user"]);
        command.arg("--state-dir").arg(self.0.join("state")).arg("--program-dir").arg(self.0.join("bin"));
        command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", "/home/nobody-at-all");
        let output = command.output().unwrap();
        let said = [output.stdout.as_slice(), &output.stderr].concat();
        let said = String::from_utf8(said).unwrap_or_default().replace(self.0.to_str().unwrap(), "HERE");
        (output.status.code(), output.stdout, said)
    }

    /// Whether this is refused, with every error at a line and column of `file`; what was said.
    fn refused(&self, file: &str, what: &str) -> String {
        let (code, _, said) = self.compile("check");
        assert_eq!(code, Some(65), "{what}: {said}");
        let steers = |c: char| {
            c.is_control() && c != '\n' || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        };
        assert!(!said.contains(steers), "{what}: it would steer a terminal: {said:?}");
        assert!(said.contains("\nhelp: "), "{what}: no mend: {said}");
        let errors = said.lines().filter(|line| line.starts_with("error: "));
        let placed = errors.filter(|line| has_place(line, file)).count();
        assert!(placed > 0, "{what}: no line and column of {file}: {said}");
        said
    }

    fn accepted(&self, what: &str) {
        let (code, _, said) = self.compile("check");
        assert_eq!(code, Some(0), "the neighbour of {what}: {said}");
    }
}

/// Whether a finding names a line and a column of this file.
fn has_place(finding: &str, file: &str) -> bool {
    let Some((_, rest)) = finding.split_once(file) else { return false };
    let mut parts = rest.trim_start_matches(':').split(':');
    let is_number = |part: Option<&str>| part.is_some_and(|part| part.parse::<u32>().is_ok());
    is_number(parts.next()) && is_number(parts.next())
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(name);
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, text).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, kept, "{} says something else; BLESS=1 if the new one is right", path.display());
}

fn try_all(name: &str, file: &str, cases: &[Case]) {
    let folder = Folder::new(name);
    let mut story = String::new();
    for Case { id, text, twin } in cases {
        let shown = format!("{id} {}", text.escape_ascii());
        let what: String = shown.chars().take(200).collect();
        folder.write(file, &folder.filled(text));
        let said = folder.refused(file.trim_start_matches("etc/"), &what);
        let _ = writeln!(
            story,
            "{what}\n{}",
            said.lines().map(|line| format!("    {line}\n")).collect::<String>()
        );
        folder.write(file, &folder.filled(twin.as_bytes()));
        folder.accepted(&what);
    }
    golden(&format!("language-{name}.txt"), &story);
}

#[test]
fn y01_to_y13_policies_that_ask_for_more_than_they_say_are_refused_where_they_do() {
    try_all("policies", "etc/policies/p.yaml", POLICIES);
}

#[test]
fn y01_to_y14_configurations_too() {
    try_all("configurations", "etc/config.yaml", CONFIGS);
}

#[test]
fn y04_y05_bombs_are_refused_within_the_compilers_own_limits() {
    let folder = Folder::new("bombs");
    let laughs: String = (1..30)
        .map(|level| format!("a{level}: &a{level} [{}]\n", vec![format!("*a{}", level - 1); 9].join(", ")))
        .collect();
    let bombs = [
        format!("extends: native\na0: &a0 [x]\n{laughs}"),
        format!("extends: {}", "[".repeat(60_000)),
        format!("extends: {}", "{a: ".repeat(15_000)),
        format!(
            "extends: native\n{}",
            (0..8000).map(|level| format!("{}-\n", " ".repeat(level % 90))).collect::<String>()
        ),
        format!("extends: native\ntools: {{allow: [{}]}}\n", "a,".repeat(30_000)),
    ];
    for bomb in bombs {
        folder.write("etc/policies/p.yaml", bomb.as_bytes());
        let begun = std::time::Instant::now();
        let (code, _, said) = folder.compile("check");
        assert_eq!(code, Some(65), "{}: {said}", &bomb[..40]);
        println!("{:?} for {} bytes beginning with {:?}", begun.elapsed(), bomb.len(), &bomb[..30]);
    }
    folder.write("etc/policies/p.yaml", b"extends: native\ntools: {allow: [[a]]}\n");
    folder.refused("policies/p.yaml", "a list in a list");
    folder.write("etc/policies/p.yaml", b"extends: native\ntools: {allow: [a]}\n");
    folder.accepted("bombs");
}

#[test]
fn y09_a_policy_that_somebody_else_could_have_written_is_refused() {
    let folder = Folder::new("files");
    let (file, directory) = (folder.0.join("etc/policies/p.yaml"), folder.0.join("etc/policies"));
    let refused = |what: &str| {
        let (code, _, said) = folder.compile("check");
        assert!(matches!(code, Some(65 | 74)) && said.contains("policies"), "{what}: {code:?} {said}");
    };
    for mode in [0o664, 0o646, 0o666] {
        fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        refused(&format!("mode {mode:o}"));
    }
    fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    for mode in [0o775, 0o757] {
        fs::set_permissions(&directory, Permissions::from_mode(mode)).unwrap();
        refused(&format!("a directory of mode {mode:o}"));
    }
    fs::set_permissions(&directory, Permissions::from_mode(0o755)).unwrap();
    folder.accepted("modes");
    let kept = fs::read(&file).unwrap();
    let elsewhere = folder.0.join("data/p.yaml");
    fs::write(&elsewhere, &kept).unwrap();
    let make: [(&str, &dyn Fn()); 4] = [
        ("a symbolic link", &|| symlink(&elsewhere, &file).unwrap()),
        ("a directory", &|| fs::create_dir(&file).unwrap()),
        ("a pipe", &|| nix::unistd::mkfifo(&file, nix::sys::stat::Mode::from_bits_truncate(0o644)).unwrap()),
        ("too much", &|| {
            folder.write("etc/policies/p.yaml", &[SOUND.as_bytes(), &vec![b'#'; 2 << 20]].concat())
        }),
    ];
    for (what, make) in make {
        let _ = fs::remove_file(&file).or_else(|_| fs::remove_dir(&file));
        make();
        refused(what);
    }
    let _ = fs::remove_file(&file);
    folder.write("etc/policies/p.yaml", SOUND.as_bytes());
    folder.accepted("files");
}

fn plan(folder: &Folder) -> PlanSet {
    let (code, printed, said) = folder.compile("plan");
    assert_eq!(code, Some(0), "{said}");
    PlanSet::from_bytes(&printed).unwrap()
}

#[test]
fn y12_an_empty_list_gives_what_its_absence_gives() {
    let folder = Folder::new("empty");
    let bare = plan(&folder);
    for lists in [
        "filesystem: {read: []}",
        "filesystem: {write: []}",
        "filesystem: {execute: []}",
        "network: {allow: []}",
    ] {
        folder.write("etc/policies/p.yaml", format!("{SOUND}{lists}\n").as_bytes());
        let (mut server, mut without) = (plan(&folder).servers[0].clone(), bare.servers[0].clone());
        (server.digest, without.digest) = ([0; 32], [0; 32]);
        assert_eq!(server, without, "{lists}");
    }
    // The twin: one entry is one more.
    folder.write(
        "etc/policies/p.yaml",
        format!("{SOUND}filesystem: {{read: [{}/data/real]}}\n", folder.0.display()).as_bytes(),
    );
    assert_eq!(plan(&folder).servers[0].binds.len(), bare.servers[0].binds.len() + 1);
    // And no tool is allowed by a list that allows none.
    folder.write("etc/policies/p.yaml", format!("{SOUND}tools: {{allow: []}}\n").as_bytes());
    let view = String::from_utf8(plan(&folder).view).unwrap();
    assert!(view.contains("\"allow\":[]"), "{view}");
}

#[test]
fn y14_only_the_exact_name_is_the_policy() {
    let folder = Folder::new("names");
    fs::remove_file(folder.0.join("etc/policies/p.yaml")).unwrap();
    for name in ["P.yaml", "p.yaml~", ".p.yaml", "p.yaml.bak", "p.yml", "p", "p.yaml.swp", "#p.yaml#"] {
        folder.write(&format!("etc/policies/{name}"), SOUND.as_bytes());
        let (code, _, said) = folder.compile("check");
        assert_eq!(code, Some(65), "{name}: {said}");
        assert!(said.contains("there is no policy `p`"), "{name}: {said}");
        fs::remove_file(folder.0.join("etc/policies").join(name)).unwrap();
    }
    folder.write("etc/policies/p.yaml", SOUND.as_bytes());
    folder.accepted("names");
}

#[test]
fn i16_a_document_swapped_while_it_is_compiled_is_one_of_both_as_a_whole() {
    let folder = Folder::new("swapped");
    let config = |number: u32| {
        CONFIG.replace("policy: p", &format!("args: ['{number}', '{number}']\n  policy: {{extends: native, limits: {{processes: {number}}}}}"))
    };
    let (one, two) = (folder.0.join("etc/one"), folder.0.join("etc/config.yaml"));
    folder.write("etc/one", config(11).as_bytes());
    folder.write("etc/config.yaml", config(22).as_bytes());
    let going_on = std::sync::atomic::AtomicBool::new(true);
    let mut seen = std::collections::BTreeSet::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while going_on.load(std::sync::atomic::Ordering::Relaxed) {
                let flags = nix::fcntl::RenameFlags::RENAME_EXCHANGE;
                nix::fcntl::renameat2(nix::fcntl::AT_FDCWD, &one, nix::fcntl::AT_FDCWD, &two, flags).unwrap();
                std::thread::sleep(std::time::Duration::from_micros(700));
            }
        });
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for _ in 0..60 {
                let (code, printed, said) = folder.compile("plan");
                if code == Some(0) {
                    let server = PlanSet::from_bytes(&printed).unwrap().servers[0].clone();
                    let number = server.limits.processes.to_string();
                    assert_eq!(server.arguments[1..], [number.clone(), number.clone()]);
                    seen.insert(number);
                } else {
                    assert_eq!(code, Some(65), "{said}");
                }
            }
        }));
        // Whatever came of it, the swapping ends.
        going_on.store(false, std::sync::atomic::Ordering::Relaxed);
        outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
    assert_eq!(seen.len(), 2, "it was never swapped");
}
