/* The live board: every topic of the gateway, or those that one asks for, as a table that moves.
 * It promises that what it shows is the newest value that arrived, and that it says so when nothing arrives any more. What it shows is chosen by the
 * fragment of its address (#topics=crypto.*,fx.>&mode=every&hz=4&sort=rate&find=btc), so that a view can be shared; a token is never in it. */
import { Ringcast } from "/ringcast.js";
import { Table } from "/board_table.js";
import { History, copy, element } from "/board_history.js";
import { Topic } from "/board_topic.js";
import { capital, compact, count, delayText, quoted, sentence, spanText } from "/board_values.js";

const TOPICS_MAX = 20000;                        // beyond it the page says that it shows a part
const RATES = [0, 10, 4, 1, 0.2], SORTS = ["name", "change", "volume", "rate"];
const HISTORY_MAX = 240, HISTORIES_AT_ONCE = 4, PAYLOAD_CHARS_MAX = 1000;      // for a spark line's beginning; not of large payloads
const CLOCK_MS = 15000, CLOCK_SOON_MS = 2000, CLOCK_FIRST_MS = 8000, CLOCK_AGE_MS = 300000, DELAYS = 1024, SECONDS = 60;
const TOKEN = "ringcast.token", THEME = "ringcast.theme";

const $ = id => document.getElementById(id);
const say = (id, text) => { if ($(id).textContent !== text) $(id).textContent = text; };
const isPattern = name => /[*>]/.test(name);
const stored = (storage, name) => { try { return storage.getItem(name) ?? ""; } catch { return ""; } };
const store = (storage, name, value) => { try { if (value) storage.setItem(name, value); else storage.removeItem(name); } catch { /* private windows may have none */ } };

const topics = new Map();                        // name -> Topic
const view = { topics: [">"], mode: "latest", hz: 0, sort: "name", down: false, find: "" };
let rc = null, subscription = null, phase = "connecting", why = "", retryAt = 0, openedAt = 0, everOpen = false, acknowledged = 0;
let token = stored(sessionStorage, TOKEN), locked = false, refusal = "", tooMany = false;
let paused = false, skipped = 0;
const held = new Map();                          // while paused: the newest update of each topic, and nothing else

const table = new Table({ body: $("rows"), template: $("row"), open: topic => history_.open(topic), wanted: topic => wantHistory(topic) });
const history_ = new History({ get, closed: topic => { if (topic?.place !== undefined && topics.get(topic.name) === topic) table.focus(topic); } });

/* ---- the view and the address */

function readAddress() {
  const given = new URLSearchParams(location.hash.length > 1 ? location.hash.slice(1) : location.search), hz = +given.get("hz"), sort = given.get("sort") ?? "";
  const names = (given.get("topics") ?? "").split(/[\s,]+/).filter(Boolean);
  view.topics = names.length ? [...new Set(names)] : [">"];
  view.mode = given.get("mode") === "every" ? "every" : "latest";
  view.hz = view.mode === "latest" && RATES.includes(hz) ? hz : 0;
  view.down = sort.startsWith("-");
  view.sort = SORTS.includes(sort.replace("-", "")) ? sort.replace("-", "") : "name";
  view.find = (given.get("find") ?? "").slice(0, 128);
}

function writeAddress() {
  const said = new URLSearchParams();
  if (view.topics.join() !== ">") said.set("topics", view.topics.join());
  if (view.mode !== "latest") said.set("mode", view.mode);
  if (view.hz) said.set("hz", String(view.hz));
  if (view.sort !== "name" || view.down) said.set("sort", (view.down ? "-" : "") + view.sort);
  if (view.find) said.set("find", view.find);
  const text = said.toString().replace(/%2C/g, ",").replace(/%2F/g, "/");
  history.replaceState(null, "", text ? "#" + text : location.pathname);
  showView();
}

