// Services by kind of backend.
import {definitions, el, number, setText, table} from "./dom.js";

const kinds = {
  tapped: "All backends tapped",
  partly: "Some backends tapped",
  untapped: "No backend tapped",
  none: "No backends",
};

export function services(root) {
  const words = el("p");
  const tiles = definitions("tiles");
  const list = table("Services, partly tapped ones first", [
    {head: "Service", of: row => row.service},
    {head: "Family", of: row => row.family},
    {head: "Backends", of: row => kinds[row.kind] ?? row.kind},
    {head: "Tapped", number: true, of: row => `${number(row.tapped)} of ${number(row.backends)}`},
  ]);
  const more = el("p", {class: "faint", hidden: true});
  root.append(words, tiles.node, el("h2", {}, "Services"), list.node, more);
  return {
    title: "Services",
    path: "/api/services",
    period: 5000,
    show(data) {
      setText(words, data.watched
        ? "If all backends of a Service are tapped, their taps forward its traffic. Otherwise the clients' taps do."
        : "The registry does not watch Services. Taps treat each of their addresses as untapped.");
      tiles.node.hidden = list.node.hidden = !data.watched;
      tiles.fill(Object.entries(kinds).map(([kind, name]) => [`${name}, cluster IPs`, number(data.numbers[kind])]));
      list.fill(data.listed, row => `${row.service} ${row.family}`);
      more.hidden = data.left_out === 0;
      setText(more, `${number(data.left_out)} more are not shown.`);
    },
  };
}
