"""The client of PyPI's `mcp` 2.x: one conversation per cell and mode, one line of JSON each.

    python_client.py JOB.json MODE...

JOB: {"url": ..., "token": ... or null, "cells": [{"server", "path" or "command", "tool", "arguments", "acts"}]}
An act is {"act", "tool", "arguments"} and, where something is watched, "uri".
"""

import asyncio
import sys

import httpx2
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import ResourceUpdatedNotification
from python_shared import PATIENCE, SECONDS_MAX, abilities, do, text_of


def transport(job, cell):
    """Where this cell's server is: a command, or a path of the daemon."""
    if "command" in cell:
        program, *arguments = cell["command"]
        return stdio_client(StdioServerParameters(command=program, args=arguments))
    headers = {"Authorization": f"Bearer {job['token']}"} if job["token"] else {}
    http_client = httpx2.AsyncClient(headers=headers, timeout=SECONDS_MAX)
    return streamable_http_client(job["url"] + cell["path"], http_client=http_client)


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

    async with Client(transport(job, cell), mode=mode, message_handler=heard, **abilities(cell)) as client:
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


asyncio.run(do(sys.argv[1], sys.argv[2:], visit))
