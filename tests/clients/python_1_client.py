"""The client of PyPI's `mcp` 1.x: one conversation per cell, one line of JSON each.

    python_1_client.py JOB.json

JOB: as python_client.py reads it.
"""

import asyncio
import contextlib
import sys

import anyio
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamablehttp_client
from mcp.types import (
    CancelledNotification,
    CancelledNotificationParams,
    ClientNotification,
    ResourceUpdatedNotification,
    ServerNotification,
)
from python_shared import PATIENCE, abilities, do, text_of


@contextlib.asynccontextmanager
async def transport(job, cell):
    """Where this cell's server is: a command, or a path of the daemon."""
    if "command" in cell:
        program, *arguments = cell["command"]
        async with stdio_client(StdioServerParameters(command=program, args=arguments)) as streams:
            yield streams
    else:
        headers = {"Authorization": f"Bearer {job['token']}"} if job["token"] else {}
        async with streamablehttp_client(job["url"] + cell["path"], headers=headers) as streams:
            yield streams[:2]


async def ask(session, act, _updates):
    return text_of(await session.call_tool(act["tool"], act["arguments"]))


async def progress(session, act, _updates):
    told = []

    async def tell(done, _total, _message):
        told.append(done)

    await session.call_tool(act["tool"], act["arguments"], progress_callback=tell)
    return told


async def subscribe(session, act, updates):
    await session.subscribe_resource(act["uri"])
    # Twice: one of the servers has its updates switched on and off by the same tool.
    await ask(session, act, updates)
    await ask(session, act, updates)
    return await updates.get()


async def cancel(session, act, _updates):
    # This client leaves it to its user to say that a call is given up.
    number = session._request_id  # pylint: disable=protected-access
    with anyio.move_on_after(PATIENCE) as scope:
        await session.call_tool(act["tool"], act["arguments"])
    given_up = CancelledNotification(params=CancelledNotificationParams(requestId=number))
    await session.send_notification(ClientNotification(given_up))
    # Else this client would be closed while it reads what became of the call, which it does not bear.
    await session.send_ping()
    return "given up" if scope.cancelled_caught else "answered"


ACTS = {"elicit": ask, "sample": ask, "progress": progress, "subscribe": subscribe, "cancel": cancel}


async def visit(job, cell, _mode):
    """One conversation: negotiate, list, call, and whatever acts the cell names."""
    updates = asyncio.Queue()

    async def heard(message):
        if isinstance(message, ServerNotification) and isinstance(message.root, ResourceUpdatedNotification):
            updates.put_nowait(str(message.root.params.uri))

    async with transport(job, cell) as (reader, writer):
        async with ClientSession(reader, writer, message_handler=heard, **abilities(cell)) as session:
            hello = await session.initialize()
            listed = await session.list_tools()
            result = await session.call_tool(cell["tool"], cell["arguments"])
            acts = {}
            for act in cell.get("acts", []):
                acts[act["act"]] = await ACTS[act["act"]](session, act, updates)
            return {
                "version": hello.protocolVersion,
                "tools": len(listed.tools),
                "text": text_of(result),
                "is_error": bool(result.isError),
                "acts": acts,
            }


asyncio.run(do(sys.argv[1], ["legacy"], visit))
