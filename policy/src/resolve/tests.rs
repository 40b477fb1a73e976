//! Every way a command leads to programs, on a tree in memory.

use super::*;
use crate::files::tree::Tree;

const ELF: &str = "\x7fELF";

fn host() -> Tree {
    Tree::new()
        .file("/usr/bin/node", ELF)
        .file("/usr/bin/env", ELF)
        .file("/usr/bin/python3.11", ELF)
        .link("/usr/bin/python3", "python3.11")
        .link("/bin", "usr/bin")
        .file("/usr/lib/node_modules/srv/dist/index.js", "#!/usr/bin/env node\n")
        .link("/usr/bin/srv", "../lib/node_modules/srv/dist/index.js")
        .file("/prog/only1mcp-probe", ELF)
}

fn own() -> Own {
    Own {
        config: Some("/home/ann/.config/only1mcp/config.yaml".into()),
        state_directory: "/home/ann/.local/state/only1mcp".into(),
        other_directories: Vec::new(),
        program_directory: "/prog".into(),
        homes: vec!["/home/ann".into()],
    }
}

fn run(tree: &Tree, command: &str) -> Result<Resolution, String> {
    let path = ["/usr/local/bin", "/usr/bin", "/bin"].map(str::to_owned);
    let place = Place::whole("c");
    let search = Search { files: tree, path: &path, own: &own(), place: &place };
    let mut findings = Findings::default();
    resolve(&Spot::new(command.to_owned(), &place), &search, &mut findings).ok_or_else(|| findings.to_text())
}

fn sources(resolution: &Resolution) -> Vec<&str> {
    resolution.needs.iter().map(|need| need.source.as_str()).collect()
}

#[test]
fn a_program_of_the_system_needs_nothing_more() {
    let found = run(&host(), "node").unwrap();
    assert_eq!(found.program, "/usr/bin/node");
    assert!(found.needs.is_empty());
    assert_eq!(run(&host(), "/bin/node").unwrap().program, "/usr/bin/node");
}

#[test]
fn a_program_of_our_own_is_bound_alone() {
    let found = run(&host(), "only1mcp-probe").unwrap();
    assert_eq!(found.program, "/opt/only1mcp/only1mcp-probe");
    assert_eq!(sources(&found), ["/prog/only1mcp-probe"]);
    assert!(run(&host(), "only1mcp-builtin").unwrap_err().contains("/prog/only1mcp-builtin does not exist"));
}

#[test]
fn a_linked_script_is_followed_to_its_interpreter() {
    let found = run(&host(), "srv").unwrap();
    assert_eq!(found.program, "/usr/lib/node_modules/srv/dist/index.js");
    assert!(found.needs.is_empty());
    assert!(found.chain.iter().any(|step| step == "env finds node as /usr/bin/node"), "{:?}", found.chain);
}

#[test]
fn a_script_in_a_node_modules_tree_gets_the_outermost_tree_and_its_manifest() {
    let tree = host()
        .plain("/srv/app/package.json", "{}")
        .file("/srv/app/node_modules/a/node_modules/b/cli.js", "#!/usr/bin/env -S node --no-warnings\n")
        .link("/srv/app/node_modules/.bin/b", "../a/node_modules/b/cli.js");
    let found = run(&tree, "/srv/app/node_modules/.bin/b").unwrap();
    assert_eq!(found.program, "/srv/app/node_modules/a/node_modules/b/cli.js");
    assert_eq!(sources(&found), ["/srv/app/package.json", "/srv/app/node_modules"]);
}

#[test]
fn a_script_in_a_package_gets_the_package() {
    let tree = host().plain("/srv/app/package.json", "{}").file("/srv/app/dist/i.js", "#!/usr/bin/node\n");
    assert_eq!(sources(&run(&tree, "/srv/app/dist/i.js").unwrap()), ["/srv/app"]);
}

#[test]
fn a_package_that_is_a_home_directory_is_not_given_whole() {
    let tree = host().plain("/home/ann/package.json", "{}").file("/home/ann/i.js", "#!/usr/bin/node\n");
    assert_eq!(sources(&run(&tree, "/home/ann/i.js").unwrap()), ["/home/ann/i.js"]);
}

#[test]
fn a_script_of_a_virtual_environment_gets_it_whole_and_keeps_its_path() {
    let tree = host()
        .plain("/srv/venv/pyvenv.cfg", "home = /usr/bin\nversion = 3.11\n")
        .link("/srv/venv/bin/python3", "/usr/bin/python3")
        .link("/srv/venv/bin/python", "python3")
        .file("/srv/venv/bin/srv", "#!/srv/venv/bin/python\n");
    let script = run(&tree, "/srv/venv/bin/srv").unwrap();
    assert_eq!(script.program, "/srv/venv/bin/srv");
    assert_eq!(sources(&script), ["/srv/venv"]);
    let python = run(&tree, "/srv/venv/bin/python").unwrap();
    assert_eq!(python.program, "/srv/venv/bin/python");
    assert_eq!(sources(&python), ["/srv/venv"]);
    assert!(python.inputs.contains(&"/srv/venv/pyvenv.cfg".to_owned()));
}

