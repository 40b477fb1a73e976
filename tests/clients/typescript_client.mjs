// The clients of npm's `@modelcontextprotocol/sdk` 1.x and `@modelcontextprotocol/client` 2.x: one conversation per cell,
// one line of JSON each.
//
//     node typescript_client.mjs JOB.json NODE_MODULES MODE
//
// JOB: as python_client.py reads it. MODE: `1` is the first line of the SDK; `legacy`, `auto` and a revision are modes of
// the second.

import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [jobFile, modules, mode] = process.argv.slice(2);
const load = (file) => import(pathToFileURL(`${modules}/@modelcontextprotocol/${file}`));
const job = JSON.parse(readFileSync(jobFile, "utf8"));
const PATIENCE = 500;

const elicited = () => ({
  action: "accept",
  content: { name: "Ada", username: "Ada", email: "ada@example.com" },
});
const sampled = () => ({
  role: "assistant",
  content: { type: "text", text: "said by the model" },
  model: "none",
});
const ABLE = { elicitation: { form: {} }, sampling: {} };

/** What differs between the two lines of the SDK. */
async function first() {
  const { Client } = await load("sdk/dist/esm/client/index.js");
  const { StreamableHTTPClientTransport } = await load("sdk/dist/esm/client/streamableHttp.js");
  const { StdioClientTransport } = await load("sdk/dist/esm/client/stdio.js");
  const types = await load("sdk/dist/esm/types.js");
  return {
    StreamableHTTPClientTransport,
    StdioClientTransport,
    client: (capabilities) => new Client({ name: "only1mcp-tests", version: "1" }, { capabilities }),
    version: (_client, connection) => connection.protocolVersion ?? null,
    answerElicitation: (client) => client.setRequestHandler(types.ElicitRequestSchema, elicited),
    answerSampling: (client) => client.setRequestHandler(types.CreateMessageRequestSchema, sampled),
    onUpdate: (client, take) => client.setNotificationHandler(types.ResourceUpdatedNotificationSchema, take),
    call: (client, params, options) => client.callTool(params, undefined, options),
  };
}

async function second() {
  const { Client, StreamableHTTPClientTransport } = await load("client/dist/index.mjs");
  const { StdioClientTransport } = await load("client/dist/stdio.mjs");
  const versionNegotiation = { mode: mode.startsWith("20") ? { pin: mode } : mode };
  return {
    StreamableHTTPClientTransport,
    StdioClientTransport,
    client: (capabilities) =>
      new Client({ name: "only1mcp-tests", version: "1" }, { capabilities, versionNegotiation }),
    version: (client) => client.getNegotiatedProtocolVersion() ?? null,
    answerElicitation: (client) => client.setRequestHandler("elicitation/create", elicited),
    answerSampling: (client) => client.setRequestHandler("sampling/createMessage", sampled),
    onUpdate: (client, take) => client.setNotificationHandler("notifications/resources/updated", take),
    call: (client, params, options) => client.callTool(params, options),
  };
}

const sdk = await (mode === "1" ? first() : second());

function transport(cell) {
  if (cell.command) {
    return new sdk.StdioClientTransport({ command: cell.command[0], args: cell.command.slice(1) });
  }
  const headers = job.token ? { Authorization: `Bearer ${job.token}` } : {};
  return new sdk.StreamableHTTPClientTransport(new URL(job.url + cell.path), { requestInit: { headers } });
}

const textOf = (result) => result.content.map((block) => block.text ?? "").join("\n");

async function ask(client, { tool, arguments: given }) {
  return textOf(await sdk.call(client, { name: tool, arguments: given }));
}

const acts = {
  elicit: ask,
  sample: ask,
  async progress(client, { tool, arguments: given }) {
    const told = [];
    const onprogress = ({ progress }) => told.push(progress);
    await sdk.call(client, { name: tool, arguments: given }, { onprogress });
    return told;
  },
  async subscribe(client, act) {
    const updated = new Promise((resolve) => sdk.onUpdate(client, ({ params }) => resolve(params.uri)));
    if (client.getProtocolEra?.() === "modern") {
      await client.listen({ resourceSubscriptions: [act.uri] });
    } else {
      await client.subscribeResource({ uri: act.uri });
    }
    // Twice: one of the servers has its updates switched on and off by the same tool.
    await ask(client, act);
    await ask(client, act);
    return updated;
  },
  /** Work that outlives its call, as 2025-11-25 has it: only the first line of the SDK speaks it. */
  async task(client, { tool, arguments: given }) {
    const seen = [];
    const call = client.experimental.tasks.callToolStream({ name: tool, arguments: given }, undefined, { task: { ttl: 60_000 } });
    for await (const message of call) {
      if (message.type === "error") throw message.error;
      if (message.type === "taskCreated") seen.push(message.task.taskId);
      if (message.type === "result") seen.push(textOf(message.result));
    }
    return seen;
  },
  async cancel(client, { tool, arguments: given }) {
    const signal = AbortSignal.timeout(PATIENCE);
    const call = sdk.call(client, { name: tool, arguments: given }, { signal });
    const outcome = await call.then(() => "answered", () => "given up");
    // Else closing the client would overtake the word that the call is given up.
    await client.listTools();
    return outcome;
  },
};

async function visit(cell) {
  const client = sdk.client(cell.acts ? ABLE : {});
  if (cell.acts) {
    sdk.answerElicitation(client);
    sdk.answerSampling(client);
  }
  const connection = transport(cell);
  await client.connect(connection);
  try {
    const { tools } = await client.listTools();
    const result = await sdk.call(client, { name: cell.tool, arguments: cell.arguments });
    const seen = { version: sdk.version(client, connection), tools: tools.length, acts: {} };
    for (const act of cell.acts ?? []) seen.acts[act.act] = await acts[act.act](client, act);
    return { ...seen, text: textOf(result), is_error: Boolean(result.isError) };
  } finally {
    await client.close();
  }
}

const late = (cell) =>
  new Promise((_, reject) => setTimeout(() => reject(new Error(`${cell.server}: no end in 60 s`)), 60_000));

for (const cell of job.cells) {
  const seen = { server: cell.server, mode };
  try {
    Object.assign(seen, await Promise.race([visit(cell), late(cell)]));
  } catch (error) {
    seen.error = String(error?.stack ?? error);
  }
  console.log(JSON.stringify(seen));
}
process.exit(0);
