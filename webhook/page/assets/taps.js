// The table of taps. Only the rows that are seen are in the document, so that 10,000 stay quick.
import {bytes, compact, el, issues, moment, number, reconcile, setCell, setText, standings, tapLink} from "./dom.js";

const ROW = 2.5 * parseFloat(getComputedStyle(document.documentElement).fontSize);  // --row in style.css, in pixels
const BESIDE = 8;  // rows above and below what is seen
const ranks = ["gone", "no-sensor", "paused", "forwarding", "ended"];  // what needs attention first

// `of` makes the cell, `by` is what rows are sorted by.
const columns = [
  {head: "Namespace", by: tap => tap.namespace, of: tap => tap.namespace},
  {head: "Pod", by: tap => tap.pod, of: tap => tapLink(tap.namespace, tap.pod)},
  {head: "Node", by: tap => tap.node, of: tap => tap.node},
  {head: "State", by: tap => ranks.indexOf(tap.standing), of: tap => standings[tap.standing] ?? tap.standing},
  {head: "Sessions", by: tap => tap.sessions, of: tap => tap.sessions},
  {head: "Seen, packets/s", number: true, by: tap => tap.seen_packets, of: tap => compact(tap.seen_packets)},
  {head: "Seen, bytes/s", number: true, by: tap => tap.seen_bytes, of: tap => bytes(tap.seen_bytes)},
  {head: "Forwarded, packets/s", number: true, by: tap => tap.forwarded_packets, of: tap => compact(tap.forwarded_packets)},
  {head: "Forwarded, bytes/s", number: true, by: tap => tap.forwarded_bytes, of: tap => bytes(tap.forwarded_bytes)},
  {head: "Lost in 15 min", number: true, by: tap => tap.lost, of: tap => compact(tap.lost)},
  {head: "Release", by: tap => tap.release, of: tap => tap.release},
  {head: "Profile", by: tap => tap.profile, of: tap => tap.profile || "default"},
  {head: "Since", by: tap => tap.since, of: tap => moment(tap.since)},
];

const compare = (a, b) => typeof a === "string" ? a.localeCompare(b) : a - b;

// From the answer's arrays. `text` is what the filter looks at.
function tapsOf(data) {
  return data.rows.map(row => {
    const tap = Object.fromEntries(data.columns.map((name, i) => [name, row[i]]));
    tap.key = `${tap.namespace}/${tap.pod}/${tap.since}`;
    tap.text = `${tap.namespace}/${tap.pod} ${tap.node} ${tap.sessions} ${tap.release} ${tap.profile}`.toLowerCase();
    tap.issues = tap.issues.split(" ");
    return tap;
  });
}

function select(label, all, choices, changed) {
  const options = Object.entries(choices).map(([value, name]) => el("option", {value}, name));
  const input = el("select", {onchange: changed}, el("option", {value: ""}, all), ...options);
  return {input, node: el("label", {}, label, input)};
}

// The part of the document that shows `rows`, as far as they are seen.
class Window {
  #rows = [];
  #body = el("tbody");
  #table = el("table", {"aria-label": "Taps"});
  #space;

