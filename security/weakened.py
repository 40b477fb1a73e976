#!/usr/bin/python3
"""Takes one wall away at a time and runs the escape suite: it must turn red, with the attempts named here.

Run by hand: python3 security/weakened.py (builds the launcher once per wall, some five minutes in all). The
launcher is changed in a copy of the sources; a change that no longer fits the sources is an error.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROGRAMS = ["only1mcp", "only1mcp-init", "only1mcp-compile", "only1mcp-probe", "only1mcp-builtin"]

# wall: the files, what to replace and by what, and which attempts (or facts) must fail at least.
WALLS = {
    "seccomp": (
        [("confine/seccomp.rs",
          "filter::install(&self.allowed).at(Step::Seccomp)?;\n        filter::install(&self.absent).at(Step::Seccomp)",
          "let _ = (&self.allowed, &self.absent, filter::install);\n        Ok(())")],
        {"C01", "K01", "K02", "K04", "K05", "K06", "K08", "K10", "K21", "N03", "N05", "P01", "P02"}),
    "landlock": (
        [("confine/landlock.rs", "    let abi = ABI::from(i32::from(abi));",
          "    if abi > 0 {\n        return Ok(());\n    }\n    let abi = ABI::from(i32::from(abi));")],
        {"C04", "F11"}),
    "network namespace": (
        [("kernel/clone.rs", "    | libc::CLONE_NEWNET\n", ""),
         ("confine/namespaces.rs", 'network::loopback_up().at_subject(Step::Identity, "loopback")?;',
          "let _ = network::loopback_up;")],
        {"N01", "N02", "N18", "L04", "network namespace"}),
    "ipc namespace": ([("kernel/clone.rs", "    | libc::CLONE_NEWIPC\n", "")], {"ipc namespace"}),
    "read-only binds": (
        [("confine/root.rs", ".and_if(Attributes::READ_ONLY, !bind.writable)", "")],
        {"F08", "F10", "mount of /usr"}),
    "small /proc": (
        [("confine/root.rs", 'let options = [(c"hidepid", c"invisible"), (c"subset", c"pid")];',
          'let options = [(c"hidepid", c"off")];')],
        {"C10", "L03", "P20"}),
    "umask": (
        [("confine/session.rs", "Mode::from_bits_truncate(0o077)", "Mode::from_bits_truncate(0o022)")],
        {"C14"}),
}


def main():
    run(["cargo", "build", "--quiet"], ROOT, {})
    red = True
    with tempfile.TemporaryDirectory(dir="/var/tmp") as directory:
        os.chmod(directory, 0o755)
        for wall, (changes, expected) in WALLS.items():
            programs = weaken(pathlib.Path(directory), changes)
            failed = attack(programs)
            missing = expected - failed
            red = red and not missing
            verdict = f"NOT CAUGHT by {sorted(missing)}" if missing else "caught"
            print(f"without {wall}: {verdict}; red: {' '.join(sorted(failed))}", flush=True)
    sys.exit(0 if red else 1)


def weaken(directory, changes):
    """The programs, with a launcher that lacks a wall."""
    sources = directory / "sources"
    shutil.rmtree(sources, ignore_errors=True)
    shutil.copytree(ROOT, sources, ignore=shutil.ignore_patterns("target", ".git"))
    for name, old, new in changes:
        path = sources / "launcher" / "src" / name
        text = path.read_text()
        if old not in text:
            sys.exit(f"{name}: the text to replace is gone: {old!r}")
        path.write_text(text.replace(old, new, 1))
    run(["cargo", "build", "--quiet", "-p", "only1mcp-launcher"], sources, {"CARGO_TARGET_DIR": str(directory / "target")})
    programs = directory / "programs"
    programs.mkdir(exist_ok=True)
    for name in PROGRAMS:
        shutil.copy2(ROOT / "target" / "debug" / name, programs / name)
    shutil.copy2(directory / "target" / "debug" / "only1mcp-launcher", programs)
    return programs


def attack(programs):
    """Which attempts and which facts of `status` fail."""
    command = ["cargo", "test", "--quiet", "-p", "only1mcp-escape", "--test", "walls", "user_mode", "--", "--test-threads", "1"]
    ended = subprocess.run(command, cwd=ROOT, env={**os.environ, "ONLY1MCP_BIN_DIR": str(programs)}, capture_output=True, text=True)
    attempts = re.findall(r"^native ([A-Z][\w.]+): ", ended.stdout, re.MULTILINE)
    facts = re.findall(r"^native: (.*): said and enforced differ", ended.stdout, re.MULTILINE)
    if "triples" not in ended.stdout:
        sys.exit(f"the suite did not run:\n{ended.stdout}\n{ended.stderr}")
    return set(attempts) | set(facts)


def run(command, directory, environment):
    ended = subprocess.run(command, cwd=directory, env={**os.environ, **environment}, capture_output=True, text=True)
    if ended.returncode != 0:
        sys.exit(f"{command}: {ended.stderr}")


main()
