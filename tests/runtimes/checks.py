"""An MCP server whose one tool, `check`, tries what a sandbox breaks in CPython, and tells what happened."""

import json
import os
import sys
import traceback


def lock():
    import multiprocessing

    with multiprocessing.Lock():
        return "lock held"


def pool():
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor(2) as executor:
        return f"pool {sum(executor.map(abs, [-20, -22]))}"


def threads():
    import threading

    seen = []
    all_threads = [threading.Thread(target=seen.append, args=(number,)) for number in range(8)]
    for thread in all_threads:
        thread.start()
    for thread in all_threads:
        thread.join(10)
    return f"threads {len(seen)}"


def child():
    import subprocess

    return "child " + subprocess.run(["/bin/sh", "-c", "echo $((40 + 2))"], capture_output=True, text=True, check=True).stdout.strip()


def stopped():
    import select
    import signal
    import time

    process = os.fork()
    if process == 0:
        begun = time.monotonic()
        try:
            # Once it goes on, the kernel has it wait for the rest by a system call of its own.
            select.poll().poll(600)
        except OSError as error:
            os._exit(error.errno)
        os._exit(0 if time.monotonic() - begun > 0.5 else 1)
    time.sleep(0.2)
    os.kill(process, signal.SIGSTOP)
    os.waitpid(process, os.WUNTRACED)
    os.kill(process, signal.SIGCONT)
    return f"stopped {os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])}"


def tls():
    import ssl

    return f"tls authorities {len(ssl.create_default_context().get_ca_certs()) > 50}"


def files():
    import tempfile

    with tempfile.NamedTemporaryFile("w+") as file:
        file.write("written")
        file.seek(0)
        return f"files {file.name.startswith('/tmp/')} {file.read()}"


def user():
    import getpass
    import pwd

    return f"user {getpass.getuser()} {pwd.getpwuid(os.getuid()).pw_name} home {os.path.expanduser('~')}"


def shared_memory():
    from multiprocessing import shared_memory as shared

    block = shared.SharedMemory(create=True, size=16)
    block.buf[0] = 42
    value = block.buf[0]
    block.close()
    block.unlink()
    return f"shared {value}"


def event_loop():
    import asyncio

    async def both():
        process = await asyncio.create_subprocess_exec("/bin/echo", "loop", stdout=asyncio.subprocess.PIPE)
        return (await process.communicate())[0].decode().strip()

    return "event " + asyncio.run(both())


def zone():
    import zoneinfo

    return f"zone {zoneinfo.ZoneInfo('Europe/Berlin')}"


def sqlite():
    import sqlite3

    with sqlite3.connect("check.db") as connection:
        connection.execute("create table if not exists t (x)")
        connection.execute("insert into t values (42)")
        return f"sqlite {connection.execute('select max(x) from t').fetchone()[0]}"


def fetch():
    import urllib.request

    try:
        urllib.request.urlopen("http://example.com/", timeout=20)
        return "fetch worked"
    except OSError as error:
        return f"fetch failed {error}"


CHECKS = {check.__name__: check for check in (lock, pool, threads, child, stopped, tls, files, user, shared_memory, event_loop, zone, sqlite, fetch)}


def call(what):
    try:
        return CHECKS[what]()
    except BaseException:
        return "broken: " + traceback.format_exc()


def answer(request):
    method, params = request["method"], request.get("params", {})
    if method == "initialize":
        info = {"name": "python-checks", "version": "1"}
        return {"protocolVersion": params["protocolVersion"], "capabilities": {"tools": {}}, "serverInfo": info}
    if method == "tools/list":
        schema = {"type": "object", "properties": {"what": {"type": "string", "enum": list(CHECKS)}}}
        return {"tools": [{"name": "check", "description": "Tries it", "inputSchema": schema}]}
    if method == "tools/call":
        return {"content": [{"type": "text", "text": call(params["arguments"]["what"])}]}
    return {} if method == "ping" else None


def main():
    for line in sys.stdin:
        request = json.loads(line)
        if "id" not in request:
            continue
        result = answer(request)
        error = {"code": -32601, "message": "Method not found: " + request["method"]}
        body = {"error": error} if result is None else {"result": result}
        print(json.dumps({"jsonrpc": "2.0", "id": request["id"], **body}), flush=True)


if __name__ == "__main__":
    main()