function showView() {
  $("topics").value = view.topics.join(", ");
  if ($("find").value.trim() !== view.find) $("find").value = view.find;
  for (const input of document.querySelectorAll("input[name=hz]")) { input.checked = +input.value === view.hz; input.disabled = view.mode === "every"; }
  for (const input of document.querySelectorAll("input[name=mode]")) input.checked = input.value === view.mode;
  $("rates").title = view.mode === "every" ? "Mode every leaves nothing out, so that it knows no rate" : "At most that many updates a second of each topic (max_hz); the gateway leaves out the others, and always sends the newest";
  table.sort = view.sort; table.descending = view.sort === "name" ? view.down : !view.down; table.needle = view.find;
  for (const head of document.querySelectorAll("[role=columnheader][data-sort]"))
    head.setAttribute("aria-sort", head.dataset.sort !== view.sort ? "none" : table.descending ? "descending" : "ascending");
  $("sort").value = (view.down ? "-" : "") + view.sort;
  say("ex-subscribe", exampleOfSubscribing());
}

function sortBy(sort) {
  view.down = sort === view.sort && !view.down; view.sort = sort;
  writeAddress(); arrange();
}

/* ---- the connection */

function connect() {
  rc?.close();
  everOpen = false; acknowledged = 0; why = ""; retryAt = 0; clock.rttMs = Infinity;
  const mine = rc = new Ringcast("/v1/ws?batch=1", { token: token || undefined });
  subscription = null;
  mine.on("state", ({ state, reason }) => {
    if (mine !== rc) return;
    if (state === "open") { openedAt = Date.now(); everOpen = true; why = ""; delays.used = 0; store(sessionStorage, TOKEN, token); readClock(); }
    if (state === "waiting" || state === "closed") why = reason;
    phase = { idle: "connecting", connecting: "connecting", open: "live", waiting: "waiting", closed: "closed" }[state];
    showState();
  });
  mine.on("reconnect", ({ delayMs }) => { if (mine === rc) { retryAt = Date.now() + delayMs; showState(); } });
  mine.on("error", error => {
    if (mine !== rc) return;
    if (error.code === "unauthorized") lockFor(error);      // what else there is, the subscription or the state tells
  });
  locked = false;
  follow();
}

/* One subscription at a time; the next one takes its place before it goes, so that the position is kept and no snapshot comes twice. */
function follow() {
  const before = subscription, { mode } = view;
  refusal = "";
  let mine;
  try {
    mine = subscription = rc.subscribe(view.topics, {
      mode, maxHz: mode === "latest" ? view.hz : undefined, onUpdate: take,
      onError: error => {
        if (subscription !== mine) return;
        if (error.code === "unauthorized") return lockFor(error);
        if (error.code === "forbidden" && topics.size === 0) return lock("This token may not read " + (error.topic ?? view.topics.join(", ")) + ": " + error.message);
        refusal = error.message; showState();
      },
    });
  } catch { return; }                            // closed meanwhile: that is told by its state
  before?.unsubscribe();
  mine.ready.then(() => { if (subscription === mine) { acknowledged = Date.now(); setTimeout(showState, 500); } }, () => {});
  for (const name of view.topics) if (!isPattern(name)) known(name);
  arrange();
}

/** Other topics: what is not covered any more goes. */
function chooseTopics(text) {
  const names = [...new Set(text.split(/[\s,]+/).filter(Boolean))];
  view.topics = names.length ? names : [">"];
  writeAddress(); topics.clear(); held.clear(); table.clear(); tooMany = false; acknowledged = 0; follow(); showState();
}

function lockFor(error) { lock(token ? "The gateway does not take this token: " + error.message : ""); }
function lock(reason) {
  if (locked) return;
  locked = true; token = ""; store(sessionStorage, TOKEN, "");
  say("locked-why", reason);
  rc.close();
  showState();
  $("token").focus();
}

function get(path) { return fetch(path, { headers: token ? { Authorization: "Bearer " + token } : {}, signal: AbortSignal.timeout(10000) }); }

