// What needs attention, and the numbers of all taps together.
import {bytes, compact, definitions, el, number, reconcile, setText, standings, table} from "./dom.js";

function attentionList() {
  const good = el("p", {class: "good", hidden: true}, "Nothing needs attention.");
  const list = el("ul", {class: "attention"});
  const node = el("section", {"aria-labelledby": "attention"}, el("h2", {id: "attention"}, "Needs attention"),
    el("div", {"aria-live": "polite"}, good, list));
  const words = {error: "Error: ", warning: "Warning: ", note: "Note: "};
  const create = item => el("li", {class: item.severity}, el("strong", {}, words[item.severity]), el("a"));
  const update = (entry, item) => {
    const link = entry.lastElementChild;
    setText(link, item.text);
    if (item.link.startsWith("#/")) link.setAttribute("href", item.link);
  };
  const show = items => {
    good.hidden = items.length > 0;
    // A number that changes must not replace a link that has the focus.
    reconcile(list, items, item => item.link.includes("issue=") ? item.link : item.text, create, update);
  };
  return {node, show};
}

function tilesOf(data) {
  const tiles = [["Taps", {text: number(data.taps.all), href: "#/taps"}]];
  for (const [standing, name] of Object.entries(standings)) {
    const taps = data.taps[standing];
    if (taps > 0 || standing === "forwarding") {
      tiles.push([name, {text: number(taps), href: `#/taps?standing=${standing}`}]);
    }
  }
  const {rates} = data;
  tiles.push(["Seen, packets/s", compact(rates.seen_packets)], ["Seen, bytes/s", bytes(rates.seen_bytes)],
    ["Forwarded, packets/s", compact(rates.forwarded_packets)], ["Forwarded, bytes/s", bytes(rates.forwarded_bytes)],
    ["Lost in 15 minutes", compact(data.recently_lost)]);
  if (data.coverage) tiles.push(["Pods without a tap", {text: number(data.coverage.untapped), href: "#/coverage"}]);
  tiles.push(["Settings, generation", number(data.generation)]);
  return tiles;
}

export function overview(root) {
  const attention = attentionList();
  const tiles = definitions("tiles");
  const sensors = table("Sensors", [
    {head: "Sensor", of: row => row.sensor},
    {head: "Taps", number: true, of: row => number(row.taps)},
    {head: "Capturing", number: true, of: row => number(row.capturing)},
    {head: "Sessions", of: row => Object.entries(row.states).map(([state, taps]) => `${number(taps)} ${state}`).join(", ")},
    {head: "Reason", of: row => row.reason},
  ]);
  const more = el("p", {class: "faint", hidden: true});
  const losses = table("Losses by cause, since the start of each tap", [
    {head: "Cause", of: row => row.cause},
    {head: "Packets", number: true, of: row => number(row.packets)},
  ]);
  const none = el("p", {class: "faint", hidden: true}, "No packet was lost.");
  const releases = table("Releases and profiles in force", [
    {head: "Kind", of: row => row.kind},
    {head: "Name", of: row => row.name || "default"},
    {head: "Taps", number: true, of: row => number(row.taps)},
  ]);
  root.append(attention.node, el("h2", {}, "Traffic"), tiles.node, el("h2", {}, "Sensors"), sensors.node, more,
    el("h2", {}, "Losses"), losses.node, none, el("h2", {}, "Taps"), releases.node);
  return {
    title: "Overview",
    path: "/api/overview",
    period: 3000,
    show(data) {
      attention.show(data.attention);
      tiles.fill(tilesOf(data));
      sensors.fill(data.sensors, row => row.sensor);
      more.hidden = data.sensors_left_out === 0;
      setText(more, `${number(data.sensors_left_out)} more sessions with other sensors are not shown.`);
      losses.fill(data.lost, row => row.cause);
      losses.node.hidden = data.lost.length === 0;
      none.hidden = data.lost.length > 0;
      releases.fill([...data.releases.map(row => ({kind: "Release", ...row})),
        ...data.profiles.map(row => ({kind: "Profile", ...row}))], row => `${row.kind} ${row.name}`);
    },
  };
}
