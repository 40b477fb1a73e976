#!/usr/bin/env python3
"""Records what real MCP servers answer to `tools/list`, as test data.

    python3 tests/context/record.py FOLDER [ID ...]

Each server of SERVERS (or only those named) is started over stdio, without a
network and with a temporary home, and asked for its tools the way a client of
revision 2025-11-25 without capabilities asks. They are written as they were
sent to recorded/ID.json, {"tools":[...]} on one line; only paths of the
machine become /data. The table of recorded/README.md is kept by hand.

FOLDER holds the installed packages, each server's in a folder named by its id:

    npm i --prefix FOLDER/ID --ignore-scripts PACKAGE@VERSION
    python3 -m venv FOLDER/ID && FOLDER/ID/bin/pip install PACKAGE==VERSION

(`sqlite` also needs 'mcp<2'; set PUPPETEER_SKIP_DOWNLOAD=1 and
PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1: no browser is needed to list tools.)
Needs Linux, unshare, git and node 20 or later. Credentials are dummies.
"""
import importlib.metadata
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from typing import NamedTuple

RECORDED = pathlib.Path(__file__).resolve().parent / "recorded"
LIMIT = 60  # seconds for one server
# Some servers describe the machine they run on: none shall see a host name or the mark of a container.
SANDBOX = ["unshare", "-rnmu", "sh", "-ec", """
hostname localhost
mount -t tmpfs none /mnt
for entry in /*; do
    if [ -L "$entry" ]; then cp -P "$entry" /mnt
    elif [ -d "$entry" ]; then mkdir "/mnt$entry"; [ "$entry" = /mnt ] || mount --rbind "$entry" "/mnt$entry"; fi
done
exec chroot /mnt env -C "$HOME" "$@"
""", "sandbox"]
MCP = "@modelcontextprotocol/server-"


class Server(NamedTuple):
    id: str
    registry: str  # npm or pypi
    package: str
    version: str
    licence: str  # recorded/README.md says where it was seen
    argv: list  # the program, in the package (npm) or in bin (pypi), and its arguments
    env: dict = {}  # {data} here and in argv is the temporary home


SERVERS = [
    # These need no credentials.
    Server("aws-docs", "pypi", "awslabs.aws-documentation-mcp-server", "1.2.3", "Apache-2.0",
           ["awslabs.aws-documentation-mcp-server"]),
    Server("browsermcp", "npm", "@browsermcp/mcp", "0.1.3", "Apache-2.0", ["dist/index.js"]),
    Server("chrome-devtools", "npm", "chrome-devtools-mcp", "1.11.0", "Apache-2.0",
           ["build/src/bin/chrome-devtools-mcp.js", "--headless", "--isolated", "--no-usage-statistics"]),
    Server("context7", "npm", "@upstash/context7-mcp", "4.1.1", "MIT", ["dist/index.js"]),
    Server("desktop-commander", "npm", "@wonderwhy-er/desktop-commander", "0.2.52", "MIT", ["dist/index.js"]),
    Server("everything", "npm", MCP + "everything", "2026.8.31", "MIT", ["dist/index.js"]),
    Server("fetch", "pypi", "mcp-server-fetch", "2026.10.24", "MIT", ["mcp-server-fetch"]),
    Server("filesystem", "npm", MCP + "filesystem", "2026.8.31", "MIT", ["dist/index.js", "{data}"]),
    Server("git", "pypi", "mcp-server-git", "2026.10.19", "MIT", ["mcp-server-git", "--repository", "{data}"]),
    Server("kubernetes", "npm", "mcp-server-kubernetes", "4.1.7", "MIT", ["dist/index.js"]),
    Server("memory", "npm", MCP + "memory", "2026.8.31", "MIT", ["dist/index.js"],
           {"MEMORY_FILE_PATH": "{data}/memory.json"}),
    Server("mongodb", "npm", "mongodb-mcp-server", "3.0.4", "Apache-2.0", ["dist/esm/index.js"],
           {"MDB_MCP_TELEMETRY": "disabled"}),
    Server("motherduck", "pypi", "mcp-server-motherduck", "1.1.0", "MIT",
           ["mcp-server-motherduck", "--db-path", ":memory:", "--read-write"]),
    Server("n8n", "npm", "n8n-mcp", "2.87.0", "MIT", ["dist/mcp/stdio-wrapper.js"],
           {"MCP_MODE": "stdio", "N8N_MCP_TELEMETRY_DISABLED": "true", "DISABLE_CONSOLE_OUTPUT": "true"}),
    Server("playwright", "npm", "@playwright/mcp", "0.0.83", "Apache-2.0", ["cli.js", "--headless"]),
    Server("puppeteer", "npm", MCP + "puppeteer", "2025.5.12", "MIT", ["dist/index.js"]),
    Server("sequential-thinking", "npm", MCP + "sequential-thinking", "2026.8.31", "MIT", ["dist/index.js"]),
    Server("shopify-dev", "npm", "@shopify/dev-mcp", "1.16.0", "ISC", ["dist/index.js"],
           {"OPT_OUT_INSTRUMENTATION": "true"}),
    Server("sqlite", "pypi", "mcp-server-sqlite", "2025.4.25", "MIT",
           ["mcp-server-sqlite", "--db-path", "{data}/test.db"]),
    Server("time", "pypi", "mcp-server-time", "2026.10.19", "MIT", ["mcp-server-time"]),
    # These start only when given credentials; nothing checks them before the first call.
    Server("airtable", "npm", "airtable-mcp-server", "1.14.0", "MIT", ["dist/main.js"], {"AIRTABLE_API_KEY": "dummy"}),
    Server("atlassian", "pypi", "mcp-atlassian", "0.23.1", "MIT", ["mcp-atlassian"],
           {"JIRA_URL": "https://example.com", "JIRA_USERNAME": "dummy", "JIRA_API_TOKEN": "dummy",
            "CONFLUENCE_URL": "https://example.com", "CONFLUENCE_USERNAME": "dummy", "CONFLUENCE_API_TOKEN": "dummy"}),
    Server("brave-search", "npm", MCP + "brave-search", "0.6.2", "MIT", ["dist/index.js"], {"BRAVE_API_KEY": "dummy"}),
    Server("brightdata", "npm", "@brightdata/mcp", "2.11.3", "MIT", ["server.js"], {"API_TOKEN": "dummy"}),
    Server("exa", "npm", "exa-mcp-server", "3.4.1", "MIT", ["dist/stdio.cjs"], {"EXA_API_KEY": "dummy"}),
    Server("figma", "npm", "figma-developer-mcp", "0.13.2", "MIT", ["dist/bin.js", "--stdio", "--figma-api-key=dummy"]),
    Server("firecrawl", "npm", "firecrawl-mcp", "3.26.0", "MIT", ["dist/index.js"], {"FIRECRAWL_API_KEY": "dummy"}),
    Server("github", "npm", MCP + "github", "2025.4.8", "MIT", ["dist/index.js"],
           {"GITHUB_PERSONAL_ACCESS_TOKEN": "dummy"}),
    Server("gitlab", "npm", MCP + "gitlab", "2025.4.25", "MIT", ["dist/index.js"],
           {"GITLAB_PERSONAL_ACCESS_TOKEN": "dummy"}),
    Server("hubspot", "npm", "@hubspot/mcp-server", "0.4.0", "MIT", ["dist/index.js"],
           {"PRIVATE_APP_ACCESS_TOKEN": "dummy"}),
    Server("notion", "npm", "@notionhq/notion-mcp-server", "2.5.2", "MIT", ["bin/cli.mjs"], {"NOTION_TOKEN": "dummy"}),
    Server("postgres", "npm", MCP + "postgres", "0.6.2", "MIT", ["dist/index.js", "postgresql://127.0.0.1/none"]),
    Server("slack", "npm", MCP + "slack", "2025.4.25", "MIT", ["dist/index.js"],
           {"SLACK_BOT_TOKEN": "dummy", "SLACK_TEAM_ID": "dummy"}),
    Server("tavily", "npm", "tavily-mcp", "0.2.22", "MIT", ["build/index.js"], {"TAVILY_API_KEY": "dummy"}),
]


