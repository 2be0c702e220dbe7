// Line charts of the last minutes.
import {clock, el, svg} from "./dom.js";

const HEIGHT = 160, LEFT = 64, TOP = 12, BOTTOM = 24, RIGHT = 8;

// What is between two totals, a second.
export function differences(at, totals) {
  return totals.slice(1).map((total, i) => Math.max(0, total - totals[i]) * 1000 / Math.max(1, at[i + 1] - at[i]));
}

// A rounded number that is not below `value`.
function ceiling(value) {
  const step = 10 ** Math.floor(Math.log10(Math.max(value, 1)));
  return [1, 2, 5, 10].map(factor => factor * step).find(most => most >= value);
}

// `names` of one or two series, and `format` of a value.
export class Chart {
  #names;
  #format;
  #drawing = svg("svg", {role: "img", height: HEIGHT});
  #title;
  #at = [];
  #series = [];
  #watch = new ResizeObserver(() => requestAnimationFrame(() => this.#draw()));

  constructor(title, names, format) {
    this.#names = names;
    this.#format = format;
    this.#title = title;
    const legend = names.length > 1 ? `Solid: ${names[0]}. Dashed: ${names[1]}.` : `Solid: ${names[0]}.`;
    this.node = el("figure", {}, el("figcaption", {}, title), this.#drawing, el("p", {class: "legend"}, legend));
    this.#watch.observe(this.node);
  }

  close() {
    this.#watch.disconnect();
  }

  // `at`: when each value was taken. A series holds as many values.
  show(at, series) {
    this.#at = at;
    this.#series = series;
    this.#draw();
  }

  #describe() {
    const parts = this.#names.map((name, i) => {
      const values = this.#series[i] ?? [];
      if (values.length === 0) return `${name}: no values yet`;
      return `${name}: now ${this.#format(values.at(-1))}, at most ${this.#format(Math.max(...values))}`;
    });
    return `${this.#title}. ${parts.join(". ")}.`;
  }

  #draw() {
    const width = Math.max(this.#drawing.getBoundingClientRect().width, 200);
    const drawing = this.#drawing;
    drawing.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    drawing.setAttribute("aria-label", this.#describe());
    const most = ceiling(Math.max(0, ...this.#series.flat()));
    const from = this.#at[0] ?? 0, to = this.#at.at(-1) ?? 1;
    const x = at => LEFT + (width - LEFT - RIGHT) * (to > from ? (at - from) / (to - from) : 1);
    const y = value => TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / most);
    const parts = [0, most / 2, most].flatMap(value => [
      svg("line", {class: "axis", x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value)}),
      svg("text", {x: LEFT - 6, y: y(value) + 4, "text-anchor": "end"}, this.#format(value)),
    ]);
    this.#series.forEach((values, i) => {
      const points = values.map((value, j) => `${x(this.#at[j]).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
      parts.push(svg("polyline", {class: i === 0 ? "first" : "second", points}));
    });
    if (this.#at.length > 0) {
      parts.push(svg("text", {x: LEFT, y: HEIGHT - 6}, clock(from)),
        svg("text", {x: width - RIGHT, y: HEIGHT - 6, "text-anchor": "end"}, clock(to)));
    }
    drawing.replaceChildren(...parts);
  }
}
