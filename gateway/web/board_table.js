/* The table of topics: rows exist only for what is in sight and for the one that has the focus, so that a table of thousands costs what a
 * screenful does. It writes to the page in animation frames alone, and reads the layout only when the window's size changes.
 * Text gets there as text nodes: nothing that a topic or a payload says is ever markup. */
import { ageText, compact, count, format, rateText, shortJson } from "/board_values.js";

const PAINT_MS = 110, FLASH_MS = 500;            // a row is painted and flashes at most that often: an eye can't follow more
const ARRANGE_MS = 200;
const OVERSCAN = 6;                              // rows above and below what is in sight
const NODES_FREE_MAX = 100;

const calm = matchMedia("(prefers-reduced-motion: reduce)");
const put = (node, text) => { if (node.data !== text) node.data = text; };      // writing the same again would cost a layout

const ORDERS = {
  name: (a, b) => a.name < b.name ? -1 : 1,
  change: (a, b) => b.sortKey - a.sortKey || ORDERS.name(a, b),
  volume: (a, b) => b.sortKey - a.sortKey || ORDERS.name(a, b),
  rate: (a, b) => b.sortKey - a.sortKey || ORDERS.name(a, b),
};
const KEYS = {
  name: () => 0,
  change: topic => topic.value === null ? -Infinity : topic.change.share,
  volume: topic => topic.reading.volume ?? -Infinity,
  rate: topic => topic.published || topic.rate,
};

export class Table {
  #body; #template; #open; #wanted;
  #order = []; #shown = new Map(); #free = []; #dirty = []; #frame = 0;
  #height = 44; #top = 0; #stuck = 0; #width = 0;
  #stop = null;                                  // the topic at which Tab stops
  #colours = {}; #ratio = 1; #made = 0; #arranging = 0;
  sort = "name"; descending = false; needle = ""; frozen = false;

