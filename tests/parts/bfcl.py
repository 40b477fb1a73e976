#!/usr/bin/env python3
"""Makes tools and questions of the Berkeley function calling leaderboard (PyPI `bfcl-eval`, Apache-2.0).

    bfcl.py DATA OUT      DATA is `bfcl_eval/data` of the package

Writes for each of two sets, `measured` and `tuning`, OUT/SET.tools.json, the functions as an MCP server lists tools,
and OUT/SET.questions.jsonl, one question on a line with the names of the tools that answer it. No question of
`measured` is among those of `tuning`; its tools are, as ones that must not be found. A name stands for the first
function that has it.
"""

import json
import pathlib
import sys

MEASURED = ("live_multiple", "multiple", "live_simple", "simple_python")
TUNING = ("parallel", "parallel_multiple", "live_parallel", "live_parallel_multiple", "simple_java", "simple_javascript")
# As the leaderboard names types, and as JSON Schema does.
TYPES = {"dict": "object", "float": "number", "tuple": "array", "any": None}


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def schema(value):
    """A schema with the types of JSON Schema."""
    if isinstance(value, list):
        return [schema(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    mended = {key: schema(entry) for key, entry in value.items()}
    if isinstance(value.get("type"), str):
        kind = TYPES.get(value["type"].lower(), value["type"].lower())
        if kind is None:
            del mended["type"]
        else:
            mended["type"] = kind
    return mended


def tool(function):
    parameters = function.get("parameters") or {"type": "dict", "properties": {}}
    return {"name": function["name"], "description": function.get("description") or "", "inputSchema": schema(parameters)}


def asked(turns):
    return "\n".join(message["content"] for turn in turns for message in turn if message["role"] == "user")


def gather(data, categories, tools):
    """The questions of these categories; their functions become tools."""
    questions = []
    for category in categories:
        answers = {entry["id"]: entry["ground_truth"] for entry in lines(data / f"possible_answer/BFCL_v4_{category}.json")}
        for entry in lines(data / f"BFCL_v4_{category}.json"):
            for function in entry["function"]:
                tools.setdefault(function["name"], tool(function))
            right = sorted({name for answer in answers[entry["id"]] for name in answer})
            questions.append({"category": category, "question": asked(entry["question"]), "answers": right})
    return questions


def write(out, name, tools, questions):
    known = [question for question in questions if any(answer in tools for answer in question["answers"])]
    (out / f"{name}.tools.json").write_text(json.dumps({"tools": list(tools.values())}, ensure_ascii=False) + "\n")
    text = "".join(json.dumps(question, ensure_ascii=False) + "\n" for question in known)
    (out / f"{name}.questions.jsonl").write_text(text)
    print(f"{name}: {len(tools)} tools, {len(known)} questions")


def main():
    data, out = map(pathlib.Path, sys.argv[1:3])
    out.mkdir(parents=True, exist_ok=True)
    measured, tuning = {}, {}
    questions = gather(data, MEASURED, measured)
    write(out, "measured", measured, questions)
    others = gather(data, TUNING, tuning)
    for name, definition in measured.items():
        tuning.setdefault(name, definition)
    write(out, "tuning", tuning, others)


main()
