// Who forwards to which sensor, as a picture and as a table.
import {bytes, el, number, setText, svg, table} from "./dom.js";

const MOST = 20;  // namespaces and sensors in the picture
const STEP = 44, TOP = 20;

// The names with the greatest sums, by sum.
function greatest(edges, nameOf) {
  const sums = new Map();
  for (const edge of edges) {
    const sum = sums.get(nameOf(edge)) ?? {bytes: 0, taps: 0};
    sum.bytes += edge.bytes;
    sum.taps += edge.taps;
    sums.set(nameOf(edge), sum);
  }
  return [...sums].sort(([, a], [, b]) => b.bytes - a.bytes || b.taps - a.taps).slice(0, MOST).map(([name]) => name);
}

const shortened = (text, most) => text.length > most ? `${text.slice(0, most - 1)}…` : text;

class Picture {
  #drawing = svg("svg", {role: "img"});
  #edges = [];
  #watch = new ResizeObserver(() => requestAnimationFrame(() => this.#draw()));

  constructor() {
    this.node = el("figure", {}, el("figcaption", {}, "Namespaces and their sensors"), this.#drawing,
      el("p", {class: "legend"}, "The wider a line, the more bytes. Dashed: at least one tap has no session. The table below has all numbers."));
    this.#watch.observe(this.node);
  }

  show(edges) {
    this.#edges = edges;
    this.#draw();
  }

  close() {
    this.#watch.disconnect();
  }

  #draw() {
    const width = Math.max(this.#drawing.getBoundingClientRect().width, 200);
    const left = greatest(this.#edges, edge => edge.namespace);
    const right = greatest(this.#edges, edge => edge.sensor);
    const height = TOP + STEP * Math.max(left.length, right.length, 1);
    const drawing = this.#drawing;
    drawing.setAttribute("viewBox", `0 0 ${width} ${height}`);
    drawing.setAttribute("height", height);
    drawing.setAttribute("aria-label",
      `${left.length} namespaces on the left, ${right.length} sensors on the right, and a line for who forwards to whom.`);
    const y = (list, name) => TOP + 12 + (list.indexOf(name) + .5) * (height - TOP) / list.length - 12;
    const from = 12, to = width - 12;
    const most = Math.max(1, ...this.#edges.map(edge => edge.bytes));
    const drawn = this.#edges.filter(edge => left.includes(edge.namespace) && right.includes(edge.sensor));
    const curves = drawn.map(edge => {
      const a = y(left, edge.namespace), b = y(right, edge.sensor), middle = (from + to) / 2;
      const broken = edge.capturing < edge.taps;
      return svg("path", {class: broken ? "edge broken" : "edge", d: `M${from} ${a}C${middle} ${a} ${middle} ${b} ${to} ${b}`,
        "stroke-width": (1.5 + 10 * Math.sqrt(edge.bytes / most)).toFixed(1)},
      svg("title", {}, `${edge.namespace} to ${edge.sensor}: ${number(edge.taps)} taps, ${bytes(edge.bytes)}/s`));
    });
    const letters = Math.floor(width / 2 / 8);
    const nodes = (list, x, anchor) => list.flatMap(name => [
      svg("circle", {class: "node", cx: x, cy: y(list, name), r: 6}),
      svg("text", {class: "label", x: anchor === "end" ? x + 8 : x - 8, y: y(list, name) - 12, "text-anchor": anchor},
        shortened(name, letters), svg("title", {}, name)),
    ]);
    drawing.replaceChildren(...curves, ...nodes(left, from, "start"), ...nodes(right, to, "end"));
  }
}

export function forwarding(root) {
  const picture = new Picture();
  const hidden = el("p", {class: "faint", hidden: true});
  const list = table("Who forwards to which sensor", [
    {head: "Namespace", of: row => ({text: row.namespace, href: `#/taps?namespace=${encodeURIComponent(row.namespace)}`})},
    {head: "Sensor", of: row => row.sensor},
    {head: "Taps", number: true, of: row => number(row.taps)},
    {head: "Capturing", number: true, of: row => number(row.capturing)},
    {head: "Bytes/s", number: true, of: row => bytes(row.bytes)},
  ]);
  const none = el("p", {class: "faint", hidden: true}, "No tap has told its sensors yet.");
  root.append(none, picture.node, hidden, el("h2", {}, "As a table"), list.node);
  return {
    title: "Forwarding",
    path: "/api/flows",
    period: 3000,
    show(data) {
      none.hidden = data.edges.length > 0;
      picture.node.hidden = list.node.hidden = data.edges.length === 0;
      picture.show(data.edges);
      hidden.hidden = data.left_out === 0;
      setText(hidden, `${number(data.left_out)} more pairs are not shown.`);
      list.fill(data.edges, row => `${row.namespace} ${row.sensor}`);
    },
    close: () => picture.close(),
  };
}
