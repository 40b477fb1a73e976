"""The client of PyPI's `mcp` 2.x: one list and one call per cell and mode, one line of JSON each.

    python_client.py JOB.json MODE...

JOB: {"url": ..., "token": ... or null, "cells": [{"server", "path" or "command", "tool", "arguments"}]}
"""

import asyncio
import json
import sys
import traceback

import httpx2
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client

SECONDS_MAX = 60


def transport(job, cell):
    """Where this cell's server is: a command, or a path of the daemon."""
    if "command" in cell:
        program, *arguments = cell["command"]
        return stdio_client(StdioServerParameters(command=program, args=arguments))
    headers = {"Authorization": f"Bearer {job['token']}"} if job["token"] else {}
    http_client = httpx2.AsyncClient(headers=headers, timeout=SECONDS_MAX)
    return streamable_http_client(job["url"] + cell["path"], http_client=http_client)


async def visit(job, cell, mode):
    """One conversation: negotiate, list, call."""
    async with Client(transport(job, cell), mode=mode) as client:
        listed = await client.list_tools()
        result = await client.call_tool(cell["tool"], cell["arguments"])
        text = "\n".join(getattr(block, "text", "") for block in result.content)
        return {
            "version": client.protocol_version,
            "tools": len(listed.tools),
            "text": text,
            "is_error": bool(result.is_error),
        }


async def main(job_file, modes):
    with open(job_file, encoding="utf-8") as file:
        job = json.load(file)
    for mode in modes:
        for cell in job["cells"]:
            seen = {"server": cell["server"], "mode": mode}
            try:
                seen |= await asyncio.wait_for(visit(job, cell, mode), SECONDS_MAX)
            except BaseException as error:  # pylint: disable=broad-except
                seen["error"] = "".join(traceback.format_exception(error))[-2000:]
            print(json.dumps(seen), flush=True)


asyncio.run(main(sys.argv[1], sys.argv[2:]))
