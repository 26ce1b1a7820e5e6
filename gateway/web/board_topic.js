/* What the board knows of one topic: its newest update, a line of what came before, how often it comes, what is missing. No DOM. */
import { changeOf, decimalsOf, readingOf } from "/board_values.js";

export const POINTS_MAX = 72;
const POINT_US = 500000;                         // of the spark line: a value replaces the last point until that is this old
const RATE_SHARE = 0.3;                          // of the newest second in a topic's rate

export class Topic {
  constructor(name) {
    const dot = name.lastIndexOf(".") + 1;
    this.name = name; this.before = name.slice(0, dot); this.last = name.slice(dot);      // the last token is what a reader looks for
    this.node = null;                            // its row, while there is one
    this.dirty = false; this.historyAsked = false;
    this.begin("");
  }

  /* The first update of an epoch, or a new one. */
  begin(epoch) {
    this.epoch = epoch; this.seq = 0; this.ts = 0; this.at = 0; this.data = undefined; this.reading = readingOf(null);
    this.value = null; this.decimals = 0; this.label ??= "";
    this.first = null; this.firstTs = 0; this.firstSeq = 0; this.points = []; this.pointTs = 0; this.historyAsked = false;
    this.received = 0; this.receivedBefore = 0; this.seqBefore = 0; this.rate = 0; this.published = 0; this.ticks = 0;
    this.skipped = 0; this.lost = 0;
  }

  /** False where it is not news. @param now in ms, as Date.now() */
  take({ epoch, seq, ts, data, gap }, now) {
    if (epoch !== this.epoch) { this.begin(epoch); this.seqBefore = seq; }
    if (seq <= this.seq) return false;
    const missing = this.seq ? seq - this.seq - 1 : 0;
    if (gap) this.lost += gap.to - gap.from + 1;
    else this.skipped += missing;
    if (!this.received) { this.seqBefore = seq; this.receivedBefore = 1; }      // a snapshot is no rate
    this.seq = seq; this.ts = ts; this.at = now; this.data = data; this.received++;
    const reading = this.reading = readingOf(data);
    this.value = reading.value; this.label = reading.label || reading.field;
    if (this.value === null) return true;
    if (this.decimals < 8) this.decimals = Math.max(this.decimals, decimalsOf(this.value));
    if (this.first === null) { this.first = this.value; this.firstTs = ts; this.firstSeq = seq; }
    this.addPoint(this.value, ts);
    return true;
  }

  addPoint(value, ts) {
    const { points } = this;
    if (points.length && ts - this.pointTs < POINT_US) { points[points.length - 1] = value; return; }
    this.pointTs = ts;
    if (points.push(value) > POINTS_MAX) points.shift();
  }

  /** What the topic's window held before its first update here. @param updates oldest first */
  addHistory(epoch, updates) {
    if (epoch !== this.epoch) return false;
    const { points, pointTs } = this;
    this.points = []; this.pointTs = 0;
    let older = false;
    for (const { seq, ts, data } of updates) {
      const { value } = readingOf(data);
      if (seq >= this.firstSeq || value === null) continue;
      if (!older) { this.first = value; this.firstTs = ts; older = true; }
      this.decimals = Math.max(this.decimals, decimalsOf(value));
      this.addPoint(value, ts);
    }
    this.points = this.points.concat(points).slice(-POINTS_MAX); this.pointTs = pointTs;
    return true;
  }

  /** Once a second. rate: received here; published: by the topic's numbering. @param seconds since the last time */
  tick(seconds) {
    const received = (this.received - this.receivedBefore) / seconds, published = (this.seq - this.seqBefore) / seconds;
    this.receivedBefore = this.received; this.seqBefore = this.seq;
    const share = Math.max(RATE_SHARE, 1 / ++this.ticks);
    this.rate += (received - this.rate) * share; this.published += (published - this.published) * share;
    if (this.rate < 0.02) this.rate = 0;
    if (this.published < 0.02) this.published = 0;
    return published;
  }

  /* Of one value alone there is none, which is not the same as to have stood still. */
  get change() { return changeOf(this.firstSeq === this.seq && this.firstTs === this.ts ? null : this.first, this.value, this.decimals); }
}