def ask(process, id, method, params):
    """The result of one request; what the server says or asks meanwhile is passed over."""
    def send(message):
        process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
        process.stdin.flush()
    send({"id": id, "method": method, "params": params})
    for line in process.stdout:
        message = json.loads(line)
        if "method" in message:
            if message["method"] == "ping":
                send({"id": message["id"], "result": {}})
        elif message.get("id") == id:
            if "error" in message:
                raise RuntimeError(f"{method}: {message['error']}")
            if method == "initialize":
                send({"method": "notifications/initialized"})
            return message["result"]
    raise RuntimeError(f"no answer to {method}")


def list_tools(process):
    ask(process, 1, "initialize", {"protocolVersion": "2025-11-25", "capabilities": {},
                                   "clientInfo": {"name": "record", "version": "1"}})
    tools, params = [], {}
    for id in range(2, 1000):
        result = ask(process, id, "tools/list", params)
        tools += result["tools"]
        if not result.get("nextCursor"):
            return tools
        params = {"cursor": result["nextCursor"]}
    raise RuntimeError("no end of tools/list")


def record(server, folder):
    installed = folder / server.id
    program, *arguments = server.argv
    if server.registry == "npm":
        package = installed / "node_modules" / server.package
        version = json.loads((package / "package.json").read_text())["version"]
        command = [shutil.which("node"), str(package / program)]
    else:
        site = str(next(installed.glob("lib/*/site-packages")))
        version = next(importlib.metadata.distributions(name=server.package, path=[site])).version
        command = [str(installed / "bin" / program)]
    if version != server.version:
        raise RuntimeError(f"installed is version {version}")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as data, tempfile.TemporaryFile() as errors:
        subprocess.run(["git", "init", "-q", data], check=True)
        env = {"PATH": os.environ["PATH"], "HOME": data, "TMPDIR": data, "TZ": "UTC", "LANG": "C.UTF-8",
               "PYTHONHASHSEED": "0", **{name: value.format(data=data) for name, value in server.env.items()}}
        command = [*SANDBOX, *command, *(argument.format(data=data) for argument in arguments)]
        process = subprocess.Popen(command, cwd=data, env=env, start_new_session=True,
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors)
        limit = threading.Timer(LIMIT, os.killpg, (process.pid, signal.SIGKILL))
        limit.start()
        try:
            tools = list_tools(process)
        except Exception as error:
            errors.seek(0)
            said = errors.read().decode(errors="replace").strip().splitlines()
            raise RuntimeError(" | ".join([str(error), *said[-3:]])) from error
        finally:
            limit.cancel()
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    text = json.dumps({"tools": tools}, ensure_ascii=False, separators=(",", ":")) + "\n"
    for path in (data, str(folder), str(pathlib.Path.home())):
        text = text.replace(path, "/data")
    (RECORDED / f"{server.id}.json").write_text(text, encoding="utf-8")
    print(f"{server.id}: {len(tools)} tools, {len(text.encode())} bytes")


def main():
    folder, names = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2:]
    servers = {server.id: server for server in SERVERS}
    failed = False
    for id in names or servers:
        try:
            record(servers[id], folder)
        except Exception as error:
            failed = True
            print(f"{id}: {error!r}", file=sys.stderr)
    sys.exit(failed)


if __name__ == "__main__":
    main()