#[test]
fn a_virtual_environment_of_another_installation_gets_that_one_too() {
    let tree = host()
        .plain("/srv/venv/pyvenv.cfg", "home = /opt/py/3.12/bin\n")
        .dir("/opt/py/3.12/lib")
        .file("/opt/py/3.12/bin/python3.12", ELF)
        .link("/srv/venv/bin/python", "/opt/py/3.12/bin/python3.12");
    let found = run(&tree, "/srv/venv/bin/python").unwrap();
    assert_eq!(sources(&found), ["/srv/venv", "/opt/py/3.12"]);
}

#[test]
fn a_program_elsewhere_is_bound_alone_or_with_its_installation() {
    let tree = host()
        .file("/home/ann/.local/bin/tool", ELF)
        .dir("/home/ann/.local/lib")
        .file("/opt/jdk/17/bin/java", ELF)
        .dir("/opt/jdk/17/lib");
    assert_eq!(sources(&run(&tree, "/home/ann/.local/bin/tool").unwrap()), ["/home/ann/.local/bin/tool"]);
    assert_eq!(sources(&run(&tree, "/opt/jdk/17/bin/java").unwrap()), ["/opt/jdk/17"]);
}

#[test]
fn a_command_that_is_missing_is_named_with_the_path_that_was_searched() {
    let said = run(&host(), "uvx").unwrap_err();
    assert!(
        said.contains("`uvx` is not in /usr/local/bin:/usr/bin:/bin") && said.contains("help: install uvx"),
        "{said}"
    );
}

#[test]
fn a_private_home_on_the_way_is_named_with_the_mend() {
    let tree = host().file("/root/.pyenv/bin/python", ELF).closed("/root");
    let said = run(&tree, "/root/.pyenv/bin/python").unwrap_err();
    assert!(said.contains("may not go through /root") && said.contains("chmod o+x /root"), "{said}");
    let tree = host().file("/srv/run", "#!/root/x/python\n").file("/root/x/python", ELF).closed("/root");
    assert!(run(&tree, "/srv/run").unwrap_err().contains("may not go through /root"));
}

#[test]
fn files_that_cannot_be_executed_are_refused() {
    let tree = host()
        .plain("/srv/data", "x")
        .file("/srv/text", "echo hi\n")
        .dir("/srv/dir")
        .link("/srv/dangling", "nowhere");
    for (command, why) in [
        ("/srv/data", "may not execute"),
        ("/srv/text", "neither a program nor a script"),
        ("/srv/dir", "is not a file"),
        ("/srv/dangling", "/srv/nowhere does not exist"),
        ("./srv", "is not absolute"),
        ("~/srv", "only a shell knows"),
        ("", "is not a command"),
        ("-x", "is not a command"),
    ] {
        let said = run(&tree, command).unwrap_err();
        assert!(said.contains(why) && said.contains("help: "), "{command}: {said}");
    }
}

#[test]
fn shebang_lines_that_would_not_work_are_refused() {
    for (line, why) in [
        ("#!node", "not an absolute path"),
        ("#!/usr/bin/env", "nothing to run"),
        ("#!/usr/bin/env node --x", "space in it"),
        ("#!/usr/bin/env -i node", "space in it"),
        ("#!/usr/bin/env -i", "an option"),
        ("#!/usr/bin/env -S 'no de'", "quotes or expands"),
        ("#!/usr/bin/env deno", "`deno`, which is not in"),
        ("#!/usr/bin/nothing", "/usr/bin/nothing does not exist"),
    ] {
        let tree = host().file("/srv/s", &format!("{line}\n"));
        let said = run(&tree, "/srv/s").unwrap_err();
        assert!(said.contains(why), "{line}: {said}");
    }
    let long = host().file("/srv/s", &format!("#!/usr/bin/{}", "x".repeat(300)));
    assert!(run(&long, "/srv/s").unwrap_err().contains("longer than the kernel reads"));
}

#[test]
fn a_script_that_is_its_own_interpreter_ends() {
    let tree = host().file("/srv/s", "#!/srv/s\n");
    assert!(run(&tree, "/srv/s").unwrap_err().contains("a chain of more than 5 interpreters"));
}

#[test]
fn an_environment_that_is_a_home_directory_is_refused() {
    let tree = host()
        .plain("/home/ann/pyvenv.cfg", "home = /usr/bin\n")
        .link("/home/ann/bin/python", "/usr/bin/python3");
    assert!(run(&tree, "/home/ann/bin/python").unwrap_err().contains("holds a home directory"));
}