  /** open(topic): it was chosen. wanted(topic): it came into sight. */
  constructor({ body, template, open, wanted }) {
    this.#body = body; this.#template = template; this.#open = open; this.#wanted = wanted;
    body.addEventListener("click", event => { const node = event.target.closest(".row"); if (node?.topic?.seq) { this.#stopAt(node.topic); open(node.topic); } });
    body.addEventListener("keydown", event => this.#key(event));
    body.addEventListener("focusin", event => { const node = event.target.closest(".row"); if (node?.topic) this.#stopAt(node.topic); });
    addEventListener("scroll", () => this.#want(), { passive: true });
    new ResizeObserver(() => this.measure()).observe(document.body);
    calm.addEventListener("change", () => this.measure());
  }

  /** After whatever may move or resize it. */
  measure() {
    const style = getComputedStyle(this.#body);
    const height = parseFloat(style.getPropertyValue("--row")) || 44;
    if (height !== this.#height) {               // a phone was turned: rows stand elsewhere
      this.#height = height;
      for (const topic of this.#shown.keys()) topic.node.place = -1;
      this.#body.style.height = this.#order.length * height + "px";
    }
    this.#stuck = parseFloat(style.getPropertyValue("--stuck")) || 0;
    this.#top = this.#body.getBoundingClientRect().top + scrollY;
    this.#width = innerWidth; this.#ratio = devicePixelRatio;
    for (const name of ["up", "down", "dim"]) this.#colours[name] = getComputedStyle(document.getElementById("probe-" + name)).color;
    for (const topic of this.#shown.keys()) this.touch(topic);
    this.#want();
  }

  /** Something of this topic is new. */
  touch(topic) {
    if (topic.dirty || !topic.node) return;
    topic.dirty = true; this.#dirty.push(topic);
    this.#want();
  }

  /** For who skips what stands before the table. */
  focusStop() { this.#stop?.node?.focus(); }

  touchAll() { for (const topic of this.#shown.keys()) this.touch(topic); }

  /** Filters and sorts anew. @param topics all there are; @returns how many are shown */
  arrange(topics) {
    const needle = this.needle.toLowerCase(), key = KEYS[this.sort], order = [];
    for (const topic of topics) {
      if (needle && !topic.name.toLowerCase().includes(needle) && !topic.label.toLowerCase().includes(needle)) continue;
      topic.sortKey = key(topic);
      order.push(topic);
    }
    order.sort(ORDERS[this.sort]);
    if (this.descending === (this.sort === "name")) order.reverse();
    this.#order = order;
    for (let i = 0; i < order.length; i++) order[i].place = i;
    this.#body.style.height = order.length * this.#height + "px";
    this.#body.parentElement.setAttribute("aria-rowcount", String(order.length + 1));
    if (this.#stop && this.#order[this.#stop.place] !== this.#stop) this.#stop = null;
    this.#want();
    return order.length;
  }

  /** All rows go, as for other topics. */
  clear() {
    for (const topic of [...this.#shown.keys()]) this.#drop(topic);
    for (const node of this.#free) node.remove();
    this.#order = []; this.#dirty.length = 0; this.#stop = null;
  }

  #want() { if (!this.#frame) this.#frame = requestAnimationFrame(now => this.#paintAll(now)); }

  #paintAll(now) {
    this.#frame = 0;
    this.#place();
    const later = [];
    for (const topic of this.#dirty) {
      if (!topic.node) { topic.dirty = false; continue; }
      if (this.frozen && topic.node.painted) { later.push(topic); continue; }
      if (now - topic.node.paintedAt < PAINT_MS) { later.push(topic); continue; }      // soon
      topic.dirty = false;
      this.#paint(topic, now);
    }
    this.#dirty = later;
    if (later.length && !this.frozen) this.#want();
  }

  thaw() { this.frozen = false; this.#want(); }

  /* ---- which rows there are */

  #place() {
    const from = Math.max(0, Math.floor((scrollY - this.#top) / this.#height) - OVERSCAN);
    const to = Math.min(this.#order.length, Math.ceil((scrollY + innerHeight - this.#top) / this.#height) + OVERSCAN);
    const focused = this.#body.contains(document.activeElement) ? document.activeElement.closest(".row")?.topic : null;
    for (const topic of [...this.#shown.keys()]) {
      const stands = this.#order[topic.place] === topic;
      if (!stands || (topic !== focused && (topic.place < from || topic.place >= to))) this.#drop(topic);
    }
    let moved = false;
    for (let i = from; i < to; i++) moved = this.#show(this.#order[i]) || moved;
    if (focused?.node) moved = this.#show(focused) || moved;
    for (const node of this.#free) if (node.isConnected) node.remove();      // what found no use in another place
    if (moved) this.#arrangeSoon();
    if (!this.#stop || !this.#stop.node) {
      const first = this.#order[Math.min(this.#order.length - 1, Math.max(0, Math.ceil((scrollY + this.#stuck - this.#top) / this.#height)))];
      if (first?.node && !focused) this.#stopAt(first);
    }
  }

  /* True where rows no longer stand in the page as they do on the screen. */
  #show(topic) {
    let made = false, { node } = topic;
    if (!node) {
      node = topic.node = this.#free.pop() ?? this.#make();
      node.topic = topic; node.painted = false; node.paintedAt = -1e9; node.flashedAt = -1e9; node.flashDir = ""; node.place = -1; node.shown = ""; node.shownValue = null; node.epoch = topic.epoch;
      node.tabIndex = topic === this.#stop ? 0 : -1;
      put(node.text.before, topic.before); put(node.text.last, topic.last); node.sym.title = topic.name;
      this.#shown.set(topic, node);
      if (!node.isConnected) this.#body.append(node);
      this.touch(topic); this.#wanted(topic);
      made = true;
    }
    if (node.place === topic.place) return made;
    node.place = topic.place;
    node.style.transform = `translateY(${topic.place * this.#height}px)`;
    node.setAttribute("aria-rowindex", String(topic.place + 2));
    node.classList.toggle("odd", topic.place % 2 === 1);
    return true;
  }

  /* A reader of the page follows its order. Not while one scrolls: moving rows within the page is dear. */
  #arrangeSoon() {
    clearTimeout(this.#arranging);
    this.#arranging = setTimeout(() => this.#arrangeNodes(), ARRANGE_MS);
  }

  /* The row that has the focus would lose it by being moved: the others move around it. */
  #arrangeNodes() {
    const focused = this.#body.contains(document.activeElement) ? document.activeElement.closest(".row") : null;
    const nodes = [...this.#shown.values()].sort((a, b) => a.place - b.place), at = focused ? nodes.indexOf(focused) : -1;
    let previous = null;
    for (let i = 0; i < at; i++) if (nodes[i].nextElementSibling !== nodes[i + 1]) this.#body.insertBefore(nodes[i], focused);
    if (at >= 0) previous = focused;
    for (let i = at + 1; i < nodes.length; i++) {
      const next = previous ? previous.nextElementSibling : this.#body.firstElementChild;
      if (next !== nodes[i]) this.#body.insertBefore(nodes[i], next);
      previous = nodes[i];
    }
  }

  #drop(topic) {
    const { node } = topic;
    this.#shown.delete(topic); topic.node = null;
    node.topic = null; node.flash?.cancel();
    if (node === document.activeElement || this.#free.length >= NODES_FREE_MAX) node.remove();      // another topic must not inherit the focus
    if (this.#free.length < NODES_FREE_MAX) this.#free.push(node);
  }

  #make() {
    const node = this.#template.content.firstElementChild.cloneNode(true);
    node.text = {};
    for (const part of node.querySelectorAll("[data-text]")) node.text[part.dataset.text] = part.appendChild(document.createTextNode(""));
    node.sym = node.querySelector(".sym"); node.price = node.querySelector(".price"); node.canvas = node.querySelector("canvas"); node.pen = node.canvas.getContext("2d");
    node.gaps = node.querySelector(".gaps");
    const parts = [node.sym, node.querySelector(".name"), node.price, node.querySelector(".chg")];      // what is read when the row gets the focus
    parts.forEach((part, i) => { part.id = `row-${this.#made}-${i}`; });
    node.setAttribute("aria-labelledby", parts.map(({ id }) => id).join(" "));
    this.#made++;
    return node;
  }

  /* ---- what a row says */

  #paint(topic, now) {
    const { node, value, reading, decimals } = topic, { text } = node;
    node.painted = true; node.paintedAt = now;
    const change = topic.change, none = !topic.seq, price = number => number === null ? "" : format(number, decimals);
    const shown = none ? "no update yet" : value === null ? shortJson(topic.data) : format(value, decimals), kind = none ? "none" : value === null ? "text" : "number";
    const size = kind !== "number" || shown.length < 11 ? "" : shown.length < 14 ? "long" : "longest";
    if (node.dataset.kind !== kind) node.dataset.kind = kind;
    if (node.dataset.size !== size) node.dataset.size = size;
    if (shown !== node.shown || topic.epoch !== node.epoch) {
      let same = 0;                              // only the digits that moved take the colour
      if (shown.length === node.shown.length && value !== null) while (shown[same] === node.shown[same] && same < shown.length) same++;
      put(text.head, shown.slice(0, same)); put(text.tail, shown.slice(same));
      const fresh = !node.shown || value === null || node.shownValue === null || topic.epoch !== node.epoch;
      const dir = fresh || node.shownValue === value ? "" : value > node.shownValue ? "up" : "down";
      if (node.dataset.dir !== dir) node.dataset.dir = dir;
      if (node.shown && !none && !calm.matches && (now - node.flashedAt > FLASH_MS || dir !== node.flashDir)) {
        node.flashedAt = now; node.flashDir = dir; node.flash?.cancel();
        node.flash = node.price.animate({ backgroundColor: [`var(--${dir || "accent"}-bg)`, "transparent"] }, { duration: FLASH_MS, easing: "steps(5)" });      // a smooth fade would paint every frame
      }
      node.shown = shown; node.shownValue = value; node.epoch = topic.epoch;
    }
    if (node.dataset.trend !== change.trend) node.dataset.trend = change.trend;
    const changed = change.text ? "" : "none";
    if (node.dataset.change !== changed) node.dataset.change = changed;
    put(text.label, topic.label); put(text.change, change.text);
    put(text.bid, price(reading.bid)); put(text.ask, price(reading.ask));
    put(text.volume, reading.volume === null ? "" : compact(reading.volume));
    put(text.seq, none ? "" : "#" + count(topic.seq));
    this.#paintSlow(topic);
    this.#drawSpark(node, topic, change.trend);
  }

  /* What changes by time alone. */
  #paintSlow(topic) {
    const { text } = topic.node, none = !topic.seq;
    put(text.rate, none ? "" : rateText(topic.rate) + "/s");
    put(text.published, topic.published > topic.rate * 1.15 + 0.2 ? "of " + rateText(topic.published) : "");
    put(text.gaps, topic.lost ? "gap " + compact(topic.lost) : topic.skipped ? compact(topic.skipped) + " skipped" : "");
    if (topic.node.gaps.dataset.lost !== String(!!topic.lost)) topic.node.gaps.dataset.lost = !!topic.lost;
    put(text.age, none ? "" : ageText(Date.now() - topic.at));
  }

  /** Once a second. */
  tick() {
    if (!this.frozen && !document.hidden) for (const topic of this.#shown.keys()) if (topic.node.painted) this.#paintSlow(topic);
  }

  #drawSpark({ canvas, pen }, { points }, trend) {
    const width = this.#width <= 640 ? 76 : 150, height = 30, ratio = this.#ratio;
    if (canvas.width !== Math.round(width * ratio)) { canvas.width = Math.round(width * ratio); canvas.height = Math.round(height * ratio); }
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    const n = points.length;
    if (n < 2) return;
    let low = Infinity, high = -Infinity;
    for (const value of points) { if (value < low) low = value; if (value > high) high = value; }
    const step = (width - 4) / Math.max(20, n - 1), left = width - 3 - step * (n - 1), y = value => high > low ? height - 3 - (value - low) / (high - low) * (height - 6) : height / 2;
    pen.beginPath();
    for (let i = 0; i < n; i++) pen.lineTo(left + i * step, y(points[i]));
    pen.strokeStyle = pen.fillStyle = this.#colours[trend || "dim"]; pen.lineWidth = 1.5; pen.lineJoin = "round";
    pen.stroke();
    pen.lineTo(left + (n - 1) * step, height); pen.lineTo(left, height);
    pen.globalAlpha = 0.11; pen.fill(); pen.globalAlpha = 1;
    pen.beginPath(); pen.arc(left + (n - 1) * step, y(points[n - 1]), 2, 0, 7); pen.fill();
  }

  /* ---- keys */

  /* One stop for Tab in the whole table; arrows move within it. */
  #stopAt(topic) {
    if (this.#stop?.node) this.#stop.node.tabIndex = -1;
    this.#stop = topic;
    if (topic.node) topic.node.tabIndex = 0;
  }

  #key(event) {
    const topic = event.target.closest(".row")?.topic;
    if (!topic || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); if (topic.seq) this.#open(topic); return; }
    const page = Math.max(1, Math.floor((innerHeight - this.#stuck) / this.#height) - 1);
    const step = { ArrowUp: -1, ArrowDown: 1, PageUp: -page, PageDown: page, Home: -Infinity, End: Infinity }[event.key];
    if (!step || !this.#order.length) return;
    event.preventDefault();
    this.focus(this.#order[Math.min(this.#order.length - 1, Math.max(0, topic.place + step))]);
  }

  /** Brings a topic's row into sight and gives it the focus. */
  focus(topic) {
    const y = this.#top + topic.place * this.#height;
    if (y < scrollY + this.#stuck) scrollTo(0, y - this.#stuck);
    else if (y + this.#height > scrollY + innerHeight) scrollTo(0, y + this.#height - innerHeight + 8);
    this.#stopAt(topic); this.#place();
    topic.node?.focus({ preventScroll: true });
  }
}