/* ---- updates */

let received = 0;
const delays = { values: new Float64Array(DELAYS), used: 0 };
const clock = { aheadMs: 0, rttMs: Infinity, readAt: 0, askedAt: 0 };

function known(name) {
  let topic = topics.get(name);
  if (topic) return topic;
  if (topics.size >= TOPICS_MAX) { tooMany = true; return null; }
  topics.set(name, topic = new Topic(name));
  wantArrange();
  return topic;
}

function take(update) {
  received++;
  const now = performance.timeOrigin + performance.now();
  if (update.ts / 1000 > openedAt) delays.values[delays.used++ % DELAYS] = now + clock.aheadMs - update.ts / 1000;      // older ones are snapshots: their age is no delay
  if (paused) { skipped++; held.set(update.topic, update); return; }
  show(update, now);
}

function show(update, now) {
  const topic = known(update.topic);
  if (!topic?.take(update, Math.min(now, update.ts / 1000 - clock.aheadMs))) return;
  if (topic.node) { table.touch(topic); wantHistory(topic); }
  if (history_.topic === topic) history_.add(update);
}

/* The least disturbed of some pings tells how the clocks stand. */
async function readClock() {
  const mine = rc;
  clock.askedAt = performance.now();
  for (let i = 0; i < 4; i++) {
    try {
      const { aheadMs, rttMs } = await mine.clock();
      if (mine !== rc) return;
      if (rttMs < clock.rttMs || performance.now() - clock.readAt > CLOCK_AGE_MS) Object.assign(clock, { aheadMs, rttMs, readAt: performance.now() });
    } catch { return; }
    await new Promise(resolve => setTimeout(resolve, 150));
  }
}
/* Soon again while the page is still busy with its beginning; then now and then, since clocks drift. */
setInterval(() => { if (phase === "live" && !document.hidden && (Date.now() - openedAt < CLOCK_FIRST_MS || performance.now() - clock.askedAt > CLOCK_MS)) readClock(); }, CLOCK_SOON_MS);

/* A spark line need not begin empty: the topic's window holds what came before. Only for rows in sight, a few at a time. */
const histories = []; let historiesRunning = 0;
function wantHistory(topic) {
  if (topic.historyAsked || topic.value === null || topic.firstSeq < 2) return;
  topic.historyAsked = true;
  if (JSON.stringify(topic.data).length > PAYLOAD_CHARS_MAX) return;
  histories.push(topic);
  if (historiesRunning < HISTORIES_AT_ONCE) runHistories();
}
async function runHistories() {
  historiesRunning++;
  for (let topic; (topic = histories.shift());) {
    if (!topic.node) { topic.historyAsked = false; continue; }      // out of sight again
    try {
      const reply = await get("/v1/topics/" + encodeURIComponent(topic.name) + "/history?limit=" + HISTORY_MAX + "&after=" + Math.max(0, topic.firstSeq - 1 - HISTORY_MAX));
      if (!reply.ok) continue;
      const { epoch, updates } = await reply.json();
      if (topic.addHistory(epoch, updates)) table.touch(topic);
    } catch { /* the line grows from live updates then */ }
  }
  historiesRunning--;
}

/* ---- what surrounds the table */

let arrangeTimer = 0, shown = 0;
function wantArrange() { if (!arrangeTimer) arrangeTimer = setTimeout(arrange, 30); }
function arrange() {
  clearTimeout(arrangeTimer); arrangeTimer = 0;
  shown = table.arrange(topics.values());
  say("n-topics", count(shown)); say("n-of", view.find ? "of " + count(topics.size) : "");
  showState();
}

