/* What an operator should look at, as sentences: the symptom, and which setting or deed answers it. Pure, so that a test can ask it anything.
 * The README's table "From symptom to counter to setting" says the same of the counters. */
import { bytesText, compact, percentText } from "/board_values.js";

const BUSY_WARN = 0.85, BUSY_BAD = 0.97, DELAY_WARN_US = 100e3, DELAY_BAD_US = 1e6, NEAR = 0.9, SLOW_SHARE = 0.1;

/** What to do when a limit is reached, by the name behind `limits.`. */
const LIMITS = {
  "connections": "New clients get 503. Raise it (and the limit of open files), or run a second gateway behind a TCP load balancer.",
  "connections-per-address": "Those clients get 429. If they share a proxy's address, name the proxy in `proxies.trusted`; else someone opens very many.",
  "accepts-per-second": "Connections wait in the backlog and are served in their turn: after a restart that is what it is for.",
  "requests-per-second": "Somebody asks more than is allowed and is answered `rate_limited`; the log names the address.",
  "memory": "What clients hold (messages that are incomplete, replies that nobody takes) fills its budget: those who hold most are closed. The log names them.",
  "head": "A request head was too large: often cookies or a long token.",
  "body": "A publisher sends larger bodies than allowed: let it send fewer lines at once.",
  "message": "A client's message was too large, and it was closed with 1009.",
  "payload": "A publisher's update is too large and was refused: the publisher gets `too_large`.",
  "echo-message": "A message to the echo was too large.",
  "topics": "No new topic is taken. Raise it, or lower `topics.ttl` so that old ones are forgotten sooner.",
  "subscriptions": "A client follows as many topics as one connection may: patterns count for what they cover.",
  "patterns": "A client follows as many patterns as one connection may.",
  "log-bytes": "Publishers are answered `busy`. Raise it, or lower `topics.window-bytes` and `topics.window-age`.",
};

/** Counters that should stand still, in the order of their weight: [name of the rate, level, title, what to do]. */
const RATES = [
  ["publish_busy", "bad", n => `${n} publishes a second are refused for want of memory`, "The logs of all topics fill their budget: raise `limits.log-bytes`, or lower `topics.window-bytes` or `topics.window-age`."],
  ["link_busy", "bad", n => `${n} requests a second are answered busy`, "A topic's shard has not kept up for a second. Look which shard is busy; spread publishers over more topics, or give the gateway more CPUs and `shards`."],
  ["accept_failures", "bad", n => `${n} accepts a second fail`, "The process is out of files or memory: raise LimitNOFILE (or ulimit -n), which has to be above `limits.connections`."],
  ["closed_shed", "bad", n => `${n} connections a second are shed`, "`limits.memory` is reached: clients hold more unfinished messages and untaken replies than that. The log names who held most."],
  ["quiet_publish_failures", "warn", n => `${n} publishes without an answer fail each second`, "A shard could not take an update that wanted no reply: look at `limits.log-bytes` and `limits.topics`."],
  ["cq_overflows", "warn", n => `The completion queue overflowed ${n} times a second`, "Nothing is lost, but it costs: the shard has more to do than it can in a turn. More `shards`, or a second gateway."],
  ["connections_refused", "warn", n => `${n} connections a second are refused`, "A limit of connections is reached: see Limits."],
  ["gaps", "warn", n => `${n} gaps a second are told to subscribers of mode every`, "They read more slowly than a topic moves and fell out of its window. Raise `topics.window` and `topics.window-bytes`, or let them use mode latest."],
  ["closed_write_deadline", "warn", n => `${n} clients a second are closed because they take nothing`, "They took no byte for `deadline.write-ms`: dead peers, or lines that are too thin."],
  ["formats_refused", "warn", n => `${n} readers a second wait for a log in their format`, "No memory within `limits.log-bytes` for another format than JSON: raise it."],
  ["births_not_covered", "warn", n => `${n} births a second are not covered by a pattern`, "A client's pattern covers more topics than `limits.subscriptions` allows one connection."],
  ["log_lines_lost", "warn", n => `${n} lines of the log are lost each second`, "Whoever reads standard error is too slow, or gone. Serving does not wait for it."],
  ["deflate_quick", "note", n => `${n} updates a second are compressed in haste or not at all`, "Compressing has used up its part of the processor, `compression.cpu`: clients get them all the same, only larger."],
  ["tls_handshakes_postponed", "note", n => `TLS handshakes wait ${n} times a second`, "So that a flood of them delays nobody's updates: `limits.handshakes-per-turn`. After a restart that is what it is for."],
  ["closed_silent", "note", n => `${n} clients a second are closed because they gave no sign of life`, "Half-open connections, as of phones that left: `heartbeat-ms` says how soon."],
  ["requests_stalled", "note", n => `${n} connections a second wait for another shard`, "Publishers are slowed to what the topic's shard can take. Nothing is lost; if it lasts, look which shard is busy."],
];

