// Pods in selected namespaces that have no tap.
import {definitions, el, number, setText, table} from "./dom.js";

export function coverage(root) {
  const words = el("p");
  const tiles = definitions("tiles");
  const causes = table("Why, and what to do", [
    {head: "Cause", of: row => row.cause},
    {head: "Pods", number: true, of: row => number(row.pods)},
    {head: "What to do", of: row => row.remedy},
  ]);
  const pods = table("Pods without a tap", [
    {head: "Namespace", of: row => row.namespace},
    {head: "Pod", of: row => row.pod},
    {head: "Owner", of: row => row.owner},
    {head: "Cause", of: row => row.cause},
    {head: "Detail", of: row => row.detail},
  ]);
  const more = el("p", {class: "faint", hidden: true});
  root.append(words, tiles.node, el("h2", {}, "Causes"), causes.node, el("h2", {}, "Pods"), pods.node, more);
  return {
    title: "Coverage",
    path: "/api/coverage",
    period: 5000,
    show(data) {
      setText(words, data.watched
        ? "Running pods in the namespaces that are selected for injection."
        : "Coverage is off, or the webhook cannot list pods and namespaces now. To turn coverage on, set coverage.enabled=true.");
      tiles.node.hidden = causes.node.hidden = pods.node.hidden = !data.watched;
      tiles.fill([["With a tap", number(data.tapped)], ["Without a tap", number(data.untapped)]]);
      causes.fill(data.causes, row => row.cause);
      pods.fill(data.listed, row => `${row.namespace}/${row.pod}`);
      more.hidden = data.left_out === 0;
      setText(more, `${number(data.left_out)} more are not shown.`);
    },
  };
}
