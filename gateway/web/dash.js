/* The operations dashboard: what the gateway says of itself, once a second, and what to do about it. It promises that what it shows was published by
 * the gateway within the last seconds, and that it says so when nothing comes any more. It reads $sys.> by the gateway's own WebSocket. */
import { Ringcast } from "/ringcast.js";
import { bytesText, capital, compact, count, microText, percentText, rateText, sentence, spanText } from "/board_values.js";
import { CLOSES, busyLevel, delayLevel, findings, useLevel } from "/dash_findings.js";
import { Trail, draw, keep, make, meter, setLevel, setText } from "/dash_parts.js";

const SECONDS = 120, SILENT_MS = 5000, LINGER_MS = 20000, TOPICS = 8;
const KEY = "ringcast.admin", THEME = "ringcast.theme";
const WHOLE = "$sys.gateway", SHARDS = "$sys.shard.*";

const $ = id => document.getElementById(id);
const say = (id, text) => setText($(id), text);
const stored = (storage, name) => { try { return storage.getItem(name) ?? ""; } catch { return ""; } };
const store = (storage, name, value) => { try { if (value) storage.setItem(name, value); else storage.removeItem(name); } catch { /* private windows may have none */ } };

/* A key that came with the address does not stay there, nor in the history. */
function takeKey() {
  const address = new URL(location.href), given = address.searchParams.get("token");
  if (given === null) return stored(sessionStorage, KEY);
  address.searchParams.delete("token");
  history.replaceState(null, "", address.pathname + address.search + address.hash);
  return given;
}

let rc = null, key = takeKey(), phase = "connecting", why = "", retryAt = 0, locked = false, heardAt = 0;
let gateway = null, before = null;               // the newest of $sys.gateway, and the one before
const shards = new Map();                        // number -> the newest of its topic
const seen = new Map();                          // findings by id: what was found, and when last

/* ---- the connection */

function connect() {
  rc?.close();
  locked = false; why = ""; heardAt = 0; gateway = before = null;
  shards.clear(); seen.clear();
  for (const trail of [...trails.values(), ...busyTrails.values()]) trail.clear();
  const mine = rc = new Ringcast("/v1/ws", { token: key || undefined });
  mine.on("state", ({ state, reason }) => {
    if (mine !== rc) return;
    if (state === "open") why = "";
    if (state === "waiting" || state === "closed") why = reason;
    phase = { idle: "connecting", connecting: "connecting", open: "live", waiting: "waiting", closed: "closed" }[state];
    showState();
  });
  mine.on("reconnect", ({ delayMs }) => { if (mine === rc) { retryAt = Date.now() + delayMs; showState(); } });
  const refused = error => {
    if (mine !== rc) return;
    if (error.code === "unauthorized") lock(key ? "The gateway does not take this key." : "");
    else if (error.code === "forbidden") lock("This key is right, but not the admin's.");
    else { why = error.message; showState(); }
  };
  mine.on("error", refused);
  try {
    const subscription = mine.subscribe([WHOLE, SHARDS], { onUpdate: take, onError: refused });
    subscription.ready.then(() => { if (mine === rc) { store(sessionStorage, KEY, key); begin(mine); } }, () => {});
  } catch { /* closed meanwhile: that is told by its state */ }
  showState();
}

function lock(reason) {
  if (locked) return;
  locked = true; key = ""; store(sessionStorage, KEY, "");
  say("locked-why", reason);
  rc.close();
  showState();
  $("key").focus();
}

/* What was published before this page came: the charts need not begin empty. */
async function begin(mine) {
  try {
    const reply = await fetch("/v1/topics/" + encodeURIComponent(WHOLE) + "/history?limit=" + SECONDS, { headers: key ? { Authorization: "Bearer " + key } : {}, signal: AbortSignal.timeout(10000) });
    if (!reply.ok || mine !== rc) return;
    const { updates } = await reply.json(), first = gateway?.ts ?? Infinity, earlier = updates.filter(({ ts }) => ts < first && ts > (Date.now() - SECONDS * 1000) * 1000);
    const later = new Map([...trails].map(([name, trail]) => [name, trail.values.splice(0)]));
    for (const { data } of earlier) record(data);
    for (const [name, values] of later) for (const value of values) trails.get(name).add(value);
    drawAll();
  } catch { /* they grow from what comes */ }
}

