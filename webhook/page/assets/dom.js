// Builds and updates the document. Data becomes text, never markup.

const SVG = "http://www.w3.org/2000/svg";

function build(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children);
  return node;
}

export const el = (tag, attributes = {}, ...children) => build(document.createElement(tag), attributes, children);
export const svg = (tag, attributes = {}, ...children) => build(document.createElementNS(SVG, tag), attributes, children);

// Unchanged text is left alone, so that selections stay and screen readers keep quiet.
export function setText(node, text) {
  if (node.textContent !== String(text)) node.textContent = text;
}

function setAttribute(node, name, value) {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

// Makes the children of `parent` follow `items`. What stays is not touched, so that it keeps the focus. Items may have the
// same key, as one sensor of two interfaces: they are told apart by their order.
export function reconcile(parent, items, keyOf, create, update) {
  const times = new Map();
  const keys = items.map(item => {
    const key = String(keyOf(item));
    const before = times.get(key) ?? 0;
    times.set(key, before + 1);
    return before === 0 ? key : `${key}\n${before}`;
  });
  const wanted = new Set(keys);
  const present = new Map();
  for (const child of [...parent.children]) {
    if (wanted.has(child.dataset.key)) present.set(child.dataset.key, child);
    else child.remove();
  }
  let at = parent.firstElementChild;
  items.forEach((item, i) => {
    let node = present.get(keys[i]);
    if (!node) {
      node = create(item);
      node.dataset.key = keys[i];
    }
    update(node, item);
    if (node === at) at = at.nextElementSibling;
    else parent.insertBefore(node, at);
  });
}

// A value is a text, or a link: {text, href}.
export function setCell(cell, value) {
  if (value === null || typeof value !== "object") return setText(cell, value ?? "");
  let link = cell.firstElementChild;
  if (!link) {
    link = el("a");
    cell.replaceChildren(link);
  }
  setText(link, value.text);
  setAttribute(link, "href", value.href);
}

// A table whose columns are [{head, of, number}]; `of` makes a row's value. Returns its node and `fill(items, keyOf)`.
export function table(caption, columns) {
  const body = el("tbody");
  const heads = columns.map(column => el("th", {scope: "col", class: column.number ? "number" : null}, column.head));
  const node = el("div", {class: "scroller", tabindex: "0", role: "region", "aria-label": caption},
    el("table", {}, el("caption", {}, caption), el("thead", {}, el("tr", {}, ...heads)), body));
  const create = () => el("tr", {}, ...columns.map(column => el("td", {class: column.number ? "number" : null})));
  const update = (row, item) => columns.forEach((column, i) => setCell(row.children[i], column.of(item)));
  return {node, fill: (items, keyOf) => reconcile(body, items, keyOf, create, update)};
}

// Names with values: [[name, value]]. `kind` is the class of the list.
export function definitions(kind) {
  const node = el("dl", {class: kind});
  const create = () => el("div", {}, el("dt"), el("dd"));
  const update = (box, [name, value]) => {
    setText(box.children[0], name);
    setCell(box.children[1], value);
  };
  if (kind === "tiles") {
    return {node, fill: pairs => reconcile(node, pairs, pair => pair[0], create, update)};
  }
  // In a grid of two columns, names and values stand beside each other.
  const fill = pairs => {
    const flat = pairs.flatMap(([name, value]) => [{key: `t${name}`, tag: "dt", value: name}, {key: `d${name}`, tag: "dd", value}]);
    reconcile(node, flat, item => item.key, item => el(item.tag), (box, item) => setCell(box, item.value));
  };
  return {node, fill};
}

const whole = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", {notation: "compact", maximumFractionDigits: 1});

export const number = value => whole.format(value);
export const compact = value => value < 10_000 ? whole.format(value) : short.format(value);
export function bytes(value) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    ++unit;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}
export const clock = at => new Date(at).toLocaleTimeString();
export const moment = at => at === null ? "never" : new Date(at).toLocaleString();

export const standings = {
  "forwarding": "Forwarding",
  "paused": "Paused",
  "no-sensor": "Not forwarding",
  "gone": "Gone",
  "ended": "Ended",
};
export const issues = {
  "gone": "Disconnected unexpectedly",
  "no-sensor": "Not forwarding",
  "not-capturing": "Interface not captured",
  "not-following": "Settings not applied",
  "silent": "Silent",
  "losing": "Losing packets",
  "behind": "Older settings",
  "paused": "Paused",
  "unreported": "Not reported",
};
export const tapLink = (namespace, pod) => ({
  text: pod,
  href: `#/taps/${encodeURIComponent(namespace)}/${encodeURIComponent(pod)}`,
});