const level = (value, warn, bad) => value >= bad ? "bad" : value >= warn ? "warn" : "";
export const busyLevel = share => level(share, BUSY_WARN, BUSY_BAD);
export const delayLevel = us => level(us, DELAY_WARN_US, DELAY_BAD_US);
export const useLevel = share => level(share, NEAR, 1);

/** @param gateway the newest of $sys.gateway @param shards those of $sys.shard.* @param before the one before `gateway`, or null
 *  @returns {{ id: string, level: "bad" | "warn" | "note", title: string, what: string }[]} the worst first */
export function findings(gateway, shards, before) {
  const found = [], { now, per_second: rates, limits, memory_bytes: memory } = gateway;
  const add = (id, level, title, what) => { if (level) found.push({ id, level, title, what }); };
  if (gateway.state !== "open") add("draining", "warn", "The gateway is draining", "It was told to end (SIGTERM): /readyz is 503, clients are told to come back, and it ends when the last has gone or after `drain.timeout`.");
  const busy = gateway.busy.map((share, shard) => ({ share: Math.min(share, before?.busy[shard] ?? 0), shard }))      // for two seconds at least
   .sort((a, b) => b.share - a.share);
  if (busy.length && busyLevel(busy[0].share)) {
    const alone = busy.length > 1 && busy[busy.length - 1].share < 0.5;
    add("busy", busyLevel(busy[0].share), `Shard ${busy[0].shard} is busy ${percentText(busy[0].share)} of the time`,
        alone ? "Others are not: a hot topic is numbered by one shard, and connections stay where they came in. Spread what is published over more topics; connections even out as clients come back."
              : "Ranges grow with the load and each update becomes cheaper, but delay rises. More CPUs and `shards`, or a second gateway behind a TCP load balancer.");
  }
  const { count = 0, p99 = 0 } = gateway.delay_us;
  if (count) add("delay", delayLevel(p99), `One update in a hundred leaves ${p99 >= 1e6 ? (p99 / 1e6).toFixed(1) + " s" : Math.round(p99 / 1e3) + " ms"} after it came`, "From append to send, so the gateway's own part: a busy shard, or readers that take less than is sent (they count here, too, in mode every).");
  for (const [name, what] of Object.entries(LIMITS)) {
    const more = (gateway.limit_hits[name] ?? 0) - (before?.limit_hits[name] ?? 0);      // what never was is left out
    if (before && more > 0) add("limit " + name, name === "log-bytes" || name === "connections" || name === "memory" ? "bad" : "warn", `limits.${name} is reached: ${compact(more)} time${more === 1 ? "" : "s"} in the last second`, what);
  }
  for (const [name, had, most, text] of [["connections", now.connections, limits.connections, compact], ["topics", now.topics, limits.topics, compact], ["memory", memory.clients, limits.memory, bytesText], ["log-bytes", memory.logs, limits["log-bytes"], bytesText]])
    if (most > 0 && had / most >= NEAR) add("near " + name, "warn", `${percentText(had / most)} of limits.${name} are in use (${text(had)} of ${text(most)})`, LIMITS[name]);
  for (const [name, weight, title, what] of RATES) if (rates[name] > 0) add("rate " + name, weight, title(compact(rates[name])), what);
  const slow = now.connections_blocked, readers = now.websockets + now.streams;
  if (slow > 0) add("slow", slow >= Math.max(5, readers * SLOW_SHARE) ? "warn" : "note", `${compact(slow)} client${slow === 1 ? " takes" : "s take"} less than is sent`,
                    "Their sockets are full. It costs nobody else anything: in mode latest they skip to the newest, in mode every they get a gap in the end. `max_hz` spares them; who takes nothing for `deadline.write-ms` is closed.");
  const order = { bad: 0, warn: 1, note: 2 };
  return found.sort((a, b) => order[a.level] - order[b.level]);
}

/** What a close code of ours means. */
export const CLOSES = {
  1000: "the client closed", 1001: "drained, or the client went away", 1002: "broke the WebSocket protocol", 1003: "sent a binary message", 1007: "sent text that is no UTF-8", 1008: "broke a rule",
  1009: "sent too large a message", 1011: "a fault of the gateway", 1013: "no memory for it: try again later", 4400: "a bad request in the query", 4401: "no right key or token", 4403: "a right was missing", 4408: "too slow or gone", 4429: "asked too often", other: "another code, given by the client",
};
export { LIMITS };