/* ---- figures */

function take({ topic, ts, data }) {
  heardAt = Date.now();
  if (topic !== WHOLE) { shards.set(data.shard, data); return; }
  before = gateway; gateway = { ...data, ts };
  if (before && ts - before.ts > 2.5e6) for (const trail of trails.values()) trail.add(null);      // a break shows as one
  record(data);
  for (const [shard, share] of data.busy.entries()) trailOf(busyTrails, shard).add(share);
  if (!document.hidden) show();
}

const trails = new Map(), busyTrails = new Map();
function trailOf(all, name) { let trail = all.get(name); if (!trail) all.set(name, trail = new Trail(SECONDS)); return trail; }
function record(data) { for (const card of CARDS) trailOf(trails, card.id).add(card.value(data)); }

const rate = (data, name) => data.per_second[name] ?? 0;
const CARDS = [
  { id: "in", head: "Updates in a second", value: data => rate(data, "updates_published"), text: rateText, small: data => rate(data, "bytes_received") ? bytesText(rate(data, "bytes_received")) + "/s received" : "" },
  { id: "out", head: "Updates out a second", value: data => rate(data, "frames_sent"), text: rateText, small: data => data.frames_per_send ? `${compact(data.frames_per_send)} in each send` : "" },
  { id: "delay", head: "Delay, 99 % within", value: data => data.delay_us.count ? data.delay_us.p99 : null, text: us => us === null ? "–" : microText(us), small: data => data.delay_us.count ? `half within ${microText(data.delay_us.p50)}` : "nothing was sent", level: us => us === null ? "" : delayLevel(us), least: 1000 },
  { id: "conns", head: "Connections", value: data => data.now.connections, text: count, small: data => `of ${compact(data.limits.connections)} · ${compact(data.now.subscriptions)}\u00a0subscriptions`, level: (value, data) => useLevel(value / data.limits.connections), least: 4 },
  { id: "bytes", head: "Bytes out a second", value: data => rate(data, "bytes_sent"), text: bytesText, small: data => `${rateText(rate(data, "sends"))} sends/s`, least: 1024 },
  { id: "memory", head: "Resident memory", value: data => data.resident_bytes, text: bytesText, small: data => `${compact(data.now.topics)} topics · ${data.cpu.toFixed(2)} CPU` },
];

function showCards() {
  keep($("cards"), CARDS.map(card => ({ ...card, key: card.id })), card => make("div", {}, make("dt", {}, card.head), make("dd", {}, make("span"), make("small")), make("canvas", { "aria-hidden": "true" })), (node, card) => {
    const value = card.value(gateway);
    setText(node.querySelector("span"), card.text(value)); setText(node.querySelector("small"), card.small(gateway));
    setLevel(node, card.level?.(value, gateway) ?? "");
  });
}

const sumOf = (data, ...names) => names.reduce((sum, name) => sum + (data.now[name] ?? 0), 0);
const CELLS = [
  ["Connections", data => compact(data.now.connections)], ["In/s", data => rateText(rate(data, "updates_published"))], ["Out/s", data => rateText(rate(data, "frames_sent"))], ["In a send", data => data.frames_per_send ? compact(data.frames_per_send) : "–"],
  ["Delay p50", data => data.delay_us.count ? microText(data.delay_us.p50) : "–"], ["p99", data => data.delay_us.count ? microText(data.delay_us.p99) : "–"], ["Logs", data => bytesText(data.memory_bytes.logs)], ["Links", data => compact(sumOf(data, "link_asks_under_way", "link_tells_waiting"))],
];

