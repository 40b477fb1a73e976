//! Which files are opened, on real ones in a directory of their own.

use super::*;
use nix::sys::stat;
use nix::unistd::mkfifo;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

/// A directory that is removed afterwards.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("only1mcp-open-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        set_mode(&path, 0o755);
        Self(fs::canonicalize(path).unwrap())
    }

    fn file(&self, name: &str, content: &[u8]) -> String {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        set_mode(path.parent().unwrap(), 0o755);
        set_mode(&path, 0o644);
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn open_it(path: &str) -> Result<String, String> {
    let mut findings = Findings::default();
    match open(path, &Owners::new(None, Mode::User), &mut findings) {
        Ok(source) => Ok(source.text),
        Err(_) => Err(findings.to_text()),
    }
}

#[test]
fn a_plain_file_of_our_own_is_opened() {
    let folder = Folder::new("plain");
    assert_eq!(open_it(&folder.file("c.yaml", b"a: 1")), Ok("a: 1".to_owned()));
}

#[test]
fn y09_symbolic_links_are_refused_as_file_and_on_the_way() {
    let folder = Folder::new("links");
    let real = folder.file("real/c.yaml", b"");
    symlink(&real, folder.0.join("c.yaml")).unwrap();
    symlink(folder.0.join("real"), folder.0.join("way")).unwrap();
    for name in ["c.yaml", "way/c.yaml"] {
        let said = open_it(folder.0.join(name).to_str().unwrap()).unwrap_err();
        assert!(said.contains("symbolic link") && said.contains("help: "), "{name}: {said}");
    }
}

#[test]
fn y09_what_others_could_have_written_is_refused() {
    let folder = Folder::new("modes");
    let path = folder.file("sub/c.yaml", b"");
    for mode in [0o664, 0o646, 0o666] {
        set_mode(Path::new(&path), mode);
        assert!(open_it(&path).unwrap_err().contains("written by its group or by others"), "{mode:o}");
    }
    set_mode(Path::new(&path), 0o600);
    assert!(open_it(&path).is_ok());
    for mode in [0o775, 0o757] {
        set_mode(&folder.0.join("sub"), mode);
        assert!(open_it(&path).unwrap_err().contains("/sub can be written by"), "{mode:o}");
    }
    set_mode(&folder.0.join("sub"), 0o1777);
    assert!(open_it(&path).is_ok());
}

#[test]
fn y09_files_of_somebody_else_are_refused() {
    let folder = Folder::new("owner");
    let path = folder.file("c.yaml", b"");
    let mut findings = Findings::default();
    assert!(open(&path, &Owners::new(Some(4_000_000), Mode::User), &mut findings).is_err());
    assert!(findings.to_text().contains("belongs to uid"), "{}", findings.to_text());
}

#[test]
fn y09_only_regular_files_with_one_name_and_a_bounded_size_are_read() {
    let folder = Folder::new("kinds");
    let path = folder.file("c.yaml", b"");
    let other = folder.0.join("other.yaml");
    fs::hard_link(&path, &other).unwrap();
    assert!(open_it(&path).unwrap_err().contains("more than one name"));
    fs::remove_file(other).unwrap();

    let large = folder.file("large.yaml", &vec![b'#'; DOCUMENT_BYTES_MAX + 1]);
    assert!(open_it(&large).unwrap_err().contains("65537 bytes"));

    let pipe = folder.0.join("pipe");
    mkfifo(&pipe, stat::Mode::from_bits_truncate(0o600)).unwrap();
    assert!(open_it(pipe.to_str().unwrap()).unwrap_err().contains("not a regular file"));
    assert!(open_it(folder.0.to_str().unwrap()).unwrap_err().contains("not a regular file"));

    let binary = folder.file("binary.yaml", &[0xff, 0xfe]);
    assert!(open_it(&binary).unwrap_err().contains("not UTF-8"));
    assert!(open_it("/nowhere/c.yaml").unwrap_err().contains("cannot be opened"));
}

#[test]
fn y14_only_plain_names_are_policies() {
    assert_eq!(policy_name("github.yaml").as_deref(), Some("github"));
    for other in
        ["GitHub.yaml", ".hidden.yaml", "x.yaml~", "x.yml", "x.yaml.bak", "#x.yaml#", ".yaml", "x.YAML"]
    {
        assert_eq!(policy_name(other), None, "{other}");
    }
}

#[test]
fn what_the_launcher_of_root_mode_could_not_read_is_told_before_it_tries() {
    if !nix::unistd::geteuid().is_root() {
        // Anybody else's launcher runs as themselves.
        assert_eq!(Owners::new(None, Mode::Root).launcher, Launcher::Ourselves);
        return;
    }
    let folder = Folder::new("private");
    let path = folder.file("sub/c.yaml", b"");
    let open_as_root = || {
        let mut findings = Findings::default();
        let opened = open(&path, &Owners::new(None, Mode::Root), &mut findings).is_ok();
        (opened, findings.to_text())
    };
    assert_eq!(open_as_root(), (true, String::new()));
    set_mode(Path::new(&path), 0o600);
    assert!(open_as_root().1.contains("help: chmod o+r"));
    set_mode(Path::new(&path), 0o644);
    set_mode(&folder.0.join("sub"), 0o700);
    assert!(!open_as_root().0);
}

#[test]
fn y09_an_empty_directory_of_policies_that_others_may_write_is_refused() {
    let folder = Folder::new("empty");
    let config = folder.file("config.yaml", b"");
    let policies = folder.0.join("policies");
    fs::create_dir(&policies).unwrap();
    for (mode, errors) in [(0o755, false), (0o777, true)] {
        set_mode(&policies, mode);
        let line = ["check", "--config", &config].map(std::ffi::OsString::from);
        let arguments = Arguments::read(line.into_iter()).unwrap();
        let mut findings = Findings::default();
        Documents::open(&Arguments { mode: Mode::User, ..arguments }, &mut findings);
        assert_eq!(findings.has_errors(), errors, "{mode:o}: {}", findings.to_text());
    }
}
