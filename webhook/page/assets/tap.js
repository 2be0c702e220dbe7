// One tap, and its last 15 minutes.
import {Chart, differences} from "./charts.js";
import {bytes, clock, compact, definitions, el, moment, number, standings, table} from "./dom.js";

function factsOf(tap) {
  const facts = [
    ["State", standings[tap.standing] ?? tap.standing],
    ["Namespace", {text: tap.namespace, href: `#/taps?namespace=${encodeURIComponent(tap.namespace)}`}],
    ["Pod", tap.pod],
    ["UID", tap.uid],
    ["Node", tap.node || "unknown"],
    ["Addresses", tap.addresses.join(", ") || "none proved"],
    ["Connected since", moment(tap.since)],
    ["Last report", moment(tap.reported)],
    ["Ended", tap.ended === null ? "no" : moment(tap.ended)],
    ["Ownership rules", number(tap.rules)],
  ];
  if (tap.release === undefined) return facts;
  return [...facts,
    ["Release", tap.release],
    ["Profile", tap.profile || "default"],
    ["Settings, generation", tap.generation === 0 ? "of its environment" : number(tap.generation)],
    ["Applies them", tap.following ? "yes" : "no: it was told something that it cannot apply"],
  ];
}

function countsOf(tap) {
  if (!tap.counts) return [];
  const {counts} = tap;
  return [
    ["Seen", `${compact(counts.seen)} (${bytes(counts.seen_bytes)})`],
    ["Owned", `${compact(counts.owned)} (${bytes(counts.owned_bytes)})`],
    ["Forwarded", `${compact(counts.forwarded)} (${bytes(counts.forwarded_bytes)})`],
    ["Wanted by nobody", compact(counts.filtered)],
    ["Lost in 15 minutes", compact(tap.recently_lost)],
  ];
}

function meshOf(tap) {
  const {mesh} = tap;
  if (!mesh) return [];
  return [
    ["Mesh", mesh.kind === "none" ? "none listens now" : mesh.kind],
    ["Read from the loopback interface", compact(mesh.read)],
    ["Plaintext", compact(mesh.legs)],
    ["Ciphertext left out", compact(mesh.covered)],
  ];
}

function samplesOf(history) {
  const {at} = history;
  const rates = Object.fromEntries(["seen", "seen_bytes", "forwarded", "forwarded_bytes", "lost"]
    .map(name => [name, differences(at, history[name])]));
  return {at: at.slice(1), rates};
}

export function tap(root, route) {
  const [namespace, pod] = route.rest;
  const missing = el("p", {class: "warning", hidden: true}, "There is no such tap. It ended more than 15 minutes ago, or it never existed.");
  const facts = definitions("facts");
  const sensors = table("Sensors", [
    {head: "Sensor", of: row => row.sensor},
    {head: "Session", of: row => row.state},
    {head: "Reason", of: row => row.reason},
  ]);
  const interfaces = table("Interfaces", [
    {head: "Interface", of: row => row.name},
    {head: "Captured", of: row => row.capturing ? "yes" : "no"},
  ]);
  const counts = definitions("tiles");
  const mesh = definitions("tiles");
  const meshed = el("section", {hidden: true}, el("h2", {}, "Plaintext of the mesh"), mesh.node);
  const losses = table("Losses by cause, since its start", [
    {head: "Cause", of: row => row.cause},
    {head: "Packets", number: true, of: row => number(row.packets)},
  ]);
  const perSecond = value => `${compact(value < 10 ? Number(value.toFixed(1)) : Math.round(value))}/s`;
  const packets = new Chart("Packets a second", ["seen", "forwarded"], perSecond);
  const volume = new Chart("Bytes a second", ["seen", "forwarded"], value => `${bytes(value)}/s`);
  const lost = new Chart("Lost packets a second", ["lost"], perSecond);
  const samples = table("The values of the charts, newest first", [
    {head: "Time", of: row => clock(row.at)},
    {head: "Seen, packets/s", number: true, of: row => perSecond(row.seen)},
    {head: "Forwarded, packets/s", number: true, of: row => perSecond(row.forwarded)},
    {head: "Lost, packets/s", number: true, of: row => perSecond(row.lost)},
  ]);
  const content = el("div", {}, facts.node, el("h2", {}, "Sensors"), sensors.node, el("h2", {}, "Last 15 minutes"),
    el("div", {class: "charts"}, packets.node, volume.node, lost.node),
    el("details", {}, el("summary", {}, "Values as a table"), samples.node),
    el("h2", {}, "Counts since its start"), counts.node, meshed, el("h2", {}, "Losses"), losses.node,
    el("h2", {}, "Interfaces"), interfaces.node);
  const none = el("p", {class: "faint", hidden: true}, "It has not reported: it is new, or of an older release.");
  root.append(missing, none, content);

  return {
    title: `${namespace}/${pod}`,
    path: `/api/taps/${encodeURIComponent(namespace)}/${encodeURIComponent(pod)}`,
    period: 3000,
    show(data) {
      missing.hidden = data !== null;
      content.hidden = data === null;
      none.hidden = data === null || data.release !== undefined;
      if (data === null) return;
      facts.fill(factsOf(data));
      sensors.fill(data.sensors ?? [], row => row.sensor);
      interfaces.fill(data.interfaces ?? [], row => row.name);
      counts.fill(countsOf(data));
      mesh.fill(meshOf(data));
      meshed.hidden = data.mesh === undefined;
      losses.fill(data.lost ?? [], row => row.cause);
      const {at, rates} = samplesOf(data.history);
      packets.show(at, [rates.seen, rates.forwarded]);
      volume.show(at, [rates.seen_bytes, rates.forwarded_bytes]);
      lost.show(at, [rates.lost]);
      samples.fill(at.map((time, i) => ({at: time, seen: rates.seen[i], forwarded: rates.forwarded[i], lost: rates.lost[i]}))
        .reverse(), row => row.at);
    },
    close: () => [packets, volume, lost].forEach(chart => chart.close()),
  };
}
