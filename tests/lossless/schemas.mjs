// Checks messages by the official JSON schema of their revision, which the official conformance suite carries.
//
//     node schemas.mjs NODE_MODULES <MESSAGES
//
// One message on a line: {"revision", "method": what was asked, "message"}. Prints a line for each that is not valid, and
// at the end how many were checked. The suite has no schema of 2024-11-05: the next one allows all that it has.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { runInNewContext } from "node:vm";

const modules = process.argv[2];
const require = createRequire(`${modules}/`);
const addFormats = require("ajv-formats").default;
const suite = readFileSync(`${modules}/@modelcontextprotocol/conformance/dist/index.js`, "utf8");

/** The text of the object literal that begins here. */
function literal(start) {
  let depth = 0;
  for (let at = start; ; at += 1) {
    const quote = suite[at];
    if (quote === "`" || quote === '"' || quote === "'") {
      for (at += 1; suite[at] !== quote; at += 1) if (suite[at] === "\\") at += 1;
    } else if (quote === "{") depth += 1;
    else if (quote === "}" && --depth === 0) return suite.slice(start, at + 1);
  }
}

const found = [...suite.matchAll(/[\w$]+=(?=\{\$schema:`)/g)].map((match) => {
  const schema = runInNewContext(`(${literal(match.index + match[0].length)})`);
  return JSON.parse(JSON.stringify(schema));
});
const [march, june, november, modern] = found;
const schemas = { "2024-11-05": march, "2025-03-26": march, "2025-06-18": june, "2025-11-25": november, "2026-07-28": modern };
if (found.length !== 4 || !modern.$defs.DiscoverResult || !november.$defs.Task || !june.definitions.ResourceLink) {
  throw new Error("the suite carries other schemas than those this script knows");
}

const validators = new Map();

function validator(revision, name) {
  const schema = schemas[revision];
  const keyword = schema.$defs ? "$defs" : "definitions";
  if (!schema[keyword][name]) return null;
  const key = `${revision} ${name}`;
  if (!validators.has(key)) {
    const Ajv = require(schema.$defs ? "ajv/dist/2020" : "ajv").default;
    const ajv = new Ajv({ strict: false, allErrors: false, validateFormats: true });
    addFormats(ajv);
    validators.set(key, ajv.compile({ ...schema, $ref: `#/${keyword}/${name}` }));
  }
  return validators.get(key);
}

/** The name of the definition of this request or notification. */
function named(revision, method) {
  const definitions = schemas[revision].$defs ?? schemas[revision].definitions;
  const isOf = ([, definition]) => definition.properties?.method?.const === method;
  return Object.entries(definitions).find(isOf)?.[0];
}

/** What is wrong with a part of a message; nothing if there is no definition of it. */
function fault(revision, name, part) {
  const check = name && validator(revision, name);
  return check && !check(part) ? `${name}: ${JSON.stringify(check.errors)}` : null;
}

function judge({ revision, method, message }) {
  if (message.method) return fault(revision, named(revision, message.method), message);
  if (message.error) {
    return fault(revision, "JSONRPCError", message) ?? fault(revision, "JSONRPCErrorResponse", message);
  }
  const result = named(revision, method)?.replace(/Request$/, "Result");
  if (message.result.task) return fault(revision, "CreateTaskResult", message.result);
  if (message.result.resultType === "input_required") return fault(revision, "InputRequiredResult", message.result);
  // An extension's kind of result is no business of the core schema but for what every result has.
  const isCore = [undefined, "complete"].includes(message.result.resultType);
  return fault(revision, isCore ? result : "Result", message.result);
}

const lines = readFileSync(0, "utf8").split("\n");
for (const line of lines) {
  const entry = JSON.parse(line);
  const wrong = judge(entry);
  if (wrong) console.log(`invalid ${entry.revision} ${wrong.slice(0, 400)} in ${line.slice(0, 600)}`);
}
console.log(`${lines.length} checked`);