function showShards() {
  const items = gateway.busy.map((share, number) => ({ key: String(number), number, share, data: shards.get(number) }));
  keep($("shards").tBodies[0], items, ({ number }) => {
    const busy = meter("Busy share of shard " + number);
    const row = make("tr", {}, make("th", { scope: "row" }, "Shard " + number), make("td", { class: "busy" }, make("div", { class: "sparked" }, make("canvas", { "aria-hidden": "true" }), busy.node)), ...CELLS.map(([head]) => make("td", { class: "n", "data-head": head })));
    row.busy = busy;
    return row;
  }, (row, { share, data }) => {
    row.busy.set(share, percentText(share), busyLevel(share));
    CELLS.forEach(([, text], i) => setText(row.cells[i + 2], data ? text(data) : "…"));
  });
  const mean = gateway.busy.reduce((sum, share) => sum + share, 0) / gateway.busy.length;
  say("shards-note", gateway.busy.length > 1 ? `busy ${percentText(mean)} on average` : "");
}

/* Published: each topic at one home. Sent: from every shard that has followers of it. */
function showTop(id, none) {
  const sums = new Map();
  for (const { top } of shards.values()) for (const { topic, per_second } of top[id]) sums.set(topic, (sums.get(topic) ?? 0) + per_second);
  const best = [...sums].sort((a, b) => b[1] - a[1]).slice(0, TOPICS), most = best[0]?.[1] ?? 1;
  keep($(id), best.length ? best.map(([topic, hz]) => ({ key: topic, topic, hz })) : [{ key: "", topic: none, hz: 0 }],
       ({ key, topic }) => key ? make("li", {}, make("i", { "aria-hidden": "true" }), make("span", { title: topic }, topic), make("b")) : make("li", { class: "none" }, topic),
       (node, { key, hz }) => { if (!key) return; node.firstElementChild.style.width = hz / most * 100 + "%"; setText(node.lastElementChild, rateText(hz)); });
}

/* A list of terms and figures; `fresh`: it grew in the last second. */
function showList(id, rows, none) {
  const flat = rows.length ? rows.flatMap(row => [{ ...row, key: row.name + " dt", tag: "dt" }, { ...row, key: row.name + " dd", tag: "dd" }]) : [{ key: "none", tag: "dt", name: none }];
  keep($(id), flat, ({ tag, name, small }) => tag === "dt" ? make("dt", {}, name, small ? make("small", {}, small) : null) : make("dd"), (node, { tag, text, fresh }) => {
    if (tag === "dd") { setText(node, text); node.classList.toggle("fresh", !!fresh); }
  });
}

function showUses(id, rows) {
  const node = $(id);
  if (!node.firstElementChild) node.append(make("div", { class: "use" }));
  const flat = rows.flatMap(row => ["name", "of", "meter"].map(part => ({ ...row, part, key: row.name + " " + part })));
  keep(node.firstElementChild, flat, ({ part, name }) => {
    if (part !== "meter") return make("span", { class: part });
    const one = meter(name);
    one.node.meter = one;
    return one.node;
  }, (cell, { part, name, share, of, level }) => { if (part === "meter") cell.meter.set(share, percentText(share), level ?? ""); else setText(cell, part === "name" ? name : of); });
}

