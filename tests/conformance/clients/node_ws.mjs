// node_ws.mjs ws|builtin BASE KEY TOPIC: the checks with the package ws, or with the WebSocket that Node brings from 22 on.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const [kind, base, key, topic] = process.argv.slice(2);
const checks = new Function(readFileSync(new URL("checks.js", import.meta.url), "utf8") + "\nreturn interopChecks;")();
let make = (url, protocols) => new WebSocket(url, protocols ?? []);
if (kind === "ws") {
    const Ws = createRequire("/usr/share/nodejs/ws/package.json")("/usr/share/nodejs/ws");
    make = (url, protocols) => new Ws(url, protocols ?? [], process.env.PLAIN ? { perMessageDeflate: false } : { perMessageDeflate: { threshold: 0 } });
}
if (kind === "ws") console.log("version\t" + JSON.parse(readFileSync("/usr/share/nodejs/ws/package.json", "utf8")).version);
else console.log("version\t" + process.version);
for (const line of await checks(make, base, key, topic)) console.log(line.join("\t"));
process.exit(0);
