/* What the dashboard draws with: a chart of the last minutes, a meter, a list that keeps its rows. No text becomes markup. */

/** An element with text and attributes; children may be null. */
export function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== undefined && value !== "") node.setAttribute(name, value);
  node.append(...children.filter(child => child !== null));
  return node;
}

export const setText = (node, text) => { if (node.textContent !== text) node.textContent = text; };
export const setLevel = (node, level) => { if ((node.dataset.level ?? "") !== level) { if (level) node.dataset.level = level; else delete node.dataset.level; } };

/** Brings the children of a list to what `items` say: a node for each key, made once, kept while it is there, in the order of the items. */
export function keep(list, items, build, show) {
  const known = new Map([...list.children].map(node => [node.dataset.key, node]));
  let at = list.firstElementChild;
  for (const item of items) {
    let node = known.get(item.key);
    if (node) known.delete(item.key);
    else { node = build(item); node.dataset.key = item.key; }
    if (node === at) at = at.nextElementSibling;
    else list.insertBefore(node, at);
    show(node, item);
  }
  for (const node of known.values()) node.remove();
}

/** A share as a bar and a figure. */
export function meter(label) {
  const bar = make("i"), figure = make("b"), node = make("div", { class: "meter", role: "meter", "aria-label": label, "aria-valuemin": "0", "aria-valuemax": "100" }, make("span", { "aria-hidden": "true" }, bar), figure);
  return { node, set(share, text, level) {
    bar.style.width = Math.max(0, Math.min(1, share)) * 100 + "%";
    setText(figure, text); setLevel(node, level);
    node.setAttribute("aria-valuenow", String(Math.round(share * 100))); node.setAttribute("aria-valuetext", text);
  } };
}

/** The last `most` values of one figure; holes are null. */
export class Trail {
  constructor(most) { this.most = most; this.values = []; }
  add(value) { this.values.push(value); if (this.values.length > this.most) this.values.shift(); }
  clear() { this.values.length = 0; }
  get peak() { return this.values.reduce((most, value) => Math.max(most, value ?? 0), 0); }
}

/** Draws a trail over the whole of a canvas, the newest at the right; `least`: what fills the height at least, so that noise is no mountain. */
export function draw(canvas, trail, colour, least = 0) {
  const { clientWidth: width, clientHeight: height } = canvas, ratio = devicePixelRatio;
  if (!width || !height) return;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) { canvas.width = Math.round(width * ratio); canvas.height = Math.round(height * ratio); }
  const pen = canvas.getContext("2d"), most = Math.max(trail.peak, least, 1e-9), step = width / (trail.most - 1), left = width - (trail.values.length - 1) * step;
  pen.setTransform(ratio, 0, 0, ratio, 0, 0); pen.clearRect(0, 0, width, height);
  const at = (value, i) => [left + i * step, height - 2 - value / most * (height - 5)];
  for (const fill of [true, false]) {
    let open = false, from = 0;
    const close = i => { if (open && fill) { pen.lineTo(left + i * step, height); pen.lineTo(from, height); pen.closePath(); } open = false; };
    pen.beginPath();
    trail.values.forEach((value, i) => {
      if (value === null) return close(i - 1);
      const [x, y] = at(value, i);
      if (open) pen.lineTo(x, y); else { pen.moveTo(x, y); from = x; open = true; }
    });
    close(trail.values.length - 1);
    pen.strokeStyle = pen.fillStyle = colour; pen.lineWidth = 1.5; pen.lineJoin = "round";
    if (fill) { pen.globalAlpha = 0.14; pen.fill(); pen.globalAlpha = 1; } else pen.stroke();
  }
}
