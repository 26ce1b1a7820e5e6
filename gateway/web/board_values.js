/* What the board makes of payloads that it knows nothing about: which number to show, and how figures read as text. Pure. */

/** The number to show of any JSON, and what stands beside it. field: where the number was found, where that is not the price.
 *  @returns {{ value: number | null, field: string, bid: number | null, ask: number | null, volume: number | null, label: string, synthetic: boolean }} */
export function readingOf(data) {
  const reading = { value: null, field: "", bid: null, ask: null, volume: null, label: "", synthetic: false };
  if (typeof data === "number") reading.value = data;
  if (data === null || typeof data !== "object" || Array.isArray(data)) return reading;
  const pick = (...names) => { for (const name of names) { const number = numberOf(data[name]); if (number !== null) return number; } return null; };
  reading.bid = pick("b", "bid"); reading.ask = pick("a", "ask"); reading.volume = pick("v", "vol", "volume");
  reading.label = typeof data.name === "string" ? data.name : "";
  reading.synthetic = data.synthetic === true;
  reading.value = pick("p", "price", "last");
  if (reading.value === null && reading.bid !== null && reading.ask !== null) { reading.value = (reading.bid + reading.ask) / 2; reading.field = "mid"; }
  if (reading.value === null) for (const field in data) if (Number.isFinite(data[field])) { reading.value = data[field]; reading.field = field; break; }
  return reading;
}

/* Many feeds quote their numbers. */
function numberOf(value) {
  if (Number.isFinite(value)) return value;
  return typeof value === "string" && value.trim() !== "" && value.length < 32 && Number.isFinite(+value) ? +value : null;
}

/** What is beyond twelve digits is arithmetic's dust. */
export function decimalsOf(value) {
  const text = String(+value.toPrecision(12)), dot = text.indexOf(".");
  return text.includes("e-") ? 8 : dot < 0 ? 0 : Math.min(8, text.length - dot - 1);
}

const formats = Array.from({ length: 9 }, (_, n) => new Intl.NumberFormat("en-US", { minimumFractionDigits: n, maximumFractionDigits: n }));
const compactFormat = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 });

/* What eight decimals would leave two digits of, or none, is written with its power of ten. */
export function format(value, decimals) {
  const size = Math.abs(value);
  return size >= 1e15 ? value.toExponential(6) : size > 0 && size < 1e-6 && decimals === 8 ? String(+value.toPrecision(4)) : formats[decimals].format(value);
}
export const count = value => formats[0].format(value);
export const compact = value => Math.abs(value) < 10000 ? format(value, Number.isInteger(value) ? 0 : 1) : compactFormat.format(value);
export const rateText = value => value === 0 ? "0" : value < 9.95 ? value.toFixed(1) : compact(Math.round(value));
export const capital = text => text.charAt(0).toUpperCase() + text.slice(1);
export const sentence = text => capital(text) + (/[.!?…]$/.test(text) ? "" : ".");

export function shortJson(data, most = 120) { const text = JSON.stringify(data) ?? ""; return text.length > most ? text.slice(0, most - 1) + "…" : text; }

/** From a first value to a later one: as a percentage, or as a difference where there is none (from zero). */
export function changeOf(first, value, decimals) {
  if (value === null || first === null) return { text: "", trend: "", share: 0 };
  const by = value - first, share = by / Math.abs(first) * 100;
  const text = Math.abs(share) < 1e5 ? Math.abs(share).toFixed(2) + "%" : format(Math.abs(by), decimals);
  if (!/[1-9]/.test(text)) return { text, trend: "", share: 0 };
  return by > 0 ? { text: "+" + text, trend: "up", share } : { text: "−" + text, trend: "down", share };
}

export function spanText(ms) { const s = ms / 1000; return s < 90 ? Math.floor(s) + " s" : s < 5400 ? Math.round(s / 60) + " min" : s < 172800 ? Math.round(s / 3600) + " h" : Math.round(s / 86400) + " d"; }
export const ageText = ms => ms < 2000 ? "now" : spanText(ms);
export const delayText = ms => ms < 0.05 ? "< 0.1 ms" : ms < 10 ? ms.toFixed(1) + " ms" : ms < 10000 ? Math.round(ms) + " ms" : spanText(ms);
const clockFormat = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3 });
export const clockText = ts => clockFormat.format(ts / 1000);

/** As one word of a shell's. */
export const quoted = text => "'" + text.replace(/'/g, "'\\''") + "'";

const units = ["B", "KiB", "MiB", "GiB", "TiB"];
export function bytesText(bytes) {
  let unit = 0;
  while (bytes >= 1024 && unit < units.length - 1) { bytes /= 1024; unit++; }
  return (unit === 0 || bytes >= 100 ? Math.round(bytes) : bytes.toFixed(1)) + " " + units[unit];
}
export const percentText = share => { const value = share * 100; return (value >= 10 || value === 0 ? Math.round(value) : value < 0.1 ? "< 0.1" : value.toFixed(1)) + " %"; };
export const microText = us => us < 1000 ? Math.round(us) + " µs" : us < 10e3 ? (us / 1e3).toFixed(1) + " ms" : us < 10e6 ? Math.round(us / 1e3).toLocaleString("en-US") + " ms" : Math.round(us / 1e6) + " s";
