// Shows the view that the address names, and keeps it up to date while it is seen.
import {Poll} from "./api.js";
import {coverage} from "./coverage.js";
import {clock, el, setText} from "./dom.js";
import {forwarding} from "./forwarding.js";
import {overview} from "./overview.js";
import {services} from "./services.js";
import {tap} from "./tap.js";
import {taps} from "./taps.js";

const views = {overview, taps, services, forwarding, coverage};
const main = document.getElementById("main");
const banner = document.getElementById("banner");
const updated = document.getElementById("updated");
const pause = document.getElementById("pause");

let view = null;
let poll = null;
let paused = false;
let last = null;  // when the server has answered

// "#/taps/shop/web?x=y"
function routeOf(hash) {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split("?");
  const [name, ...rest] = path.split("/");
  const decode = text => {
    try {
      return decodeURIComponent(text);
    } catch {
      return text;
    }
  };
  return {name: name || "overview", rest: rest.map(decode), query: new URLSearchParams(query)};
}

function answered(data) {
  last = Date.now();
  banner.hidden = true;
  banner.textContent = "";
  setText(updated, `Updated ${clock(last)}`);
  view.show(data);
  main.setAttribute("aria-busy", "false");
  // A view that is opened while updates are paused is shown once.
  if (paused) poll.stop();
}

function failed(error) {
  const since = last === null ? "" : ` What you see is from ${clock(last)}.`;
  const reason = error instanceof TypeError || error.name === "TimeoutError"
    ? "The connection is lost. Check that kubectl port-forward still runs."
    : `The server cannot answer: ${error.message}.`;
  setText(banner, `${reason}${since} The page tries again.`);
  banner.hidden = false;
}

function run() {
  if (paused || document.hidden) poll.stop();
  else poll.start();
}

function open() {
  const route = routeOf(location.hash);
  const make = route.name === "taps" && route.rest.length === 2 ? tap : views[route.name];
  if (!make) {
    location.replace("#/overview");
    return;
  }
  const moved = view !== null;
  poll?.stop();
  view?.close?.();
  const content = el("div");
  view = make(content, route);
  const title = el("h1", {tabindex: "-1"}, view.title);
  main.setAttribute("aria-busy", "true");
  main.replaceChildren(title, content);
  document.title = `${view.title} - sidetap`;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#/${route.name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (moved) {
    scrollTo(0, 0);
    title.focus({preventScroll: true});
  }
  poll = new Poll(view.path, view.period, {answered, failed});
  poll.start();
}

pause.addEventListener("click", () => {
  paused = !paused;
  pause.setAttribute("aria-pressed", String(paused));
  run();
});
document.getElementById("skip").addEventListener("click", event => {
  event.preventDefault();
  main.focus();
});
document.addEventListener("visibilitychange", run);
addEventListener("hashchange", open);
open();
