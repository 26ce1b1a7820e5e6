/* What the scenarios of tests/integration/test_ringcast_js.py and test_ringcast_browser.py stand on, the same in Node and in a page:
 * globals of short names. `ringcast` (the module), `url` and `patience_ms` are set by who loads it. */
"use strict";
const sleep = ms => new Promise(resolve => setTimeout(resolve, ms));

/* Waits until it holds; running into the end of patience is a failure. */
async function until(holds, what = String(holds)) {
  for (const end = Date.now() + patience_ms; ;) {
    const value = holds();
    if (value) return value;
    if (Date.now() > end) throw new Error("in vain: " + what);
    await sleep(5);
  }
}

/* A client that keeps what it is told: rc.told.state, rc.told.gap, ... */
function client(options) {
  const rc = new ringcast.Ringcast(url, { backoff: { minMs: 20, maxMs: 200 }, WebSocket: globalThis.WebSocketOfTest, ...options });
  rc.told = {};
  for (const event of ["state", "reconnect", "closing", "topic", "epoch", "gap", "error"]) {
    rc.told[event] = [];
    rc.on(event, value => rc.told[event].push(event === "error" ? { code: value.code, message: value.message, topic: value.topic } : value));
  }
  return rc;
}

/* A subscription that keeps what it is told. */
function follow(rc, topics, options) {
  const kept = { updates: [], gaps: [], topics: [], errors: [], order: [] };
  kept.subscription = rc.subscribe(topics, {
    onUpdate: update => { kept.updates.push(update); kept.order.push(update); },
    onGap: gap => { kept.gaps.push(gap); kept.order.push(gap); },
    onTopic: topic => kept.topics.push(topic),
    onError: error => kept.errors.push({ code: error.code, topic: error.topic }),
    ...options,
  });
  kept.ready = kept.subscription.ready;
  return kept;
}

/* What a promise came to. */
const outcome = promise => promise.then(value => ({ value }), error => ({ code: error.code ?? error.name, message: error.message }));

/* Held to the promise of mode "every", for each topic and epoch: each seq once and in order, or in a gap. Returns what is wrong. */
function faultsOf(order, first = {}) {
  const faults = [], next = {};
  for (const { topic, epoch, seq, from = seq, to = seq } of order) {
    const life = topic + " " + epoch, expected = next[life] ?? first[life];
    if (expected !== undefined && from !== expected) faults.push(`${life}: ${from} instead of ${expected}`);
    next[life] = to + 1;
  }
  return faults;
}

Object.assign(globalThis, { sleep, until, client, follow, outcome, faultsOf });
