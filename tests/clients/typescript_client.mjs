// The client of npm's `@modelcontextprotocol/sdk` 1.x: one list and one call per cell, one line of JSON each.
//
//     node typescript_client.mjs JOB.json NODE_MODULES
//
// JOB: {"url": ..., "token": ... or null, "cells": [{"server", "path" or "command", "tool", "arguments"}]}

import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [jobFile, modules] = process.argv.slice(2);
const sdk = (file) => import(pathToFileURL(`${modules}/@modelcontextprotocol/sdk/dist/esm/client/${file}`));
const { Client } = await sdk("index.js");
const { StreamableHTTPClientTransport } = await sdk("streamableHttp.js");
const { StdioClientTransport } = await sdk("stdio.js");

const job = JSON.parse(readFileSync(jobFile, "utf8"));

function transport(cell) {
  if (cell.command) {
    return new StdioClientTransport({ command: cell.command[0], args: cell.command.slice(1) });
  }
  const headers = job.token ? { Authorization: `Bearer ${job.token}` } : {};
  return new StreamableHTTPClientTransport(new URL(job.url + cell.path), { requestInit: { headers } });
}

async function visit(cell) {
  const client = new Client({ name: "only1mcp-tests", version: "1" });
  const connection = transport(cell);
  await client.connect(connection);
  try {
    const { tools } = await client.listTools();
    const result = await client.callTool({ name: cell.tool, arguments: cell.arguments });
    const text = result.content.map((block) => block.text ?? "").join("\n");
    const version = connection.protocolVersion ?? null;
    return { version, tools: tools.length, text, is_error: Boolean(result.isError) };
  } finally {
    await client.close();
  }
}

for (const cell of job.cells) {
  const seen = { server: cell.server, mode: "legacy" };
  try {
    Object.assign(seen, await visit(cell));
  } catch (error) {
    seen.error = String(error?.stack ?? error);
  }
  console.log(JSON.stringify(seen));
}
process.exit(0);