const grew = (family, name) => before !== null && (gateway[family][name] ?? 0) > (before[family]?.[name] ?? 0);
function showDetails() {
  const { now, limits, memory_bytes: memory } = gateway, http = now.connections - now.websockets - now.streams;
  showList("conns", [
    { name: "WebSockets", text: count(now.websockets) }, { name: "Event streams (SSE)", text: count(now.streams) }, { name: "HTTP and handshakes", text: count(Math.max(0, http)) },
    ...(now.tls_connections ? [{ name: "Over TLS", text: count(now.tls_connections) }] : []), ...(now.websockets_deflate ? [{ name: "Compressed", small: "permessage-deflate", text: count(now.websockets_deflate) }] : []),
    { name: "With a full socket", small: "they take less than is sent: slow clients", text: count(now.connections_blocked), fresh: now.connections_blocked > 0 },
    { name: "Accepted a second", text: rateText(rate(gateway, "connections_accepted")) }, { name: "Refused a second", text: rateText(rate(gateway, "connections_refused")), fresh: rate(gateway, "connections_refused") > 0 },
    { name: "Ended by the peer a second", text: rateText(rate(gateway, "closed_by_peer")) }, { name: "Ended by the gateway a second", text: rateText(rate(gateway, "closed_by_gateway")) },
    { name: "Updates superseded a second", small: "skipped in mode latest because a newer one was there", text: rateText(rate(gateway, "updates_superseded")) }, { name: "Gaps told a second", text: rateText(rate(gateway, "gaps")), fresh: rate(gateway, "gaps") > 0 },
    { name: "Short sends a second", small: "that found a socket full", text: rateText(rate(gateway, "short_sends")) }, { name: "Requests with an error a second", text: rateText(rate(gateway, "request_errors")) },
  ]);
  const use = (name, had, most, text) => ({ name, share: most ? had / most : 0, of: `${text(had)} of ${text(most)}`, level: useLevel(most ? had / most : 0) });
  showUses("limits", [use("connections", now.connections, limits.connections, compact), use("topics", now.topics, limits.topics, compact), use("memory", memory.clients, limits.memory, bytesText), use("log-bytes", memory.logs, limits["log-bytes"], bytesText)]);
  showList("hits", Object.entries(gateway.limit_hits).map(([name, hits]) => ({ name: "limits." + name, text: count(hits), fresh: grew("limit_hits", name) })), "None.");
  showList("closes", Object.entries(gateway.closes).map(([code, closes]) => ({ name: code, small: CLOSES[code] ?? "", text: count(closes), fresh: code !== "1000" && code !== "1001" && grew("closes", code) })), "None.");
  const all = Object.entries(memory).sort((a, b) => b[1] - a[1]), counted = all.reduce((sum, [, bytes]) => sum + bytes, 0);
  showUses("memory", all.map(([name, bytes]) => ({ name, share: bytes / Math.max(1, gateway.resident_bytes), of: bytesText(bytes) })));
  say("memory-note", `${bytesText(counted)} counted, of ${bytesText(gateway.resident_bytes)} resident`);
}

/* A finding stays for a while after it was last true, so that one can read it. */
const ICONS = { bad: "M10 2 1 18h18zM10 8v4M10 15v.2", warn: "M10 2a8 8 0 1 1 0 16 8 8 0 0 1 0-16zM10 6v5M10 14v.2", note: "M10 2a8 8 0 1 1 0 16 8 8 0 0 1 0-16zM10 9v5M10 6v.2", fine: "M10 2a8 8 0 1 1 0 16 8 8 0 0 1 0-16zm-4 8 3 3 5-6" };
function icon(level) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg"), path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  for (const [name, value] of Object.entries({ viewBox: "0 0 20 20", fill: "none", stroke: "currentColor", "stroke-width": "1.7", "stroke-linecap": "round", "stroke-linejoin": "round", "aria-hidden": "true" })) svg.setAttribute(name, value);
  path.setAttribute("d", ICONS[level]);
  svg.append(path);
  return svg;
}

/* Settings and flags stand between grave accents. */
function words(text) { return text.split("`").map((part, i) => i % 2 ? make("code", {}, part) : part); }

let spokenFindings = "";
function showFindings() {
  const now = Date.now();
  for (const one of findings(gateway, shards, before)) seen.set(one.id, { ...one, at: now });
  for (const [id, { at }] of seen) if (now - at > LINGER_MS) seen.delete(id);
  const order = { bad: 0, warn: 1, note: 2 }, items = [...seen.values()].sort((a, b) => order[a.level] - order[b.level]).map(one => ({ ...one, key: one.id + " " + one.level }));
  if (!items.some(({ level }) => level !== "note")) items.unshift({ key: "fine", level: "fine", title: "All is well", what: "Nothing is refused, lost or late.", at: now });
  keep($("findings"), items, ({ level }) => make("li", { "data-level": level }, icon(level), make("b"), make("p")), (node, { title, what, at }) => {
    const [, head, text] = node.children, ago = Math.round((now - at) / 1000), said = ago > 2 ? `${title} · ${ago} s ago` : title;
    node.classList.toggle("over", ago > 2);
    setText(head, said);
    if (text.dataset.what !== what) { text.dataset.what = what; text.replaceChildren(...words(what)); }
  });
  const spoken = items.filter(({ level }) => level === "bad" || level === "warn").map(({ title }) => title.replace(/[\d.,]+/g, "").trim()).join(". ");
  if (spoken !== spokenFindings) { spokenFindings = spoken; say("findings-spoken", items.filter(({ level }) => level !== "note").map(({ title }) => title).join(". ")); }
}

