/* Runs pieces of JavaScript that a test sends: a line {"id", "code"} on stdin is the body of an async function; a line {"id", "value"} or
 * {"id", "error"} on stdout is what came of it. Several run at once. Ends with stdin.
 *
 *     node driver.mjs RINGCAST.JS        where there is no global WebSocket, that of Debian's node-ws is used */
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

globalThis.ringcast = await import(pathToFileURL(process.argv[2]));
globalThis.WebSocketOfTest = globalThis.WebSocket ?? createRequire(import.meta.url)("/usr/share/nodejs/ws");
globalThis.uncaught = [];
process.on("uncaughtException", error => globalThis.uncaught.push(error.message));
await import("./kit.js");

const AsyncFunction = (async () => {}).constructor;
const answer = text => process.stdout.write(JSON.stringify(text) + "\n");
createInterface({ input: process.stdin }).on("line", async line => {
  const { id, code } = JSON.parse(line);
  try { answer({ id, value: await new AsyncFunction(code)() ?? null }); }
  catch (error) { answer({ id, error: String(error?.stack ?? error) }); }
}).on("close", () => process.exit(0));