  constructor(head) {
    this.#table.append(head, this.#body);
    this.#space = el("div", {}, this.#table);
    this.node = el("div", {class: "scroller tall", tabindex: "0", role: "region", "aria-label": "Table of taps",
      onscroll: () => this.#draw()}, this.#space);
    this.watch = new ResizeObserver(() => requestAnimationFrame(() => this.#draw()));
    this.watch.observe(this.node);
  }

  show(rows) {
    this.#rows = rows;
    this.#table.setAttribute("aria-rowcount", rows.length + 1);
    this.#space.style.height = `${(rows.length + 1) * ROW}px`;
    this.#draw();
  }

  #draw() {
    const seen = Math.ceil(this.node.clientHeight / ROW);
    const last = Math.max(0, this.#rows.length - seen - 2 * BESIDE);
    const first = Math.min(last, Math.max(0, Math.floor(this.node.scrollTop / ROW) - BESIDE));
    const shown = this.#rows.slice(first, first + seen + 2 * BESIDE);
    const index = new Map(shown.map((tap, i) => [tap, first + i + 2]));
    this.#table.style.marginTop = `${first * ROW}px`;
    const focused = this.#body.contains(document.activeElement);
    reconcile(this.#body, shown, tap => tap.key,
      () => el("tr", {}, ...columns.map(column => el("td", {class: column.number ? "number" : null}))),
      (row, tap) => {
        row.setAttribute("aria-rowindex", index.get(tap));
        columns.forEach((column, i) => {
          const value = column.of(tap);
          setCell(row.children[i], value);
          row.children[i].title = value.text ?? value;
        });
      });
    if (focused && !this.#body.contains(document.activeElement)) this.node.focus({preventScroll: true});
  }
}

export function taps(root, route) {
  let all = [];
  let sorted = {column: 3, descending: false};

  const heads = columns.map((column, i) => {
    const mark = el("span", {"aria-hidden": "true"});
    const button = el("button", {type: "button", onclick: () => sortBy(i)}, column.head, mark);
    return {mark, node: el("th", {scope: "col", class: column.number ? "number" : null}, button)};
  });
  const rows = new Window(el("thead", {}, el("tr", {"aria-rowindex": "1"}, ...heads.map(head => head.node))));
  const filter = el("input", {type: "search", autocomplete: "off", oninput: () => changed()});
  const standing = select("State", "All states", standings, () => changed());
  const issue = select("Needs attention", "All taps", issues, () => changed());
  const namespace = select("Namespace", "All namespaces", {}, () => changed());
  const count = el("p", {role: "status"});
  root.append(el("div", {class: "controls"}, el("label", {}, "Filter", filter), standing.node, namespace.node, issue.node),
    count, rows.node);
  const inputs = {filter, standing: standing.input, namespace: namespace.input, issue: issue.input};

  function choose(input, value) {
    if (input.tagName === "SELECT" && ![...input.options].some(option => option.value === value)) {
      input.append(el("option", {value}, value));
    }
    input.value = value;
  }
  for (const [name, input] of Object.entries(inputs)) choose(input, route.query.get(name) ?? "");

  function sortBy(column) {
    // Numbers are most interesting where they are great.
    const descending = sorted.column === column ? !sorted.descending : Boolean(columns[column].number);
    sorted = {column, descending};
    draw();
  }

  function changed() {
    const query = new URLSearchParams();
    for (const [name, input] of Object.entries(inputs)) if (input.value) query.set(name, input.value);
    const text = query.toString();
    history.replaceState(null, "", text ? `#/taps?${text}` : "#/taps");
    draw();
  }

  function draw() {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = all.filter(tap => words.every(word => tap.text.includes(word))
      && (!standing.input.value || tap.standing === standing.input.value)
      && (!namespace.input.value || tap.namespace === namespace.input.value)
      && (!issue.input.value || tap.issues.includes(issue.input.value)));
    const {by} = columns[sorted.column];
    const sign = sorted.descending ? -1 : 1;
    wanted.sort((a, b) => sign * compare(by(a), by(b)) || compare(a.key, b.key));
    heads.forEach(({mark, node}, i) => {
      const active = i === sorted.column;
      setText(mark, active ? (sorted.descending ? " ▼" : " ▲") : "");
      if (active) node.setAttribute("aria-sort", sorted.descending ? "descending" : "ascending");
      else node.removeAttribute("aria-sort");
    });
    setText(count, wanted.length === all.length ? `${number(all.length)} taps` : `${number(wanted.length)} of ${number(all.length)} taps`);
    rows.show(wanted);
  }

  function showNamespaces() {
    const names = [...new Set(all.map(tap => tap.namespace))].sort(compare);
    const known = new Set([...namespace.input.options].map(option => option.value));
    for (const name of names) if (!known.has(name)) namespace.input.append(el("option", {value: name}, name));
  }

  return {
    title: "Taps",
    path: "/api/taps",
    period: 5000,
    show(data) {
      all = tapsOf(data);
      showNamespaces();
      draw();
    },
    close: () => rows.watch.disconnect(),
  };
}
