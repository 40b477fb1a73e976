// An MCP server whose one tool, `check`, tries what a sandbox breaks in Node, and tells what happened.
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import os from "node:os";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { Worker } from "node:worker_threads";

const checks = {
  cpus: () => `cpus ${os.cpus().length} ${os.availableParallelism()}`,
  interfaces: () => `interfaces ${JSON.stringify(Object.keys(os.networkInterfaces()))}`,
  user: () => `user ${os.userInfo().username} home ${os.homedir()} tmp ${os.tmpdir()} host ${os.hostname()}`,
  memory: () => `memory ${os.totalmem() > 0 && os.freemem() > 0}`,
  worker: () =>
    new Promise((done, failed) => {
      const worker = new Worker("require('worker_threads').parentPort.postMessage(6 * 7)", { eval: true });
      worker.once("message", (answer) => done(`worker ${answer}`));
      worker.once("error", failed);
    }),
  child: async () => `child ${(await promisify(execFile)("/bin/sh", ["-c", "echo $((40 + 2))"])).stdout.trim()}`,
  files: () => {
    const file = `${mkdtempSync(`${os.tmpdir()}/check-`)}/file`;
    writeFileSync(file, "written");
    return `files ${readFileSync(file, "utf8")}`;
  },
  state: () => {
    writeFileSync(`${process.cwd()}/kept`, "kept");
    return `state ${process.cwd()} ${readFileSync("kept", "utf8")}`;
  },
  random: async () => `random ${(await import("node:crypto")).randomBytes(16).length}`,
  wasm: async () => `wasm ${WebAssembly.validate(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]))}`,
  loopback: async () => {
    const { createServer } = await import("node:http");
    const server = createServer((_, response) => response.end("own loopback"));
    await new Promise((done, failed) => server.once("error", failed).listen(0, "127.0.0.1", done));
    const response = await fetch(`http://127.0.0.1:${server.address().port}/`);
    server.close();
    return `loopback ${await response.text()}`;
  },
  fetch: async () => {
    try {
      await fetch("http://example.com/", { signal: AbortSignal.timeout(20000) });
      return "fetch worked";
    } catch (error) {
      return `fetch failed ${error.name} ${error.cause?.code ?? error.message}`;
    }
  },
  address: async () => {
    try {
      await fetch("http://192.0.2.1/", { signal: AbortSignal.timeout(20000) });
      return "address worked";
    } catch (error) {
      return `address failed ${error.name} ${error.cause?.code ?? error.message}`;
    }
  },
};

async function answer(request) {
  const { method, params } = request;
  if (method === "initialize") {
    const serverInfo = { name: "node-checks", version: "1" };
    return { protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo };
  }
  if (method === "tools/list") {
    const properties = { what: { type: "string", enum: Object.keys(checks) } };
    return { tools: [{ name: "check", description: "Tries it", inputSchema: { type: "object", properties } }] };
  }
  if (method === "tools/call") {
    const text = await Promise.resolve()
      .then(() => checks[params.arguments.what]())
      .catch((error) => `broken: ${error.stack}`);
    return { content: [{ type: "text", text }] };
  }
  return method === "ping" ? {} : undefined;
}

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  if (request.id === undefined) continue;
  const result = await answer(request);
  const error = { code: -32601, message: `Method not found: ${request.method}` };
  const body = result === undefined ? { error } : { result };
  process.stdout.write(`${JSON.stringify({ jsonrpc: "2.0", id: request.id, ...body })}\n`);
}
