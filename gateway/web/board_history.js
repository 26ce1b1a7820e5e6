/* One topic in full: its history from the gateway, then live; a chart, the last values, the payload, and how to get the same elsewhere.
 * Names and payloads get to the page as text nodes and strokes of the pen alone. */
import { ageText, changeOf, clockText, compact, count, format, quoted, rateText, readingOf, shortJson } from "/board_values.js";

const UPDATES_MAX = 3000, HISTORY_MAX = 1000, TABLE_ROWS = 12, PAINT_MS = 150, PAYLOAD_CHARS_MAX = 20000;

const $ = id => document.getElementById(id);
const say = (id, text) => { if ($(id).textContent !== text) $(id).textContent = text; };      // else what a reader has selected would be lost
export const element = (tag, ...content) => { const made = document.createElement(tag); made.append(...content); return made; };

export class History {
  #get; #topic = null; #turn = 0; #updates = []; #loaded = false; #frame = 0; #paintedAt = 0; #cursor = null; #points = []; #tab = "curl"; #payload = "";

  /** get(path): fetches from the gateway, with the token. closed(topic): the reader is back at the table. */
  constructor({ get, closed }) {
    this.#get = get;
    const dialog = $("detail"), chart = $("d-chart");
    $("d-close").onclick = () => dialog.close();
    dialog.onclick = event => { if (event.target === dialog) dialog.close(); };      // beside the sheet
    dialog.onclose = () => { if (dialog.open) return; const topic = this.#topic; this.#topic = null; this.#turn++; this.#updates = []; closed(topic); };
    chart.onpointermove = event => { this.#cursor = event.clientX - chart.getBoundingClientRect().left; this.#want(); };
    chart.onpointerleave = () => { this.#cursor = null; this.#want(); };
    const tabs = [...$("d-tabs").querySelectorAll("[role=tab]")];
    for (const tab of tabs) tab.onclick = () => this.#choose(tab);
    $("d-tabs").onkeydown = event => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!step) return;
      event.preventDefault();
      const next = tabs[(tabs.indexOf(event.target) + step + tabs.length) % tabs.length];
      this.#choose(next); next.focus();
    };
    $("d-copy").onclick = () => copy($("d-snippet"), $("d-copied"));
    new ResizeObserver(() => this.#want()).observe(chart);
  }

  get topic() { return this.#topic; }

  async open(topic) {
    const turn = ++this.#turn;
    this.#topic = topic; this.#updates = []; this.#loaded = false; this.#cursor = null; this.#payload = "";
    say("d-title", topic.name); say("d-copied", ""); say("d-note", "Loading the history…");
    $("d-data").textContent = "";
    this.#choose($("d-tabs").querySelector(`[data-tab=${this.#tab}]`));
    $("detail").showModal();
    $("d-sheet").scrollTop = 0;
    this.paint();
    try {
      const reply = await this.#get("/v1/topics/" + encodeURIComponent(topic.name) + "/history?limit=" + HISTORY_MAX + "&after=" + Math.max(0, topic.seq - HISTORY_MAX));
      const body = await reply.json();
      if (turn !== this.#turn) return;
      if (!reply.ok) throw new Error(body.error?.message ?? "HTTP " + reply.status);
      const before = body.epoch === topic.epoch ? body.updates.map(update => entry(update)) : [], last = before.length ? before[before.length - 1].seq : 0;
      this.#updates = before.concat(this.#updates.filter(({ seq }) => seq > last));      // what came live meanwhile
      say("d-note", "");
    } catch (error) {
      if (turn !== this.#turn) return;
      say("d-note", "The history can't be had (" + error.message + "): the chart grows from live updates.");
    }
    this.#loaded = true;
    this.paint();
  }

  /** An update of the open topic. */
  add(update) {
    if (this.#updates.length && update.epoch !== this.#topic.epoch) this.#updates = [];
    const last = this.#updates[this.#updates.length - 1];
    if (last && update.seq <= last.seq) this.#updates = [];      // its numbering began anew
    this.#updates.push(entry(update));
    if (this.#updates.length > UPDATES_MAX) this.#updates.splice(0, UPDATES_MAX >> 2);
    this.#want();
  }

  #want() { if (this.#topic && !this.#frame) this.#frame = requestAnimationFrame(now => { this.#frame = 0; if (now - this.#paintedAt < PAINT_MS && this.#cursor === null) return this.#want(); this.#paintedAt = now; this.paint(); }); }

  paint() {
    const topic = this.#topic;
    if (!topic) return;
    const { value, reading, decimals } = topic, change = topic.change, price = number => number !== null && format(number, decimals);
    say("d-name", [topic.label, topic.reading.synthetic ? "synthetic, not a market price" : ""].filter(Boolean).join(" · "));
    say("d-price", value === null ? "" : format(value, decimals));
    say("d-change", change.text && change.text + " since " + clockText(topic.firstTs).slice(0, 8));
    $("d-change").className = change.trend;
    const facts = [["Bid", price(reading.bid)], ["Ask", price(reading.ask)], ["Volume", reading.volume !== null && count(reading.volume)], ["Sequence", "#" + count(topic.seq)], ["Epoch", topic.epoch],
      ["Published", rateText(topic.published) + " a second"], ["Received here", rateText(topic.rate) + " a second"], ["Gateway's time", clockText(topic.ts)], ["Last update", ageText(Date.now() - topic.at)],
      ["Skipped", topic.skipped > 0 && count(topic.skipped)], ["Lost in gaps", topic.lost > 0 && count(topic.lost)]].filter(([, text]) => text);
    const list = $("d-facts");
    if (list.childElementCount !== facts.length) list.replaceChildren(...facts.map(() => element("div", element("dt"), element("dd"))));
    facts.forEach(([name, text], i) => { const [dt, dd] = list.children[i].children; if (dt.textContent !== name) dt.textContent = name; if (dd.textContent !== text) dd.textContent = text; });
    const payload = JSON.stringify(topic.data, null, 2) ?? "", shown = payload.length > PAYLOAD_CHARS_MAX ? payload.slice(0, PAYLOAD_CHARS_MAX) + "\n… " + compact(payload.length) + " characters in all" : payload;
    if (shown !== this.#payload && !selectionWithin($("d-data"))) { this.#payload = shown; say("d-data", shown); }
    this.#paintTable(topic);
    this.#paintChart(topic, change.trend);
  }

  #paintTable(topic) {
    const updates = this.#updates, rows = [];
    for (let i = updates.length - 1; i >= 0 && rows.length < TABLE_ROWS; i--) {
      const one = updates[i], before = updates[i - 1], change = before ? changeOf(before.value, one.value, topic.decimals) : { text: "", trend: "" };
      rows.push({ key: one.seq, cells: [clockText(one.ts), "#" + count(one.seq), one.value === null ? shortJson(one.data, 90) : format(one.value, topic.decimals), one.value === null ? "" : change.text], trend: change.trend });
      if (before && one.seq > before.seq + 1) rows.push({ key: "gap" + one.seq, gap: count(one.seq - before.seq - 1) + " not shown: #" + count(before.seq + 1) + (one.seq > before.seq + 2 ? " to #" + count(one.seq - 1) : "") });
    }
    const body = $("d-rows");
    if (body.dataset.key === rows.map(({ key }) => key).join()) return;
    $("d-table").dataset.kind = topic.value === null ? "text" : "number";
    body.dataset.key = rows.map(({ key }) => key).join();
    body.replaceChildren(...rows.map(({ cells, gap, trend }) => {
      if (gap) { const cell = Object.assign(element("td", gap), { colSpan: 4 }), row = element("tr", cell); row.className = "hole"; return row; }
      const row = element("tr", ...cells.map(text => element("td", text)));
      row.dataset.trend = trend;
      return row;
    }));
  }

  /* ---- the chart: a line over time, the lowest and highest of each pixel where there are more points than these */

  #paintChart(topic, trend) {
    const canvas = $("d-chart"), points = this.#points = this.#updates.filter(({ value }) => value !== null), ratio = devicePixelRatio;
    const none = points.length < 2;
    if (canvas.hidden !== none) canvas.hidden = none;
    say("d-nochart", none && this.#loaded ? (topic.value === null ? "This topic's payloads hold no number to draw." : "Two updates make a line: waiting for the next.") : "");
    if (none) return;
    const width = canvas.clientWidth, height = canvas.clientHeight, pen = canvas.getContext("2d");
    if (!width) return;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) { canvas.width = Math.round(width * ratio); canvas.height = Math.round(height * ratio); }
    const colour = name => getComputedStyle($("probe-" + name)).color, dim = colour("dim"), line = colour(trend || "dim");
    const first = points[0].ts, last = points[points.length - 1].ts;
    let low = Infinity, high = -Infinity;
    for (const { value } of points) { if (value < low) low = value; if (value > high) high = value; }
    canvas.setAttribute("aria-label", `${count(points.length)} values from ${clockText(first)} to ${clockText(last)}: lowest ${format(low, topic.decimals)}, highest ${format(high, topic.decimals)}, newest ${format(points[points.length - 1].value, topic.decimals)}`);
    if (high === low) { const room = Math.abs(high) * 0.001 || 1; low -= room; high += room; }
    const room = (high - low) * 0.06; low -= room; high += room;
    const font = "11px " + getComputedStyle(document.body).fontFamily;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0); pen.clearRect(0, 0, width, height); pen.font = font;
    const ticks = niceTicks(low, high, 6), decimals = Math.max(0, Math.min(8, -Math.floor(Math.log10(ticks.step) + 1e-9)));
    const labels = ticks.values.map(value => format(value, decimals)), right = width - 8 - Math.max(...labels.map(text => pen.measureText(text).width)), bottom = height - 20, top = 6;
    const x = ts => last > first ? (ts - first) / (last - first) * (right - 1) : right / 2, y = value => bottom - (value - low) / (high - low) * (bottom - top);
    pen.lineWidth = 1; pen.fillStyle = pen.strokeStyle = dim; pen.textBaseline = "middle"; pen.textAlign = "left";
    ticks.values.forEach((value, i) => {
      const at = Math.round(y(value)) + 0.5;
      pen.globalAlpha = 0.22; pen.beginPath(); pen.moveTo(0, at); pen.lineTo(right, at); pen.stroke();
      pen.globalAlpha = 1; pen.fillText(labels[i], right + 6, at);
    });
    pen.textBaseline = "alphabetic";
    const times = Math.max(2, Math.min(6, Math.floor(right / 110))), fine = last - first < 8e6;
    for (let i = 0; i < times; i++) {
      const ts = first + (last - first) * i / (times - 1), at = x(ts);
      pen.textAlign = i === 0 ? "left" : i === times - 1 ? "right" : "center";
      pen.fillText(clockText(ts).slice(0, fine ? 10 : 8), at, height - 4);
      pen.globalAlpha = 0.22; pen.beginPath(); pen.moveTo(Math.round(at) + 0.5, bottom); pen.lineTo(Math.round(at) + 0.5, bottom + 4); pen.stroke(); pen.globalAlpha = 1;
    }
    pen.strokeStyle = pen.fillStyle = line; pen.lineWidth = 1.6; pen.lineJoin = "round";
    pen.beginPath();
    let column = -1, least = 0, most = 0, before = null;      // a step at each update: a value holds until the next
    for (const { ts, value } of points) {
      const at = x(ts), height_ = y(value);
      if (Math.floor(at) === column) {
        if (height_ < most || height_ > least) { pen.lineTo(at, height_); most = Math.min(most, height_); least = Math.max(least, height_); before = height_; }
        else before = height_;
        continue;
      }
      if (before !== null) pen.lineTo(at, before);
      pen.lineTo(at, height_);
      column = Math.floor(at); least = most = before = height_;
    }
    pen.stroke();
    pen.lineTo(x(last), bottom); pen.lineTo(x(first), bottom); pen.globalAlpha = 0.09; pen.fill(); pen.globalAlpha = 1;
    pen.beginPath(); pen.arc(x(last), y(points[points.length - 1].value), 3, 0, 7); pen.fill();
    if (this.#cursor === null) return;
    const ts = first + Math.min(1, Math.max(0, this.#cursor / (right - 1))) * (last - first);
    let from = 0, to = points.length - 1;        // the last update at or before the pointer
    while (from < to) { const middle = (from + to + 1) >> 1; if (points[middle].ts <= ts) from = middle; else to = middle - 1; }
    const one = points[from], at = x(one.ts), text = `${format(one.value, topic.decimals)}  ·  ${clockText(one.ts)}  ·  #${count(one.seq)}`, size = pen.measureText(text).width + 16;
    pen.strokeStyle = dim; pen.lineWidth = 1; pen.beginPath(); pen.moveTo(at, top); pen.lineTo(at, bottom); pen.stroke();
    pen.beginPath(); pen.arc(at, y(one.value), 4, 0, 7); pen.fill();
    const box = Math.min(Math.max(0, at - size / 2), right - size);
    pen.fillStyle = colour("text"); pen.beginPath(); pen.roundRect(box, top, size, 22, 6); pen.fill();
    pen.fillStyle = colour("card"); pen.textAlign = "left"; pen.textBaseline = "middle"; pen.fillText(text, box + 8, top + 11.5);
  }

  /* ---- the same elsewhere */

  #choose(tab) {
    for (const other of $("d-tabs").querySelectorAll("[role=tab]")) { other.setAttribute("aria-selected", String(other === tab)); other.tabIndex = other === tab ? 0 : -1; }
    $("d-snippet").setAttribute("aria-labelledby", tab.id);
    this.#tab = tab.dataset.tab;
    const { name } = this.#topic, path = location.origin + "/v1/topics/" + encodeURIComponent(name);
    const wsUrl = location.origin.replace(/^http/, "ws");
    say("d-snippet", {
      curl: `curl ${quoted(path)}\ncurl ${quoted(path + "/history?limit=100")}`,
      js: `import { Ringcast } from "${location.origin}/ringcast.js";\n\nconst rc = new Ringcast("${wsUrl}");\nrc.subscribe(${JSON.stringify(name)}, {\n  onUpdate: ({ seq, data }) => console.log(seq, data),\n});`,
      tail: `ringcast tail ${quoted(wsUrl)} ${quoted(name)}`,
    }[this.#tab]);
    say("d-copied", "");
  }
}

function entry({ seq, ts, data }) { return { seq, ts, data, value: readingOf(data).value }; }

function niceTicks(low, high, about) {
  const raw = (high - low) / about, power = 10 ** Math.floor(Math.log10(raw)), step = [1, 2, 2.5, 5, 10].find(one => one * power >= raw) * power, values = [];
  for (let i = Math.ceil(low / step); i * step <= high && values.length < 12; i++) values.push(i * step);
  return { values, step: step / power === 2.5 ? power / 10 * 5 : step };
}

function selectionWithin(node) { const selection = getSelection(); return selection && !selection.isCollapsed && node.contains(selection.anchorNode); }

/** Copies what an element shows; where the page may not (plain HTTP from elsewhere), selects it. */
export async function copy(from, told) {
  try {
    await navigator.clipboard.writeText(from.textContent);
    told.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(from);
    told.textContent = "Selected: copy with Ctrl or Cmd and C";
  }
}