const panels = ["locked", "failed", "empty", "nomatch"];
function showState() {
  const left = Math.max(0, Math.ceil((retryAt - Date.now()) / 1000)), none = topics.size === 0;
  const words = locked ? "Token needed" : { connecting: everOpen ? "Reconnecting" : "Connecting", live: paused ? "Paused" : "Live", waiting: "Reconnecting in " + left + " s", closed: "Closed" }[phase];
  say("pill", words);
  speak(phase === "waiting" ? "Connection lost, reconnecting" : phase === "closed" && !locked ? "Connection closed. " + why : words);      // a countdown read aloud helps nobody
  document.body.dataset.state = locked ? "locked" : paused && phase === "live" ? "paused" : phase;
  const down = !locked && why !== "" && (phase !== "live" || !everOpen);
  const panel = locked ? "locked" : none && down ? "failed" : none && phase === "live" && acknowledged && Date.now() - acknowledged > 450 && !refusal ? "empty" : !none && view.find && !shown ? "nomatch" : "";
  for (const name of panels) $("panel-" + name).hidden = name !== panel;
  say("failed-why", why && sentence(why)); say("failed-next", phase === "waiting" ? "Next try in " + left + " s." : phase === "closed" ? "" : "Trying now.");
  say("empty-what", view.topics.join() === ">" ? "The gateway is up and holds no topic." : "The gateway is up and has no topic for " + view.topics.join(", ") + ".");
  say("lost-text", why ? sentence(why) + (phase === "waiting" ? " Next try in " + left + " s." : phase === "connecting" ? " Trying now." : "") + " The values below are the last ones received." : "");
  $("lost").hidden = none || !down;
  $("held").hidden = !paused; say("held-text", paused ? `Paused. ${count(skipped)} update${skipped === 1 ? "" : "s"} skipped so far; nothing is kept but the newest of each topic.` : "");
  $("refused").hidden = !refusal || locked; say("refused", refusal ? sentence("The gateway refuses this view: " + refusal) : "");
  $("too-many").hidden = !tooMany; say("too-many", tooMany ? `There are more topics: the first ${count(TOPICS_MAX)} are shown. Ask for fewer, as crypto.* does.` : "");
  $("stats").hidden = $("tools").hidden = locked || (none && down);
  $("table").hidden = locked || panel === "failed" || panel === "empty" || panel === "nomatch" || (none && refusal !== "");
  $("ghosts").hidden = !none || locked || panel !== "" || refusal !== "";
  $("forget").hidden = !token;
  $("forget").textContent = "Forget the token";
  measureSoon();
}
let spoken = "";
function speak(words) { if (words !== spoken) say("spoken", spoken = words); }
let measuring = 0, heightBefore = -1;
function measureSoon() {                         // the table moves when something above it comes or goes
  if (measuring) return;
  measuring = requestAnimationFrame(() => {
    measuring = 0;
    const top = $("rows").offsetTop + $("table").offsetTop;
    if (top !== heightBefore) { heightBefore = top; table.measure(); }
  });
}

/* ---- figures, once a second */

