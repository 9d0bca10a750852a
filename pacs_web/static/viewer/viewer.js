// Wires the image page: tools, keys, captions. The page shows its first image without this.

import { follow } from "./gestures.js";
import { View } from "./view.js";

const root = document.getElementById("viewer");
const element = (id) => document.getElementById(id);
const stage = element("stage");
const preset = element("preset");
const message = element("message");
const play = element("play");
const words = root.dataset;
const ADDRESS_AFTER_MS = 200;
let addressing = 0;

const view = new View({
  pictures: JSON.parse(element("pictures").textContent),
  start: Number(words.start),
  window: parsed(words.window),
  seriesUrl: words.seriesUrl,
  stage,
  film: element("film"),
  onShown: shown,
  onFailed: failed,
  onBusy: (busy) => { element("busy").hidden = !busy; },
});

function parsed(text) {
  const parts = text.split(",").map(Number);
  return text && parts.length >= 2 && parts.slice(0, 2).every(Number.isFinite) ? parts.slice(0, 2) : null;
}

function shown(position) {
  message.hidden = true;
  describe(position);
}

function failed(position, status) {
  const reasons = {
    0: words.textNopicture, 401: words.textEnded, 502: words.textUnreachable, 503: words.textArchived,
  };
  element("message-text").textContent =
    reasons[status] ?? (status ? words.textUnshowable : words.textUnreachable);
  element("message-header").hidden = status !== 0;
  element("message-exam").hidden = status !== 503;
  element("message-login").hidden = status !== 401;
  message.hidden = false;
  describe(position);
}

// What is written about the picture that is on the stage now.
function describe(position) {
  const picture = view.pictures[position - 1];
  element("caption-slice").textContent = `${position} / ${view.count}`;
  element("caption-frame").textContent =
    picture.frame ? `${words.textFrame} ${picture.frame} / ${picture.frames}` : "";
  element("caption-side").textContent = picture.laterality || words.side;
  element("caption-orientation").textContent = picture.orientation;
  describeWindow(picture);
  describeZoom();
  element("slider").value = position;
  relink(position, picture);
}

function describeWindow(picture) {
  const window = view.window ?? picture.window;
  const text = window ? `L ${window[0]}  W ${window[1]}` : words.textDefault;
  element("caption-window").textContent = picture.colour || !picture.pixels ? "" : text;
  const value = view.window ? view.window.join(",") : "";
  const known = [...preset.options].some((option) => option.value === value);
  preset.value = known ? value : "free";
}

function describeZoom() {
  element("caption-zoom").textContent = `${Math.round(view.zoom * 100)} %`;
}

function relink(position, picture) {
  const here = addressOf(picture);
  for (const id of ["header-link", "message-header"]) {
    element(id).href = `${words.seriesUrl}instances/${picture.uid}/header/`;
  }
  const download = element("download-link");
  if (download) download.href = `${words.seriesUrl}instances/${picture.uid}/download/`;
  point("previous", view.pictures[position - 2]);
  point("next", view.pictures[position]);
  clearTimeout(addressing);
  addressing = setTimeout(readdress, ADDRESS_AFTER_MS, here);
}

// Only where scrolling rests: browsers refuse a hundred changes of the address within seconds.
function readdress(here) {
  if (here !== location.pathname + location.search) history.replaceState(null, "", here);
}

function point(id, picture) {
  const link = element(id);
  if (picture) {
    link.href = addressOf(picture);
    link.removeAttribute("aria-disabled");
  } else {
    link.removeAttribute("href");
    link.setAttribute("aria-disabled", "true");
  }
}

function addressOf({ uid, frame }) {
  return `${words.seriesUrl}instances/${uid}/${frame ? `?frame=${frame}` : ""}`;
}

// Playing

let playing = 0;

function setPlaying(on) {
  clearTimeout(playing);
  playing = 0;
  play.setAttribute("aria-pressed", String(on));
  if (on) advance();
}

async function advance() {
  const pause = 1000 / Number(element("speed").value);
  const begun = performance.now();
  await view.goTo(view.position === view.count ? 1 : view.position + 1);
  if (play.getAttribute("aria-pressed") !== "true") return;
  playing = setTimeout(advance, Math.max(0, pause - (performance.now() - begun)));
}

// Tools

function setMode(mode) {
  view.mode = stage.dataset.mode = mode;
  for (const button of document.querySelectorAll("[data-mode]")) {
    if (button !== stage) button.setAttribute("aria-pressed", String(button.dataset.mode === mode));
  }
}

const acts = {
  "zoom-in": () => view.zoomTo(view.zoom * 1.25),
  "zoom-out": () => view.zoomTo(view.zoom / 1.25),
  invert: () => { view.inverted = !view.inverted; },
  rotate: () => { view.rotation = (view.rotation + 90) % 360; },
  reset: () => view.reset(),
};

function act(name) {
  acts[name]();
  view.arrange();
  describeZoom();
  document.querySelector("[data-do=invert]").setAttribute("aria-pressed", String(view.inverted));
}

const keys = {
  ArrowUp: () => view.step(-1),
  ArrowLeft: () => view.step(-1),
  PageUp: () => view.step(-1),
  ArrowDown: () => view.step(1),
  ArrowRight: () => view.step(1),
  PageDown: () => view.step(1),
  Home: () => view.goTo(1),
  End: () => view.goTo(view.count),
  "+": () => act("zoom-in"),
  "-": () => act("zoom-out"),
  0: () => act("reset"),
  i: () => act("invert"),
  r: () => act("rotate"),
  w: () => setMode("window"),
  m: () => setMode("pan"),
  z: () => setMode("zoom"),
  " ": () => setPlaying(!playing),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, select") || (event.key === " " && event.target.closest("button, a"))) return;
  const done = keys[event.key] ?? keys[event.key.toLowerCase()];
  if (!done) return;
  event.preventDefault();
  done();
});

for (const button of document.querySelectorAll("[data-do]")) {
  button.addEventListener("click", () => act(button.dataset.do));
}
for (const button of document.querySelectorAll("button[data-mode]")) {
  button.addEventListener("click", () => setMode(button.dataset.mode));
}
for (const [id, by] of [["previous", -1], ["next", 1]]) {
  element(id).addEventListener("click", (event) => {
    event.preventDefault();
    view.step(by);
  });
}
preset.addEventListener("change", () => view.windowTo(parsed(preset.value)));
element("slider").addEventListener("input", (event) => view.goTo(Number(event.target.value)));
play.addEventListener("click", () => setPlaying(play.getAttribute("aria-pressed") !== "true"));
stage.addEventListener("pointermove", describeZoom);
stage.addEventListener("wheel", describeZoom, { passive: true });
addEventListener("resize", () => view.refresh());

setMode("window");
follow(stage, view);
root.dataset.ready = "true";
view.refresh();