function drawAll() {
  if (!gateway || document.hidden) return;
  const style = getComputedStyle(document.documentElement), probe = name => { const value = style.getPropertyValue(name); return colourOf(value); }, accent = probe("--accent"), warn = probe("--warn"), bad = probe("--down");
  for (const node of $("cards").children) {
    const card = CARDS.find(({ id }) => id === node.dataset.key), level = node.dataset.level;
    draw(node.querySelector("canvas"), trailOf(trails, card.id), level === "bad" ? bad : level === "warn" ? warn : accent, card.least);
  }
  for (const row of $("shards").tBodies[0].rows) draw(row.querySelector("canvas"), trailOf(busyTrails, +row.dataset.key), accent, 1);
}

/* light-dark() is resolved where it is used as a colour, not in a property of one's own. */
const resolver = document.createElement("i"); resolver.className = "sr"; document.body.append(resolver);
function colourOf(value) { resolver.style.color = value; return getComputedStyle(resolver).color; }

function show() {
  showCards(); showFindings(); showShards();
  showTop("published", "Nothing is published."); showTop("sent", "Nothing is sent.");
  showDetails(); showState(); drawAll();
  say("version", "Ringcast " + gateway.version);
  say("who", `${location.host} · ${gateway.shards} shard${gateway.shards === 1 ? "" : "s"} · up ${spanText(gateway.uptime_s * 1000)}`);
}

/* ---- what surrounds them */

let spoken = "";
function showState() {
  const silent = phase === "live" && heardAt > 0 && Date.now() - heardAt > SILENT_MS, left = Math.max(0, Math.ceil((retryAt - Date.now()) / 1000));
  const words = locked ? "Key needed" : silent ? "Silent" : { connecting: gateway ? "Reconnecting" : "Connecting", live: gateway ? gateway.state === "open" ? "Live" : "Draining" : "Connected", waiting: `Reconnecting in ${left} s`, closed: "Closed" }[phase];
  document.body.dataset.state = locked ? "locked" : silent || gateway?.state === "draining" ? "silent" : phase;
  say("pill", words);
  const aloud = phase === "waiting" && !locked ? "Connection lost, reconnecting" : words;
  if (aloud !== spoken) say("spoken", spoken = aloud);
  $("locked").hidden = !locked;
  $("plain").hidden = isSecureContext;             // https, or this very machine
  $("figures").hidden = locked || !gateway; $("ghosts").hidden = locked || !!gateway || (why !== "" && phase !== "live");
  $("lost").hidden = locked || (why === "" && !silent);
  say("lost-text", silent ? `No figures for ${spanText(Date.now() - heardAt)}: those below are the last ones.` : why ? sentence(why) + (phase === "waiting" ? ` Next try in ${left} s.` : "") + (gateway ? " The figures below are the last ones." : "") : "");
  $("forget").hidden = !key || locked;
}
setInterval(() => { if (gateway && phase !== "live" && seen.size) showFindings(); showState(); }, 1000);

$("key-form").onsubmit = event => { event.preventDefault(); key = $("key").value.trim(); $("key").value = ""; if (key) { say("locked-why", ""); connect(); } };
$("forget").onclick = () => { key = ""; store(sessionStorage, KEY, ""); connect(); };
for (const button of document.querySelectorAll(".retry")) button.onclick = connect;
$("skip").onclick = event => { event.preventDefault(); $("main").focus(); };
const themes = ["", "light", "dark"];
function setTheme(theme) {
  document.documentElement.style.colorScheme = theme || "light dark"; document.documentElement.dataset.theme = theme;
  $("theme").title = $("theme").ariaLabel = `Colours: ${(theme ? capital(theme) : "Automatic").toLowerCase()}`;
  store(localStorage, THEME, theme); drawAll();
}
$("theme").onclick = () => setTheme(themes[(themes.indexOf(document.documentElement.dataset.theme) + 1) % 3]);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
addEventListener("resize", drawAll);
document.addEventListener("visibilitychange", () => { if (!document.hidden && gateway) show(); });
setTheme(themes.includes(stored(localStorage, THEME)) ? stored(localStorage, THEME) : ""); connect();
