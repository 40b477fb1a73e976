"""The client of PyPI's `mcp` 2.x: one conversation per cell and mode, one line of JSON each.

    python_client.py JOB.json MODE...

JOB: {"url": ..., "token": ... or null, "cells": [{"server", "path" or "command", "tool", "arguments", "acts"}]}
An act is {"act", "tool", "arguments"} and, where something is watched, "uri".
"""

import asyncio
import json
import sys
import traceback

import httpx2
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CreateMessageResult, ElicitResult, ResourceUpdatedNotification, TextContent

SECONDS_MAX = 60
PATIENCE = 0.5


def transport(job, cell):
    """Where this cell's server is: a command, or a path of the daemon."""
    if "command" in cell:
        program, *arguments = cell["command"]
        return stdio_client(StdioServerParameters(command=program, args=arguments))
    headers = {"Authorization": f"Bearer {job['token']}"} if job["token"] else {}
    http_client = httpx2.AsyncClient(headers=headers, timeout=SECONDS_MAX)
    return streamable_http_client(job["url"] + cell["path"], http_client=http_client)


async def elicited(_context, _params):
    """What the user of this client says."""
    content = {"name": "Ada", "username": "Ada", "email": "ada@example.com"}
    return ElicitResult(action="accept", content=content)


async def sampled(_context, _params):
    """What the model of this client says."""
    return CreateMessageResult(
        role="assistant", content=TextContent(type="text", text="said by the model"), model="none"
    )


def text_of(result):
    return "\n".join(getattr(block, "text", "") for block in result.content)


async def call(client, act):
    return text_of(await client.call_tool(act["tool"], act["arguments"]))


async def progress(client, act, _updates):
    told = []

    async def tell(done, _total, _message):
        told.append(done)

    await client.call_tool(act["tool"], act["arguments"], progress_callback=tell)
    return told


async def subscribe(client, act, updates):
    # Twice: one of the servers has its updates switched on and off by the same tool.
    if client.protocol_version < "2026":
        await client.subscribe_resource(act["uri"])
        await call(client, act)
        await call(client, act)
        return await updates.get()
    async with client.listen(resource_subscriptions=[act["uri"]]) as listening:
        await call(client, act)
        await call(client, act)
        async for event in listening:
            return str(event.uri)


async def cancel(client, act, _updates):
    try:
        await client.call_tool(act["tool"], act["arguments"], read_timeout_seconds=PATIENCE)
        return "answered"
    except Exception:  # pylint: disable=broad-except
        # Else this client would be closed while it reads what became of the call, which it does not bear.
        await client.list_tools()
        return "given up"


async def ask(client, act, _updates):
    return await call(client, act)


ACTS = {"elicit": ask, "sample": ask, "progress": progress, "subscribe": subscribe, "cancel": cancel}


async def visit(job, cell, mode):
    """One conversation: negotiate, list, call, and whatever acts the cell names."""
    updates = asyncio.Queue()

    async def heard(message):
        if isinstance(message, ResourceUpdatedNotification):
            updates.put_nowait(str(message.params.uri))

    able = {"elicitation_callback": elicited, "sampling_callback": sampled} if cell.get("acts") else {}
    async with Client(transport(job, cell), mode=mode, message_handler=heard, **able) as client:
        listed = await client.list_tools()
        result = await client.call_tool(cell["tool"], cell["arguments"])
        acts = {}
        for act in cell.get("acts", []):
            acts[act["act"]] = await ACTS[act["act"]](client, act, updates)
        return {
            "version": client.protocol_version,
            "tools": len(listed.tools),
            "text": text_of(result),
            "is_error": bool(result.is_error),
            "acts": acts,
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
