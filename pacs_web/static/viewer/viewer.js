// Wires the image page: panes, tools, captions. The page shows its first image without this.

import { Beside } from "./beside.js";
import { Cine } from "./cine.js";
import { openDrawer } from "./drawer.js";
import { sayFailure } from "./failures.js";
import { follow } from "./gestures.js";
import { listenToKeys } from "./keys.js";
import { Link } from "./linking.js";
import { relink } from "./links.js";
import { Marks } from "./marks.js";
import { Pane } from "./pane.js";
import { describe, describeSeries } from "./captions.js";
import { Rail } from "./rail.js";
import { pageOf, seriesAt } from "./series.js";

const root = document.getElementById("viewer");
const element = (id) => document.getElementById(id);
const preset = element("preset");
const ADDRESS_AFTER_MS = 250;
let addressing = 0;

const panes = [];
const cines = new Map();
const asked = new Map(); // pane -> how many series were asked for it
let active = null;

const link = new Link(element("linked"), element("link-how"));
const marks = new Marks(root.dataset.companions, { open: (uid, frame, series) => open(uid, frame, series), active: () => active });
const rail = new Rail(element("rail"), (address, pane = active) => {
  activate(pane);
  show(pane, address);
});
const beside = new Beside({ panes, add: addPane, drop: dropPane, show });

const hooks = {
  onMoved: (pane) => link.follow(pane),
  onShown: (pane) => { if (pane === active) reflect(); },
  onFailed: failed,
};

const sizes = new ResizeObserver((changed) => {
  const stages = new Set(changed.map((one) => one.target));
  for (const pane of panes) {
    if (!stages.has(pane.stage) || !pane.series) continue;
    pane.arrange();
    pane.refresh();
  }
});

function addPane(node) {
  const pane = new Pane(node, hooks);
  panes.push(pane);
  pane.mode = panes[0].mode;
  pane.stage.dataset.mode = pane.mode;
  cines.set(pane, new Cine(pane));
  follow(pane);
  for (const [name, by] of [["previous", -1], ["next", 1]]) {
    pane.part(name).addEventListener("click", () => pane.step(by));
  }
  pane.part("slider").addEventListener("input", (event) => pane.goTo(Number(event.target.value)));
  pane.part("again").addEventListener("click", () => pane.refresh());
  pane.root.addEventListener("pointerdown", () => activate(pane), { capture: true });
  pane.root.addEventListener("focusin", () => activate(pane));
  rail.dropOn(pane);
  sizes.observe(pane.stage);
  return pane;
}

function dropPane() {
  const pane = panes.pop();
  sizes.unobserve(pane.stage);
  cines.get(pane).set(false);
  pane.root.remove();
  activate(panes[0]);
  link.join(panes);
}

function activate(pane) {
  if (pane === active) return;
  active = pane;
  for (const one of panes) one.root.toggleAttribute("data-active", one === pane);
  offerPresets(pane.series);
  marks.reflect(pane);
  reflect();
}

// Shows a series in a pane; what cannot be told is said on its stage.
async function show(pane, address, uid, frame) {
  const turn = (asked.get(pane) ?? 0) + 1;
  asked.set(pane, turn);
  const waiting = setTimeout(() => { pane.part("busy").hidden = false; }, 150);
  try {
    const series = await seriesAt(address).finally(() => clearTimeout(waiting));
    if (asked.get(pane) !== turn) return null; // another one was chosen since
    cines.get(pane).set(false);
    cines.get(pane).recommend(series.rate);
    const taken = pane.take(series, uid, frame);
    beside.review(); // whose images these are is told before they come
    if (pane === active) offerPresets(series);
    await taken;
    marks.reflect(pane);
    link.join(panes);
    return series;
  } catch (error) {
    if (asked.get(pane) === turn) failed(pane, error.status);
    return null;
  } finally {
    if (asked.get(pane) === turn) pane.part("busy").hidden = true;
  }
}

function failed(pane, status) {
  cines.get(pane).set(false);
  sayFailure(pane, status);
  if (pane === active && pane.series) reflect();
}

// Opens the picture that a key object or a report names, in the active pane.
async function open(uid, frame, seriesUid) {
  if (!seriesUid || active.series.series.uid === seriesUid) {
    const at = active.series.pictures.findIndex((one) => one.uid === uid && (!frame || one.frame === frame));
    if (at >= 0) return active.goTo(at + 1);
  }
  const address = rail.addressOf(seriesUid);
  if (address) await show(active, address, uid, frame);
}

// What belongs to the active pane: its links, the window's list, the pressed buttons.
function reflect() {
  relink(active);
  reflectTools();
  rail.reflect(panes);
  clearTimeout(addressing);
  addressing = setTimeout(readdress, ADDRESS_AFTER_MS);
}

