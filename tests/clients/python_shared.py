"""What both Python clients share: what their user and their model say, and how a job is done."""

import asyncio
import json
import traceback

from mcp.types import CreateMessageResult, ElicitResult, TextContent

SECONDS_MAX = 60
# Seconds after which a call is given up that shall be.
PATIENCE = 0.5


async def elicited(_context, _params):
    """What the user of this client says."""
    content = {"name": "Ada", "username": "Ada", "email": "ada@example.com"}
    return ElicitResult(action="accept", content=content)


async def sampled(_context, _params):
    """What the model of this client says."""
    said = TextContent(type="text", text="said by the model")
    return CreateMessageResult(role="assistant", content=said, model="none")


def abilities(cell):
    """The callbacks of a client that shall be able to answer."""
    return {"elicitation_callback": elicited, "sampling_callback": sampled} if cell.get("acts") else {}


def text_of(result):
    """The text of a call's result."""
    return "\n".join(getattr(block, "text", "") for block in result.content)


async def do(job_file, modes, visit):
    """One line of JSON for each cell and mode: what `visit` saw there, or why it saw nothing."""
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
