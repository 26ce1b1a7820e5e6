/* Ringcast's client for browsers and Node: one connection, any number of subscriptions, no dependency.
 *
 *     import { Ringcast } from "ringcast";                        // in a page: from "/ringcast.js"
 *     const rc = new Ringcast("wss://quotes.example.com");
 *     for await (const { topic, seq, data } of rc.subscribe(["AAPL", "crypto.*"])) console.log(topic, seq, data);
 *
 * It promises a subscriber of mode "every" each seq of a topic once and in order, or a gap that names what is missing, over breaks of
 * the connection too; one of mode "latest" the newest value as soon as it can be had. The wire is ringcast.v1. */

const PROTOCOL = "ringcast.v1";
const TOPICS_OF_REQUEST_MAX = 500;
const MESSAGE_CHARS = 256 * 1024, RESUME_CHARS = 600 * 1024;      // the gateway takes messages of 1 MiB
const BACKOFF_MS = 500, BACKOFF_MS_MAX = 30000, TIMEOUT_MS = 10000;
const STABLE_MS = 5000;                                           // a connection that lasted as long was a good one: the back-off begins anew
const RECONNECT_MS_MAX = 300000, PROBE_MS = 5000, LATE_MS = 2000, FAREWELL_MS = 2000, REFRESH_AGAIN_MS = 5000, TIMER_MS_MAX = 2 ** 31 - 1;
const TRANSIENT = new Set(["busy", "rate_limited", "shutting_down"]);

/** @typedef {"latest" | "every"} Mode */
/** @typedef {"idle" | "connecting" | "open" | "waiting" | "closed"} State */
/** @typedef {{ topic: string, epoch: string, from: number, to: number, overflow?: boolean }} Gap
 *    Updates that will not come. overflow: they came, but the iterator's buffer had no room for them. */
/** @typedef {{ topic: string, epoch: string, seq: number, ts: number, data: any, gap?: Gap }} Update
 *    ts in microseconds since 1970; gap: what is missing right before it. */
/** @typedef {{ topic: string, epoch?: string, seq: number, by?: string, previous?: string }} Topic
 *    by: the pattern that brought it; previous: the epoch that ended. */
/** @typedef {{ topic: string, epoch: string, seq: number }} Published */
/** @typedef {object} SubscribeOptions
 *  @property {Mode} [mode]        "latest" (the default) or "every"
 *  @property {number} [maxHz]     updates a second of each topic, "latest" only; 0: no limit
 *  @property {boolean} [snapshot] begin with the newest update there is (true)
 *  @property {boolean} [conflate] what waits for an iterator: only the newest of each topic (true for "latest")
 *  @property {number} [buffer]    without conflation: how many updates wait for an iterator at most (10000); the oldest yield, as a gap
 *  @property {AbortSignal} [signal] when it is aborted, the subscription ends as by unsubscribe()
 *  @property {(update: Update) => void} [onUpdate] instead of iterating
 *  @property {(gap: Gap) => void} [onGap]
 *  @property {(topic: Topic) => void} [onTopic] a topic appeared, or its numbering began anew
 *  @property {(error: RingcastError) => void} [onError] the subscription, or some topic of it, has ended */
/** @typedef {object} Options
 *  @property {string} [token]     API key or JWT
 *  @property {() => string | Promise<string>} [getToken] asked at each connect, and in time before the token expires
 *  @property {number} [heartbeatMs] 1000 to 60000; else the gateway's
 *  @property {Mode} [mode]        default of subscriptions; so are maxHz and snapshot
 *  @property {number} [maxHz]
 *  @property {boolean} [snapshot]
 *  @property {{ minMs?: number, maxMs?: number }} [backoff] { 500, 30000 }: the n-th wait is a random part of minMs * 2^n
 *  @property {number} [timeoutMs] how long a publish may wait for its answer, and a connect for its hello (10000)
 *  @property {number} [publishesMax] without an answer yet (1000)
 *  @property {any} [WebSocket]    the class to use where there is no global one (Node below 22: the package ws) */
/** @typedef {{ state: State, previous: State, reason: string }} StateChange */
/** @typedef {{ attempt: number, delayMs: number, reason: string }} Reconnect */
/** @typedef {{ state: StateChange, reconnect: Reconnect, closing: { reason: string, reconnect_ms: number }, topic: Topic, epoch: Topic, gap: Gap, error: RingcastError }} Events */

/** code: one of the gateway's, or "closed", "no_token", "timeout" (nobody answered), "unknown_outcome" (sent, but the connection broke before the answer). */
export class RingcastError extends Error {
  /** @param {string} code @param {string} message @param {string} [topic] */
  constructor(code, message, topic) {
    super(message);
    this.name = "RingcastError"; this.code = code; this.topic = topic;
  }
}

const now = () => performance.now();
const isPattern = (/** @type {string} */ name) => /[*>]/.test(name);
const isWild = (/** @type {string | undefined} */ token) => token === "*" || token === ">";