function reflectTools() {
  const value = active.window ? active.window.join(",") : "";
  preset.value = [...preset.options].some((option) => option.value === value) ? value : "free";
  preset.disabled = Boolean(active.picture.colour);
  document.querySelector("[data-do=invert]").setAttribute("aria-pressed", String(active.inverted));
  for (const [name, at] of [["previous", 1], ["next", active.count]]) {
    active.part(name).disabled = active.position === at;
  }
}

// Only where scrolling rests: browsers refuse a hundred changes of the address within seconds.
function readdress() {
  const here = pageOf(panes[0].series, panes[0].picture);
  if (here !== location.pathname + location.search) history.replaceState(null, "", here);
}

function offerPresets(series) {
  if (!series?.presets) return;
  const fixed = [preset.options[0], preset.options[preset.options.length - 1]];
  const offered = series.presets.map(({ label, window }) => new Option(label, window));
  preset.replaceChildren(fixed[0], ...offered, fixed[1]);
  reflectTools();
}

// Tools

function setMode(mode) {
  for (const pane of panes) {
    pane.mode = mode;
    pane.stage.dataset.mode = mode;
  }
  for (const button of document.querySelectorAll("button[data-mode]")) {
    button.setAttribute("aria-pressed", String(button.dataset.mode === mode));
  }
}

const acts = {
  larger: () => active.zoomTo(active.zoom * 1.25),
  smaller: () => active.zoomTo(active.zoom / 1.25),
  invert: () => active.invert(),
  rotate: () => active.turn(),
  flip: () => active.mirror("across"),
  "flip-down": () => active.mirror("down"),
  reset: () => active.reset(),
};

function act(name) {
  acts[name]();
  reflectTools();
}

function windowOf(text) {
  const parts = text.split(",").slice(0, 2).map(Number);
  return text && parts.length === 2 && parts.every(Number.isFinite) ? parts : null;
}

function windowTo(value) {
  active.windowTo(windowOf(value));
  reflectTools();
}

for (const button of document.querySelectorAll("[data-do]")) {
  button.addEventListener("click", () => act(button.dataset.do));
}
for (const button of document.querySelectorAll("button[data-mode]")) {
  button.addEventListener("click", () => setMode(button.dataset.mode));
}
for (const dialog of document.querySelectorAll("dialog")) {
  dialog.addEventListener("close", () => {
    const { activeElement } = document;
    if (activeElement === document.body || dialog.contains(activeElement)) active.stage.focus();
  });
  dialog.addEventListener("click", (event) => { if (event.target === dialog || event.target.closest("[data-close]")) dialog.close(); });
}
for (const list of [preset, element("state")]) {
  let pointed = false;
  list.addEventListener("pointerdown", () => { pointed = true; });
  list.addEventListener("keydown", () => { pointed = false; });
  list.addEventListener("change", () => { if (pointed) active.stage.focus(); }); // arrow keys scroll again
}
preset.addEventListener("change", () => windowTo(preset.value));
element("help-button").addEventListener("click", () => element("help").showModal());
element("header-link").addEventListener("click", (event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  openDrawer(element("header-link").href);
});
addEventListener("message", (event) => {
  if (event.origin === location.origin && event.data?.image) open(event.data.image, event.data.frame, event.data.series);
});

listenToKeys({
  step: (by) => active.step(by),
  goTo: (at) => active.goTo(at === "end" ? active.count : 1),
  act,
  setMode,
  preset: (n) => { const option = preset.options[n]; if (option && !option.hidden) windowTo(option.value); },
  play: () => cines.get(active).toggle(),
  key: () => marks.next(),
  beside: () => beside.open(),
  link: () => { if (panes.length > 1) link.set(!link.on); },
  header: () => openDrawer(element("header-link").href),
  rail: () => rail.toggle(),
  help: () => element("help").showModal(),
});

// The page's own picture is there already; the rest of the series follows it.

const told = JSON.parse(element("told").textContent);
const first = addPane(element("pane-1"));
first.series = { ...told, pictures: [told.picture], revision: "" };
first.window = windowOf(root.dataset.window);
if (told.shown) first.shown = { ...told.shown, window: first.window ?? told.shown.window };
active = first;
describeSeries(first);
describe(first);
setMode(matchMedia("(pointer: coarse)").matches ? "scroll" : "window");
reflect();
marks.load();
show(first, `${told.series.url}pictures/`, told.picture.uid, told.picture.frame).finally(() => {
  root.dataset.ready = "true";
  const wanted = new URLSearchParams(location.hash.slice(1)).get("beside"); // the time line's
  if (wanted) beside.open(wanted);
});