const rates = []; let countedReceived = 0, countedAt = performance.now();
function tick() {
  const now = performance.now(), seconds = (now - countedAt) / 1000;
  if (phase === "waiting" || paused) showState();
  if (seconds < 0.9) return;
  const rate = (received - countedReceived) / seconds;
  countedAt = now; countedReceived = received;
  if (everOpen) { rates.push(rate); if (rates.length > SECONDS) rates.shift(); }
  let published = 0, synthetic = 0, up = 0, downs = 0, quotes = false, volume = false;
  for (const topic of topics.values()) {
    if (!paused) topic.tick(seconds);
    published += topic.published;
    const { trend } = topic.change;
    up += trend === "up"; downs += trend === "down"; synthetic += topic.reading.synthetic;
    quotes ||= topic.reading.bid !== null || topic.reading.ask !== null; volume ||= topic.reading.volume !== null;
  }
  if (document.hidden) return;
  const shortly = rates.slice(-5), mean = shortly.reduce((sum, one) => sum + one, 0) / (shortly.length || 1);
  say("rate", everOpen ? count(Math.round(view.hz ? mean : rate)) : "–");
  say("rate-of", !paused && published > mean * 1.2 + 2 ? "of " + compact(Math.round(published)) + " published" : "");
  drawRates();
  const sample = delays.values.slice(0, Math.min(delays.used, DELAYS)).sort();
  say("delay-what", view.hz ? "Median delay, waiting for max_hz included" : "Median delay");
  const measured = sample.length > 0 && clock.rttMs < Infinity, median = sample[sample.length >> 1], error = clock.rttMs / 2;
  say("delay", !measured ? "–" : median < error ? "< " + delayText(error).replace("< ", "") : delayText(median));
  say("delay-p99", measured ? `99 %: ${delayText(sample[Math.floor(sample.length * 0.99)])} · ± ${delayText(error).replace("< ", "")}`.replace(/(?<!·) (?!·)/g, "\u00a0") : "");
  if (!paused) {
    say("n-up", "▲ " + count(up)); say("n-down", "▼ " + count(downs));
    for (const [id, share] of [["b-up", up], ["b-flat", topics.size - up - downs], ["b-down", downs]]) { $(id).style.flexGrow = share; $(id).hidden = !share; }
  }
  $("table").classList.toggle("no-quotes", !quotes); $("table").classList.toggle("no-volume", !volume);
  $("synthetic").hidden = !synthetic;
  say("synthetic", synthetic ? (synthetic === topics.size ? "Synthetic demo data" : count(synthetic) + " of " + count(topics.size) + " topics carry synthetic demo data") + ": made up, not market prices." : "");
  if (!paused && view.sort !== "name") shown = table.arrange(topics.values());
  table.tick();
  measureSoon();
}
setInterval(tick, 500);

function drawRates() {
  const canvas = $("rate-chart"), pen = canvas.getContext("2d"), ratio = devicePixelRatio, width = 170, height = 46, most = Math.max(...rates, 1);
  if (canvas.width !== width * ratio) { canvas.width = width * ratio; canvas.height = height * ratio; }
  pen.setTransform(ratio, 0, 0, ratio, 0, 0); pen.clearRect(0, 0, width, height);
  pen.fillStyle = getComputedStyle($("probe-accent")).color;
  rates.forEach((rate, i) => { const tall = Math.max(1, rate / most * (height - 2)), x = width - (rates.length - i) * (width / SECONDS); pen.globalAlpha = i === rates.length - 1 ? 1 : 0.4; pen.fillRect(x, height - tall, width / SECONDS - 0.8, tall); });
}

/* ---- hands */

function setPaused(next) {
  if (paused === next) return;
  paused = next; table.frozen = next; skipped = 0;
  if (!next) {
    const now = performance.timeOrigin + performance.now();
    for (const update of held.values()) show(update, now);
    held.clear();
    for (const topic of topics.values()) { topic.receivedBefore = topic.received; topic.seqBefore = topic.seq; }      // what was skipped is no rate
    table.thaw();
  }
  $("pause").setAttribute("aria-pressed", String(next)); $("pause-word").textContent = next ? "Resume" : "Pause";
  showState();
}
$("pause").onclick = $("resume").onclick = () => { const from = document.activeElement; setPaused(!paused); if (from === $("resume")) $("pause").focus(); };