/** A pattern as an expression: `*` one token, a final `>` one or more; neither begins with `$`. @param {string} pattern */
export function patternExpression(pattern) {
  const tokens = pattern.split(".");
  const parts = tokens.map(token => token === "*" ? "[^.]+" : token === ">" ? "[^]+" : token.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&"));
  return new RegExp("^" + (isWild(tokens[0]) ? "(?!\\$)" : "") + parts.join("\\.") + "$");
}

/** Whether some topic is matched by both. @param {string} one @param {string} other */
export function patternsOverlap(one, other) {
  const a = one.split("."), b = other.split(".");
  for (let i = 0; ; i++) {
    const x = a[i], y = b[i];
    if (x === undefined || y === undefined) return x === y;
    if (i === 0 && ((isWild(x) && y[0] === "$") || (isWild(y) && x[0] === "$"))) return false;
    if (x === ">" || y === ">") return true;
    if (x !== y && x !== "*" && y !== "*") return false;
  }
}

const noToken = (/** @type {any} */ error) => new RingcastError("no_token", `getToken gave none: ${error?.message ?? error}`);
const wasClosed = () => new RingcastError("closed", "this client was closed");

/** A listener's fault is told to whoever watches for uncaught errors, and is not ours. @param {Function | undefined} listener @param {any} value */
function call(listener, value) {
  if (listener) try { listener(value); } catch (error) { setTimeout(() => { throw error; }); }
}

/* One name or pattern on the wire, with all subscriptions that name it. sent: what was asked for on this connection. */
class Filter {
  /** @param {string} name */
  constructor(name) {
    this.name = name;
    this.expression = isPattern(name) ? patternExpression(name) : null;
    /** @type {Set<Subscription>} */ this.users = new Set();
    /** @type {Set<Subscription>} those that have had their acknowledgement */ this.active = new Set();
    /** @type {{ mode: Mode, maxHz: number } | null} */ this.sent = null;
    this.acked = false; this.request = 0;
    this.known = false; this.again = false;      // acknowledged ever; on an earlier connection
  }
}

/* What is known of a topic. seq: of the newest update seen; 0: none of this epoch, and the first must be 1; null: whichever comes first. */
/** @typedef {{ name: string, epoch?: string, previous?: string, seq: number | null, head: number, last?: Update, version: number, route: Subscription[], turn: number }} Followed */

/** What `subscribe` returns: iterate over it, or give it callbacks. */
export class Subscription {
  #client; #onUpdate; #conflate; #room;
  /** @type {{ update: Update }[]} what waits, from #head on */ #queue = [];
  #head = 0;
  /** @type {Map<string, { update: Update }>} the same by topic, where conflated */ #slots = new Map();
  /** @type {Map<string, Gap>} before the topic's next update */ #missing = new Map();
  /** @type {Map<string, Gap>} dropped here, before what waits */ #dropped = new Map();
  /** @type {Map<string, { epoch?: string, seq: number }>} up to where updates are snapshots that nobody wants */ #floors = new Map();
  /** @type {{ resolve: (result: IteratorResult<Update, undefined>) => void, reject: (error: Error) => void }[]} */ #takers = [];
  #ended = false;
  /** @type {RingcastError | null} */ #fault = null;
  #resolve = (/** @type {any} */ _) => {}; #reject = (/** @type {Error} */ _) => {};
  #abort = () => this.unsubscribe();

  /** @internal @param {Ringcast} client @param {number} number @param {Set<string>} topics @param {SubscribeOptions} options */
  constructor(client, number, topics, options) {
    const { mode = "latest", maxHz = 0, snapshot = true, conflate = mode === "latest", buffer = 10000 } = options;
    if (mode !== "latest" && mode !== "every") throw new TypeError(`mode must be "latest" or "every", not ${JSON.stringify(mode)}`);
    if (!(maxHz >= 0) || !(maxHz < Infinity)) throw new TypeError("maxHz must be a number from 0 on (0: no limit)");
    if (maxHz > 0 && mode === "every") throw new TypeError('maxHz goes with mode "latest" only: "every" leaves nothing out');
    if (conflate && mode === "every") throw new TypeError('conflate goes with mode "latest" only: "every" leaves nothing out');
    if (!(buffer >= 1)) throw new TypeError("buffer must be a number of updates from 1 on");
    this.mode = mode; this.maxHz = maxHz; this.snapshot = snapshot;
    /** @internal */ this.number = number;
    this.#client = client; this.#onUpdate = options.onUpdate; this.#conflate = conflate; this.#room = buffer;
    /** @internal */ this.options = options;
    /** @internal */ this.filters = topics;
    /** @internal not yet acknowledged */ this.pending = new Set(topics);
    /** Resolves with the gateway's acknowledgement, rejects with its refusal. @type {Promise<Subscription>} */
    this.ready = new Promise((resolve, reject) => { this.#resolve = resolve; this.#reject = reject; });
    this.ready.catch(() => {});                  // who does not ask is told by onError
    options.signal?.addEventListener("abort", this.#abort);
  }

  /** The names and patterns it covers. */
  get topics() { return [...this.filters]; }

  /** Ends it at once: no update comes any more, an iteration is over. */
  unsubscribe() {
    this.#queue = []; this.#head = 0; this.#slots.clear();
    this.finish(null);
  }

  /** @returns {AsyncIterableIterator<Update>} Leaving the loop unsubscribes. */
  [Symbol.asyncIterator]() {
    if (this.#onUpdate) throw new TypeError("a subscription with onUpdate can't be iterated over");
    /** @type {AsyncIterableIterator<Update>} */
    const iterator = {
      next: () => this.#next(),
      return: async () => { this.unsubscribe(); return { done: true, value: undefined }; },
      [Symbol.asyncIterator]: () => iterator,
    };
    return iterator;
  }

  /** @returns {Promise<IteratorResult<Update, undefined>>} */
  #next() {
    if (this.#head < this.#queue.length) {
      const update = this.#shift();
      const gap = this.#dropped.get(update.topic);
      if (!gap) return Promise.resolve({ done: false, value: update });
      this.#dropped.delete(update.topic);
      const whole = update.gap?.epoch === gap.epoch ? { ...gap, to: update.gap.to } : update.gap ?? gap;
      return Promise.resolve({ done: false, value: { ...update, gap: whole } });
    }
    if (this.#fault) { const fault = this.#fault; this.#fault = null; return Promise.reject(fault); }
    if (this.#ended) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve, reject) => this.#takers.push({ resolve, reject }));
  }

  #shift() {
    const { update } = this.#queue[this.#head++];
    if (this.#head >= 64 && this.#head * 2 >= this.#queue.length) { this.#queue.splice(0, this.#head); this.#head = 0; }
    if (this.#conflate) this.#slots.delete(update.topic);
    return update;
  }

  /** @internal @param {Update} update shared with others: a copy is changed */
  take(update) {
    if (this.#ended) return;                     // a listener before us ended it
    const floor = this.#floors.size ? this.#floors.get(update.topic) : undefined;
    if (floor) {
      if (floor.epoch === update.epoch && update.seq <= floor.seq) return;
      this.#floors.delete(update.topic);
    }
    const gap = this.#missing.size ? this.#missing.get(update.topic) : undefined;
    if (gap) { this.#missing.delete(update.topic); update = { ...update, gap }; }
    if (this.#onUpdate) return call(this.#onUpdate, update);
    const taker = this.#takers.shift();
    if (taker) return taker.resolve({ done: false, value: update });
    const slot = this.#slots.get(update.topic);
    if (slot) { slot.update = update; return; }
    this.#queue.push({ update });
    if (this.#conflate) { this.#slots.set(update.topic, this.#queue[this.#queue.length - 1]); return; }      // bounded by the topics that there are
    if (this.#queue.length - this.#head <= this.#room) return;
    const oldest = this.#shift(), before = this.#dropped.get(oldest.topic);
    const from = before?.epoch === oldest.epoch ? before.from : oldest.gap ? oldest.gap.from : oldest.seq;
    const lost = { topic: oldest.topic, epoch: oldest.epoch, from, to: oldest.seq, overflow: true };
    this.#dropped.set(oldest.topic, lost);
    call(this.options.onGap, { ...lost, from: oldest.seq });
  }

  /** @internal @param {Gap} gap */
  miss(gap) {
    const before = this.#missing.get(gap.topic);
    this.#missing.set(gap.topic, before?.epoch === gap.epoch ? { ...gap, from: before.from } : gap);
    call(this.options.onGap, gap);
  }

  /** @internal @param {string} topic @param {string | undefined} epoch @param {number} seq */
  skipTo(topic, epoch, seq) { this.#floors.set(topic, { epoch, seq }); }
  /** @internal @param {string} name */
  acknowledge(name) { if (this.pending.delete(name) && !this.pending.size) this.#resolve(this); }
  /** @internal @param {string} topic */
  forget(topic) { this.#floors.delete(topic); this.#missing.delete(topic); this.#dropped.delete(topic); }

  /** @internal null: by will. What waits can still be taken. @param {RingcastError | null} error */
  finish(error) {
    if (this.#ended) return;
    this.#ended = true;
    this.options.signal?.removeEventListener("abort", this.#abort);      // it may outlive many subscriptions
    this.#client.leave(this);
    this.#reject(error ?? new RingcastError("closed", "the subscription was ended before the gateway had acknowledged it"));
    if (error && !this.#takers.length) this.#fault = error;      // told to who comes to take
    for (const taker of this.#takers.splice(0)) error ? taker.reject(error) : taker.resolve({ done: true, value: undefined });
    if (error) call(this.options.onError, error);
  }
}

/** One connection to a gateway. It is made when first needed, and made again whenever it breaks, until `close`. */
export class Ringcast {
  #url; #options; /** @type {any} */ #WebSocket;
  /** @type {State} */ #state = "idle";
  /** @type {any} */ #socket = null;
  #turn = 0;                                     // counts attempts to connect: what belongs to an earlier one is void
  #attempt = 0; #openedAt = 0; #heardAt = 0; #heartbeatMs = 25000; #id = 0;
  /** @type {number | null} what the gateway asked for before it closed */ #reconnectMs = null;
  #reason = ""; #token = "";
  /** @type {string | null} */ #refused = null;
  /** @type {Record<"retry" | "watch" | "refresh" | "sync", any>} */ #timers = { retry: 0, watch: 0, refresh: 0, sync: 0 };
  #syncing = false; #version = 1;                // of who gets what
  /** @type {Set<Subscription>} */ #subscriptions = new Set();
  /** @type {Map<string, Filter>} */ #filters = new Map();
  /** @type {Set<Filter>} those of them that are patterns */ #patterns = new Set();
  /** @type {Map<string, Followed>} */ #topics = new Map();
  /** @type {Map<number, any>} requests without an answer: { op, filters | line, resolve, reject, sent } */ #pending = new Map();
  #publishes = 0;
  #farewell = Promise.resolve();                 // of the connection that close() left
  /** @type {Map<string, Set<Function>>} */ #listeners = new Map();
  /** @type {RingcastError | null} why it was given up */ error = null;

  /** @param {string} [url] ws(s):// or http(s)://, the path /v1/ws may be left out; in a page: its own host @param {Options} [options] */
  constructor(url, options = {}) {
    const at = new URL(url ?? "/", /** @type {any} */ (globalThis).location?.href);
    at.protocol = at.protocol.replace(/^http/, "ws");
    if (!/^wss?:$/.test(at.protocol)) throw new TypeError(`the URL of a gateway begins with ws:// or wss://, not ${at.protocol}//`);
    if (at.pathname === "/") at.pathname = "/v1/ws";
    at.hash = "";
    if (options.heartbeatMs !== undefined) at.searchParams.set("heartbeat_ms", String(options.heartbeatMs));
    this.#url = at.href; this.#options = options;
    this.#WebSocket = options.WebSocket ?? globalThis.WebSocket;
    if (!this.#WebSocket) throw new TypeError('there is no global WebSocket: use Node 22 or later, or give the class of the package "ws" as the option WebSocket');
    this.#watchPage("addEventListener");
  }

  /** @returns {State} */
  get state() { return this.#state; }

  /** Listens; returns a function that ends that. @template {keyof Events} E @param {E} event @param {(value: Events[E]) => void} listener */
  on(event, listener) {
    const listeners = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, listeners.add(listener));
    return () => { listeners.delete(listener); };
  }

  /** @template {keyof Events} E @param {E} event @param {Events[E]} value */
  #emit(event, value) {
    const listeners = this.#listeners.get(event);
    if (listeners?.size) for (const listener of [...listeners]) call(listener, value);
    else if (event === "error") console.warn("ringcast:", /** @type {Error} */ (value).message);
  }

  /** Connects now rather than at the first need. Resolves when the gateway has said hello (and taken the token). @returns {Promise<void>} */
  connect() {
    if (this.#state === "open") return Promise.resolve();
    if (this.#state === "closed") return Promise.reject(this.error ?? wasClosed());
    if (this.#state === "idle") this.#connect();
    return new Promise((resolve, reject) => {
      const off = this.on("state", ({ state }) => {
        if (state === "open") { off(); resolve(); }
        if (state === "closed") { off(); reject(this.error ?? wasClosed()); }
      });
    });
  }

  /** Follows topics: names, and patterns (`crypto.*`, `fx.>`). @param {string | Iterable<string>} topics @param {SubscribeOptions} [options] */
  subscribe(topics, options = {}) {
    const names = new Set(typeof topics === "string" ? [topics] : topics);
    if (!names.size) throw new TypeError("subscribe needs at least one topic");
    const { mode, maxHz, snapshot } = this.#options;
    const defaults = options.mode === "every" ? { snapshot } : { mode, maxHz, snapshot };
    const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
    const subscription = new Subscription(this, ++this.#id, names, { ...defaults, ...given });
    if (this.#state === "closed") throw this.error ?? wasClosed();
    this.#subscriptions.add(subscription);
    for (const name of names) {
      let filter = this.#filters.get(name);
      if (!filter) this.#filters.set(name, filter = new Filter(name));
      if (filter.expression) this.#patterns.add(filter);
      filter.users.add(subscription);
    }
    if (options.signal?.aborted) { subscription.unsubscribe(); return subscription; }
    if (this.#state === "idle") this.#connect();
    this.#syncSoon();
    return subscription;
  }

  /** The newest update seen of a topic that is followed. @param {string} topic @returns {Update | undefined} */
  last(topic) { return this.#topics.get(topic)?.last; }

  /** Publishes; the token must allow it. At most once: where the connection breaks before the answer, it rejects with `unknown_outcome`.
   *  @param {string} topic @param {any} data what JSON can say @param {{ key?: boolean, timeoutMs?: number }} [options] @returns {Promise<Published>} */
  async publish(topic, data, { key = false, timeoutMs = this.#options.timeoutMs ?? TIMEOUT_MS } = {}) {
    const most = this.#options.publishesMax ?? 1000;
    const text = JSON.stringify(data);
    if (typeof topic !== "string") throw new TypeError("topic must be a string");
    if (text === undefined) throw new TypeError("data must be a value that JSON knows");
    if (this.#publishes >= most) throw new RingcastError("busy", `${most} publishes wait for their answers already`, topic);
    return this.#request("publish", `"topic":${JSON.stringify(topic)}${key ? ',"key":true' : ""},"data":${text}`, timeoutMs, topic);
  }

  /** Asks the gateway for a sign of life. @returns {Promise<number>} the round trip in milliseconds */
  async ping() {
    const begin = now();
    await this.#request("ping", "", this.#options.timeoutMs ?? TIMEOUT_MS);
    return now() - begin;
  }

  /** Asks for the gateway's time: by how much its clock is ahead of this one's, right to half of the round trip.
   *  @returns {Promise<{ aheadMs: number, rttMs: number }>} this one's: performance.timeOrigin + performance.now() */
  async clock() {
    const begin = now();
    const { ts } = await this.#request("ping", "", this.#options.timeoutMs ?? TIMEOUT_MS);
    const rttMs = now() - begin;
    return { aheadMs: ts / 1000 - (performance.timeOrigin + begin + rttMs / 2), rttMs };
  }

  /** Shows another token, now and at each connection to come: after a login, or before the old one ends. Resolves once the gateway has
   *  taken it, or at once where there is no connection; rejects where it is refused, and the one before counts on. With getToken that is
   *  asked all the same. @param {string} token @returns {Promise<void>} */
  async setToken(token) {
    if (typeof token !== "string" || !token) throw new TypeError("token must be a string that is not empty: who wants to go on without one makes a new client");
    if (this.#state === "closed") throw this.error ?? wasClosed();
    const before = this.#options.token;
    this.#options = { ...this.#options, token };
    if (!this.#openedAt) {
      if (this.#state === "connecting") this.#token = token;      // the hello is still to come
      return;
    }
    await new Promise((resolve, reject) => this.#authenticate(token, resolve, error => {
      if (error.code !== "unknown_outcome" && this.#options.token === token) this.#options = { ...this.#options, token: before };
      reject(error);
    }));
  }

  /** Ends everything: subscriptions, waiting publishes, the connection. Resolves when that is closed, after two seconds at most: what was
   *  sent before has then reached the gateway. @returns {Promise<void>} */
  close() {
    this.#end(null);
    return this.#farewell;
  }

  /* ---- the connection: idle -> connecting -> open -> waiting -> connecting ... -> closed */

  /** @param {State} state @param {string} [reason] */
  #become(state, reason = "") {
    const previous = this.#state;
    if (previous === state) return;
    this.#state = state;
    this.#emit("state", { state, previous, reason });
  }

  async #connect() {
    const turn = ++this.#turn;
    clearTimeout(this.#timers.retry);
    this.#openedAt = 0; this.#reconnectMs = null; this.#reason = ""; this.#heardAt = now();
    this.#become("connecting");
    if (turn !== this.#turn) return;             // a listener closed us
    this.#watch();
    try {
      this.#token = this.#options.getToken ? await this.#options.getToken() : this.#options.token ?? "";
    } catch (error) {
      const fault = noToken(error);
      if (turn === this.#turn) this.#lost(fault.message, fault);
      return;
    }
    if (turn !== this.#turn) return;
    if (this.#refused !== null && this.#token === this.#refused) return this.#end(new RingcastError("unauthorized", `the gateway does not take the token: ${this.#reason || "getToken gave the same again"}`));
    let socket;
    try { socket = this.#socket = new this.#WebSocket(this.#url, PROTOCOL); }
    catch (error) { return this.#end(new RingcastError("bad_request", `the URL can't be used from here: ${/** @type {any} */ (error).message}`)); }
    socket.onmessage = (/** @type {any} */ event) => {
      if (socket !== this.#socket || typeof event.data !== "string") return;
      this.#heardAt = now();
      if (!event.data.includes("\n")) return this.#receive(event.data);
      for (const line of event.data.split("\n")) if (line && socket === this.#socket) this.#receive(line);
    };
    socket.onclose = (/** @type {any} */ event) => { if (socket === this.#socket) this.#closed(event.code, event.reason); };
    socket.onerror = () => { if (socket === this.#socket && socket.readyState !== 1) this.#closed(1006, ""); };      // some forget the close event after it
  }

  /** @param {number} code @param {string} said */
  #closed(code, said) {
    const reason = said || this.#reason || (this.#openedAt ? "the connection broke off" : "the gateway can't be reached");
    if (code === 4400) this.#end(new RingcastError("bad_request", reason));
    else if (code === 4401 || code === 4403) this.#refuse(new RingcastError(code === 4401 ? "unauthorized" : "forbidden", reason));
    else this.#lost(reason);
  }

  /** The token was not taken: only a new one helps. @param {RingcastError} error */
  #refuse(error) {
    if (!this.#options.getToken && (this.#options.token ?? "") === this.#token) return this.#end(error);      // setToken gave another meanwhile
    this.#refused = this.#token;
    this.#lost(error.message, error);
  }

  /** Given up at once, without awaiting the peer's farewell: a dead one says none. @param {string} reason @param {RingcastError} [error] */
  #lost(reason, error) {
    this.#drop();
    if (this.#openedAt && now() - this.#openedAt > STABLE_MS) this.#attempt = 0;
    const { minMs = BACKOFF_MS, maxMs = BACKOFF_MS_MAX } = this.#options.backoff ?? {};
    const jittered = Math.random() * Math.min(maxMs, minMs * 2 ** Math.min(this.#attempt, 30));      // in full: a thousand clients must not return together
    const delayMs = Math.round(this.#reconnectMs ?? jittered);
    const attempt = ++this.#attempt, turn = this.#turn;
    this.#retryIn(delayMs);
    this.#become("waiting", reason);
    if (error && turn === this.#turn) this.#emit("error", error);
    if (turn === this.#turn) this.#emit("reconnect", { attempt, delayMs, reason });
  }

  /** @param {number} ms */
  #retryIn(ms) {
    clearTimeout(this.#timers.retry);
    this.#timers.retry = setTimeout(() => this.#connect(), Math.min(TIMER_MS_MAX, ms));
  }

  /* The socket is left behind, and all that hung on it is void. */
  #drop() {
    const socket = this.#socket;
    if (this.#openedAt && now() - this.#openedAt > STABLE_MS)      // what a pattern brought once and the gateway no longer knew
      for (const { name, turn } of this.#topics.values()) if (turn !== this.#turn && !this.#filters.has(name)) this.#topics.delete(name);
    this.#socket = null; this.#turn++;
    for (const timer of Object.values(this.#timers)) clearTimeout(timer);
    if (socket) {
      socket.onmessage = socket.onclose = null;
      socket.onerror = () => {};                 // ws throws where nobody listens
      if (this.#state === "closed") this.#farewell = new Promise(resolve => {
        const timer = setTimeout(resolve, FAREWELL_MS);
        socket.onclose = () => { clearTimeout(timer); resolve(); };
      });
      try { socket.readyState === 1 && this.#state !== "closed" && socket.terminate ? socket.terminate() : socket.close(1000); } catch { /* it was never open */ }
    }
    for (const filter of this.#filters.values()) { filter.sent = null; filter.acked = false; filter.again = filter.known; }
    for (const [id, request] of this.#pending) {
      if (!request.sent) continue;
      this.#pending.delete(id);
      request.reject?.(new RingcastError("unknown_outcome", `the connection broke before the gateway answered: whether the ${request.op} took effect is not known`, request.topic));
    }
  }

  /** @param {RingcastError | null} error */
  #end(error) {
    if (this.#state === "closed") return;
    this.error = error;
    const previous = this.#state;
    this.#state = "closed";                      // first, so that no listener revives it
    this.#drop();
    this.#watchPage("removeEventListener");
    const why = error ?? wasClosed();
    for (const request of [...this.#pending.values()]) request.reject?.(why);
    this.#pending.clear();
    for (const subscription of [...this.#subscriptions]) subscription.finish(error);
    if (error) this.#emit("error", error);
    this.#emit("state", { state: "closed", previous, reason: error?.message ?? "" });
  }

  /* One timer for the hello and for silence: twice the heartbeat without a message is death. */
  #watch() {
    clearTimeout(this.#timers.watch);
    const limit = this.#openedAt ? 2 * this.#heartbeatMs : this.#options.timeoutMs ?? TIMEOUT_MS, due = this.#heardAt + limit;
    this.#timers.watch = setTimeout(() => {
      if (now() >= this.#heardAt + limit && now() - due < LATE_MS) return this.#lost(this.#openedAt ? `the gateway was silent for ${limit} ms` : `no hello within ${limit} ms`);
      if (now() >= this.#heardAt + limit) this.#heardAt = now() - limit + LATE_MS / 2;      // we slept ourselves: what came meanwhile is still unread
      this.#watch();
    }, Math.max(0, due - now()));
  }

  #watchPage(/** @type {"addEventListener" | "removeEventListener"} */ method) {
    const page = /** @type {any} */ (globalThis);
    page[method]?.("online", this.#wake); page[method]?.("pageshow", this.#wake); page.document?.[method]?.("visibilitychange", this.#wake);
  }

  /* The page is seen again, or the network is back: no reason to wait, unless the gateway asked for it; and whether it lives is asked now. */
  #wake = (/** @type {any} */ event) => {
    if (/** @type {any} */ (globalThis).document?.visibilityState === "hidden") return;
    if (this.#state === "waiting" && this.#reconnectMs === null) this.#retryIn(Math.random() * BACKOFF_MS);
    if (this.#state === "connecting" && event?.type === "online" && now() - this.#heardAt > BACKOFF_MS) {      // it was begun on a line that is gone
      this.#drop();
      this.#connect();
    }
    if (this.#state !== "open") return;
    this.#send('{"op":"ping"' + `,"id":${++this.#id}}`);
    this.#heardAt = Math.min(this.#heardAt, now() - 2 * this.#heartbeatMs + PROBE_MS);
    this.#watch();
  };

  /** @param {string} text */
  #send(text) { this.#socket.send(text); }

  /** @param {string} op @param {string} fields @param {number} timeoutMs @param {string} [topic] @returns {Promise<any>} */
  #request(op, fields, timeoutMs, topic) {
    if (this.#state === "closed") return Promise.reject(this.error ?? wasClosed());
    const id = ++this.#id, line = `{"op":"${op}","id":${id}${fields && "," + fields}}`;
    if (this.#state === "idle") this.#connect();
    if (this.#syncing) this.#sync();             // what was subscribed before goes before
    this.#publishes++;
    /** @type {any} */ let timer;
    return new Promise((resolve, reject) => {
      const request = { op, topic, line, resolve, reject, sent: this.#state === "open" };
      timer = setTimeout(() => {
        this.#pending.delete(id);
        reject(new RingcastError("timeout", request.sent ? `no answer within ${timeoutMs} ms: whether the ${op} took effect is not known` : `there was no connection for ${timeoutMs} ms: the ${op} was not sent`, topic));
      }, Math.min(TIMER_MS_MAX, timeoutMs));
      this.#pending.set(id, request);
      if (request.sent) this.#send(line);
    }).finally(() => { clearTimeout(timer); this.#publishes--; });
  }

  /* ---- what the gateway says */

  /** @param {string} line */
  #receive(line) {
    let message;
    try { message = JSON.parse(line); } catch { return this.#emit("error", new RingcastError("bad_json", `the gateway sent no JSON: ${line.slice(0, 100)}`)); }
    if (message.op === undefined) return this.#update(message);
    const request = this.#pending.get(message.id);
    if (request && message.op !== "auth") this.#pending.delete(message.id);
    switch (message.op) {
    case "hello":
      this.#heartbeatMs = message.heartbeat_ms || this.#heartbeatMs; this.#openedAt = now();
      this.#watch();
      if (this.#token) this.#authenticate(this.#token); else this.#opened();
      break;
    case "authenticated":
      this.#refused = null;
      request?.resolve?.();
      if (message.expires_ms !== undefined && this.#options.getToken) this.#refreshIn(message.expires_ms - Math.min(30000, message.expires_ms / 5));
      if (this.#state === "connecting") this.#opened();
      break;
    case "subscribed": if (request) this.#subscribed(message, request.filters); break;
    case "topic": this.#announced(message); break;
    case "gap": this.#gap(message); break;
    case "unsubscribed": if (message.code) this.#revoked(message); break;
    case "published": request?.resolve({ topic: message.topic, epoch: message.epoch, seq: message.seq }); break;
    case "pong": request?.resolve(message); break;
    case "closing":
      this.#reconnectMs = Number.isFinite(message.reconnect_ms) ? Math.min(RECONNECT_MS_MAX, Math.max(0, message.reconnect_ms)) : null;
      this.#reason = message.reason;
      this.#emit("closing", { reason: message.reason, reconnect_ms: message.reconnect_ms });
      break;
    case "error": this.#fault(new RingcastError(message.code, message.message), request); break;
    }                                            // heartbeat: to have been heard is all it is for
  }

  #opened() {
    this.#become("open");
    this.#sync();
    if (this.#state !== "open") return;
    for (const request of this.#pending.values()) if (!request.sent) { request.sent = true; this.#send(request.line); }
  }

  /** @param {string} token @param {(value?: any) => void} [resolve] @param {(error: RingcastError) => void} [reject] */
  #authenticate(token, resolve, reject) {
    const id = ++this.#id;
    this.#pending.set(id, { op: "auth", sent: true, resolve, reject });
    this.#send(JSON.stringify({ op: "auth", id, token }));
  }

  /** @param {number} ms */
  #refreshIn(ms) {
    clearTimeout(this.#timers.refresh);
    const turn = this.#turn;
    this.#timers.refresh = setTimeout(async () => {
      try {
        const token = await this.#options.getToken?.();
        if (turn === this.#turn && token) this.#authenticate(this.#token = token);
      } catch (error) {
        if (turn !== this.#turn) return;
        this.#emit("error", noToken(error));
        this.#refreshIn(REFRESH_AGAIN_MS);
      }
    }, Math.min(TIMER_MS_MAX, Math.max(0, ms)));
  }

  /** @param {RingcastError} error @param {any} request */
  #fault(error, request) {
    if (request?.reject) { error.topic = request.topic; return request.reject(error); }
    if (request?.op === "auth" && this.#state === "connecting") return TRANSIENT.has(error.code) ? this.#lost(error.message) : this.#refuse(error);
    if (request?.op !== "subscribe") {
      if (request) this.#refreshIn(REFRESH_AGAIN_MS);      // the old token still counts
      return this.#emit("error", error);
    }
    for (const filter of request.filters.values()) if (filter.request === request.id) { filter.sent = null; filter.request = 0; }
    if (!TRANSIENT.has(error.code)) { this.#fail(request.owner, error); return this.#syncSoon(); }
    clearTimeout(this.#timers.sync);
    this.#timers.sync = setTimeout(() => this.#sync(), 1000 + Math.random() * 2000);
  }

  /** @param {Subscription} subscription @param {RingcastError} error */
  #fail(subscription, error) {
    if (!this.#subscriptions.has(subscription)) return;
    if (!subscription.options.onError || this.#listeners.get("error")?.size) this.#emit("error", error);
    subscription.finish(error);
  }

  /* ---- what is followed */

  /** @internal @param {Subscription} subscription */
  leave(subscription) {
    this.#subscriptions.delete(subscription);
    for (const name of subscription.filters) this.#withdraw(subscription, name);
  }

  /** @param {Subscription} subscription @param {string} name */
  #withdraw(subscription, name) {
    const filter = this.#filters.get(name);
    filter?.users.delete(subscription); filter?.active.delete(subscription);
    this.#version++;
    this.#syncSoon();
  }

  /* What is wanted is compared with what was asked for at the end of the caller's turn, so that many calls make few requests. */
  #syncSoon() {
    if (this.#syncing) return;
    this.#syncing = true;
    queueMicrotask(() => { this.#syncing = false; this.#sync(); });
  }

  #sync() {
    const ended = [...this.#filters.values()].filter(filter => !filter.users.size);
    for (const filter of ended) { this.#filters.delete(filter.name); this.#patterns.delete(filter); }
    if (ended.length) this.#forget(ended);
    if (this.#state !== "open") return;
    /** @type {Map<string, { owner: Subscription, mode: Mode, maxHz: number, filters: Filter[] }>} */
    const wanted = new Map();
    const ready = [];
    for (const filter of this.#filters.values()) {
      const { mode, maxHz } = this.#demand(filter);
      if (filter.sent?.mode === mode && filter.sent.maxHz === maxHz) {
        if (!filter.request) ready.push(filter);
        continue;
      }
      filter.sent = { mode, maxHz };
      const owner = [...filter.users][filter.users.size - 1];      // a refusal is for the newest; a request holds topics of one owner, so that it harms no other
      const key = `${owner.number} ${mode} ${maxHz}`, group = wanted.get(key);
      if (group) group.filters.push(filter); else wanted.set(key, { owner, mode, maxHz, filters: [filter] });
    }
    /** @type {string[]} */ const lines = [];
    const claimed = new Set();                   // a topic of two patterns resumes by the first
    const ask = (/** @type {Filter[]} */ part, /** @type {any} */ { owner, mode, maxHz }) => {
      const id = ++this.#id, topics = part.map(filter => filter.name);
      for (const filter of part) filter.request = id;
      this.#pending.set(id, { op: "subscribe", id, sent: true, owner, filters: new Map(part.map(filter => [filter.name, filter])) });
      lines.push(JSON.stringify({ op: "subscribe", id, topics, mode, max_hz: maxHz || undefined, resume: this.#positions(part, claimed) }));
    };
    for (const group of wanted.values()) {       // names first: what a pattern covered before them could not resume any more
      const names = group.filters.filter(filter => !filter.expression);
      for (let at = 0; at < names.length; at += TOPICS_OF_REQUEST_MAX) ask(names.slice(at, at + TOPICS_OF_REQUEST_MAX), group);
    }
    for (const group of wanted.values()) for (const filter of group.filters) if (filter.expression) ask([filter], group);
    const left = ended.filter(filter => filter.sent || filter.acked).map(filter => filter.name);      // last: what stays covered is not interrupted
    for (let at = 0; at < left.length; at += TOPICS_OF_REQUEST_MAX) lines.push(JSON.stringify({ op: "unsubscribe", topics: left.slice(at, at + TOPICS_OF_REQUEST_MAX) }));
    for (let message = lines.shift(); message; message = lines.shift()) {
      while (lines.length && message.length + lines[0].length < MESSAGE_CHARS) message += "\n" + lines.shift();
      this.#send(message);
    }
    for (const filter of ready) this.#activate(filter);
  }

  /** A topic has one mode on the wire: a name's beats a pattern's, of several patterns the last one's. So each asks for what the
   * liveliest of all that may cover its topics wants. @param {Filter} filter @returns {{ mode: Mode, maxHz: number }} */
  #demand(filter) {
    let every = false, maxHz = 0;
    const join = (/** @type {Filter} */ { users }) => {
      for (const user of users) { every ||= user.mode === "every"; maxHz = Math.max(maxHz, user.maxHz || Infinity); }
    };
    join(filter);
    for (const other of this.#patterns)
      if (other !== filter && (filter.expression ? patternsOverlap(filter.name, other.name) : other.expression?.test(filter.name))) join(other);
    return every ? { mode: "every", maxHz: 0 } : { mode: "latest", maxHz: maxHz === Infinity ? 0 : maxHz };
  }

  /** Where to resume; what is followed on this connection already keeps its position. What finds no room begins anew, and the hole shows as a gap. @param {Filter[]} filters @param {Set<string>} claimed */
  #positions(filters, claimed) {
    /** @type {Record<string, { epoch: string, seq: number }>} */ const resume = Object.create(null);
    let room = RESUME_CHARS;
    const add = (/** @type {Followed | undefined} */ topic) => {
      if (!topic?.epoch || topic.seq === null || topic.turn === this.#turn || (room -= topic.name.length + topic.epoch.length + 40) < 0) return;
      resume[topic.name] = { epoch: topic.epoch, seq: topic.seq };
    };
    for (const { name, expression } of filters) {
      if (!expression) add(this.#topics.get(name));
      else for (const topic of this.#topics.values())
        if (expression.test(topic.name) && !this.#filters.has(topic.name) && !claimed.has(topic.name)) { claimed.add(topic.name); add(topic); }
    }
    return Object.keys(resume).length ? resume : undefined;
  }

  /** What nothing covers any more. @param {Filter[]} ended */
  #forget(ended) {
    const names = ended.some(filter => filter.expression) ? [...this.#topics.keys()] : ended.map(filter => filter.name);
    const patterns = [...this.#patterns];
    for (const name of names) {
      if (this.#filters.has(name) || patterns.some(({ expression }) => expression?.test(name))) continue;
      this.#topics.delete(name);
      for (const subscription of this.#subscriptions) subscription.forget(name);
    }
  }

  /** Who gets a topic's updates. @param {string} name @returns {Subscription[]} */
  #covering(name) {
    const all = new Set(this.#filters.get(name)?.active);
    for (const filter of this.#patterns) if (filter.expression?.test(name)) for (const subscription of filter.active) all.add(subscription);
    return [...all];
  }

  /** @param {Followed} topic */
  #route(topic) {
    if (topic.version !== this.#version) { topic.route = this.#covering(topic.name); topic.version = this.#version; }
    return topic.route;
  }

  /** From now on its subscriptions get what comes; what came before to others is their snapshot. @param {Filter} filter */
  #activate(filter) {
    for (const user of [...filter.users]) {
      if (filter.active.has(user) || !filter.users.has(user)) continue;
      const topics = filter.expression ? [...this.#topics.values()].filter(({ name }) => filter.expression?.test(name)) : [this.#topics.get(filter.name)];
      const fresh = topics.filter(topic => topic && !this.#route(topic).includes(user));
      filter.active.add(user); this.#version++;
      user.acknowledge(filter.name);
      for (const topic of fresh) {
        if (!topic) continue;
        if (!user.snapshot) user.skipTo(topic.name, topic.epoch, topic.seq ?? topic.head);
        else if (topic.last && topic.last.epoch === topic.epoch && topic.last.seq === topic.seq) user.take(topic.last);
      }
    }
  }

  /** @param {{ id: number, topics: any[] }} ack @param {Map<string, Filter>} filters */
  #subscribed({ id, topics }, filters) {
    for (const ack of topics) {
      const filter = filters.get(ack.topic);
      if (!filter || this.#filters.get(filter.name) !== filter) continue;      // unsubscribed meanwhile
      filter.acked = filter.known = true;
      if (!filter.expression) this.#begin(ack, filter.again);
      if (filter.request !== id) continue;       // asked again meanwhile: that answer counts
      filter.request = 0;
      this.#activate(filter);
    }
  }

  /** A topic is followed from here on, or its numbering began anew. again: it was followed before a break of the connection, and
   * what it has had since belongs to who followed it. @param {any} ack @param {boolean} again @returns {Topic | null} news */
  #begin({ topic: name, epoch, seq, resumed, by }, again) {
    const topic = this.#topics.get(name);
    if (!topic) {
      this.#topics.set(name, { name, epoch, seq: again || !seq ? 0 : null, head: seq, version: 0, route: [], turn: this.#turn });
      return { topic: name, epoch, seq, by };
    }
    topic.turn = this.#turn;
    if (topic.epoch === epoch && resumed !== false) return null;
    const previous = topic.previous = topic.epoch ?? topic.previous;
    topic.epoch = epoch; topic.seq = 0; topic.head = seq;
    if (!epoch) return null;                     // forgotten: its next life will be told
    const news = { topic: name, epoch, seq, by, previous };
    if (previous !== undefined) this.#emit("epoch", news);
    return news;
  }

  /** @param {any} message */
  #announced(message) {
    const route = this.#covering(message.topic), known = this.#topics.has(message.topic);
    const by = this.#filters.get(message.by ?? message.topic), again = by?.again ?? false;
    if (!by && !route.length) return;            // in flight while it was unsubscribed
    const news = this.#begin(message, again);
    if (!news) return;
    if (!known && !again) for (const subscription of route) if (!subscription.snapshot) subscription.skipTo(message.topic, message.epoch, message.seq);
    this.#emit("topic", news);
    for (const subscription of route) call(subscription.options.onTopic, news);
  }

  /** @param {Update} update */
  #update(update) {
    const topic = this.#topics.get(update.topic);
    if (!topic || (topic.seq !== null && update.seq <= topic.seq)) return;
    const { seq } = topic, epoch = /** @type {string} */ (topic.epoch);
    update.epoch = epoch;
    topic.seq = update.seq; topic.last = update;
    const route = this.#route(topic);
    if (seq !== null && update.seq > seq + 1) this.#miss({ topic: topic.name, epoch, from: seq + 1, to: update.seq - 1 }, route.filter(({ mode }) => mode === "every"));
    for (const subscription of route) subscription.take(update);
  }

  /** @param {{ topic: string, from: number, to: number }} message */
  #gap({ topic: name, from, to }) {
    const topic = this.#topics.get(name);
    if (!topic || (topic.seq !== null && to <= topic.seq)) return;
    if (topic.seq !== null) from = topic.seq + 1;
    topic.seq = to;
    this.#miss({ topic: name, epoch: /** @type {string} */ (topic.epoch), from, to }, this.#route(topic));
  }

  /** @param {Gap} gap @param {Subscription[]} subscriptions */
  #miss(gap, subscriptions) {
    if (!subscriptions.length) return;
    this.#emit("gap", gap);
    for (const subscription of subscriptions) subscription.miss(gap);
  }

  /** The right to some topics ended. @param {{ topics: string[], code: string, message?: string }} message */
  #revoked({ topics, code, message }) {
    for (const name of topics) {
      const error = new RingcastError(code, message ?? `the right to read ${name} ended`, name), filter = this.#filters.get(name);
      if (!filter) { this.#emit("error", error); continue; }
      filter.sent = null; filter.acked = false;
      for (const user of [...filter.users]) {
        user.filters.delete(name); this.#withdraw(user, name);
        if (!user.filters.size) this.#fail(user, error);
        else if (user.options.onError) call(user.options.onError, error);
        else this.#emit("error", error);
      }
    }
  }
}