let findTimer = 0;
function find(text) {
  view.find = text.trim();
  table.needle = view.find; arrange();
  clearTimeout(findTimer);
  findTimer = setTimeout(() => { writeAddress(); speak(view.find ? `${count(shown)} of ${count(topics.size)} topics` : `${count(topics.size)} topics`); }, 500);
}
$("find").oninput = () => find($("find").value);
$("clear").onclick = () => { $("find").value = ""; find(""); $("find").focus(); };
for (const input of document.querySelectorAll("input[name=hz]")) input.onchange = () => { view.hz = +input.value; writeAddress(); follow(); };
for (const input of document.querySelectorAll("input[name=mode]")) input.onchange = () => { view.mode = input.value; if (view.mode === "every") view.hz = 0; writeAddress(); follow(); };
$("topics-form").onsubmit = event => { event.preventDefault(); chooseTopics($("topics").value); };
$("sort").onchange = () => { const value = $("sort").value; view.down = value.startsWith("-"); view.sort = value.replace("-", ""); writeAddress(); arrange(); };
for (const button of document.querySelectorAll("[role=columnheader] button")) button.onclick = () => sortBy(button.parentElement.dataset.sort);
$("token-form").onsubmit = event => { event.preventDefault(); token = $("token").value.trim(); $("token").value = ""; if (token) { say("locked-why", ""); connect(); } };
$("forget").onclick = () => { token = ""; store(sessionStorage, TOKEN, ""); topics.clear(); table.clear(); connect(); };
for (const button of document.querySelectorAll(".retry")) button.onclick = connect;
for (const button of document.querySelectorAll("[data-copy]")) button.onclick = () => copy($(button.dataset.copy), button);
$("more").onclick = () => { const open = $("tools").classList.toggle("open"); $("more").setAttribute("aria-expanded", String(open)); measureSoon(); };
const themes = ["", "light", "dark"];
function setTheme(theme) {
  document.documentElement.style.colorScheme = theme || "light dark"; document.documentElement.dataset.theme = theme;
  const word = theme ? capital(theme) : "Automatic";
  $("theme").title = $("theme").ariaLabel = `Colours: ${word.toLowerCase()}`;
  store(localStorage, THEME, theme); table.measure();
}
$("theme").onclick = () => setTheme(themes[(themes.indexOf(document.documentElement.dataset.theme) + 1) % 3]);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => table.measure());
addEventListener("keydown", event => {
  if (event.key === "/" && !event.ctrlKey && !event.metaKey && !event.altKey && !event.target.closest?.("input, select, dialog")) { event.preventDefault(); $("find").focus(); }
  if (event.key === "Escape" && event.target === $("find")) { $("find").value = ""; find(""); }
  if (event.key === "ArrowDown" && event.target === $("find")) { event.preventDefault(); $("rows").querySelector("[tabindex='0']")?.focus(); }
});
addEventListener("hashchange", () => { const before = view.topics.join(); readAddress(); showView(); if (view.topics.join() !== before) chooseTopics(view.topics.join()); else follow(); });
$("skip").onclick = event => { event.preventDefault(); table.focusStop(); };      // a fragment would be a view
document.addEventListener("visibilitychange", () => { if (!document.hidden) table.touchAll(); });

/* ---- beginning */

function exampleOfSubscribing() {
  const wsUrl = location.origin.replace(/^http/, "ws"), options = [view.mode === "every" ? 'mode: "every"' : "", view.hz ? "maxHz: " + view.hz : ""].filter(Boolean).map(text => text + ", ").join("");
  return `// in a browser or in Node: what this board shows now
import { Ringcast } from "${location.origin}/ringcast.js";
new Ringcast("${wsUrl}").subscribe(${JSON.stringify(view.topics)}, { ${options}onUpdate: ({ topic, seq, data }) => console.log(topic, seq, data) });

# in a terminal
ringcast tail ${quoted(wsUrl)} ${view.topics.map(quoted).join(" ")}
curl -N ${quoted(location.origin + "/v1/stream?topics=" + view.topics.map(encodeURIComponent).join())}`;
}
say("ex-publish", `curl -H 'Authorization: Bearer YOUR_KEY' \\\n     -d '{"p":189.32,"name":"My first topic"}' \\\n     ${location.origin}/v1/topics/my.first`);
say("ex-health", "curl -i " + location.origin + "/healthz");
readAddress(); setTheme(themes.includes(stored(localStorage, THEME)) ? stored(localStorage, THEME) : ""); showView(); connect(); showState();
