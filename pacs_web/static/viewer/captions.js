// What stands on the image: always there, never part of the picture itself.

import { turned } from "./geometry.js";
import { filled, words } from "./words.js";

const put = (pane, name, text) => { pane.part(name).textContent = text; };

// Whose image, of which exam and series: changes with the series alone.
export function describeSeries(pane) {
  const { patient, exam, series } = pane.series;
  put(pane, "name", patient.name);
  put(pane, "id", patient.id || "–");
  put(pane, "born", `${patient.born} ${patient.sex}`.trim());
  put(pane, "date", exam.date);
  put(pane, "exam", exam.description);
  put(pane, "series", series.title);
  pane.part("slider").max = Math.max(1, pane.count);
}

// What changes with the picture, its window and how it is turned.
export function describe(pane) {
  const { picture, position } = pane.presented;
  if (!picture) return;
  const known = pane.complete;
  const all = known ? pane.count : pane.series.series.instances;
  put(pane, "slice", `${known ? position : "…"} / ${all}`);
  put(pane, "frame", picture.frame ? filled("frame", { n: picture.frame, of: picture.frames }) : "");
  put(pane, "side", sideOf(picture));
  put(pane, "place", placeText(picture));
  describeEdges(pane, picture);
  describeWindow(pane, picture);
  describePicture(pane, picture);
  if (known) pane.part("slider").value = position;
}

function sideOf({ laterality }) {
  const side = { L: words.left, R: words.right, B: words.both }[laterality];
  return side ? filled("side", { side }) : "";
}

function placeText({ slice, place, normal }) {
  const along = slice ?? (place && normal ? place.reduce((sum, part, n) => sum + part * normal[n], 0) : null);
  return along === null ? "" : filled("place", { mm: along.toFixed(1) });
}

function describeEdges(pane, picture) {
  const visible = pane.film.childElementCount > 0;
  const edges = visible && picture.edges ? turned(asStated(picture.edges, pane), pane) : null;
  pane.root.querySelectorAll(".edge").forEach((edge, n) => { edge.textContent = edges?.[n] ?? ""; });
  const unknown = (picture.kind === "image" || picture.kind === "state") && visible && !edges;
  put(pane, "orientation", unknown ? words.unoriented : "");
}

// A presentation state turns the image first and mirrors it then; the picture came like that.
function asStated(edges, { shown, state }) {
  if (!shown?.state || shown.state !== state?.uid) return edges;
  return turned(turned(edges, { rotation: state.rotation }), { rotation: 0, across: state.flip });
}

const short = (number) => String(Number(number.toPrecision(4)));

function describeWindow(pane, picture) {
  const window = pane.shown ? pane.shown.window : pane.window ?? picture.window; // none told: a table was applied
  const graded = picture.kind === "state" ? window : picture.kind === "image" && !picture.colour;
  if (!graded) return put(pane, "window", "");
  if (!window) return put(pane, "window", words.stored);
  const { name, factor } = (pane.shown?.state ? null : picture.unit) ?? { name: "", factor: 1 }; // a state's numbers may be of other units
  const [center, width] = window.map((part) => short(part * factor));
  put(pane, "window", filled("window", { center, width, unit: name }).trim());
}

function describePicture(pane, picture) {
  const { shown } = pane;
  const pictured = picture.kind === "image" || picture.kind === "state";
  put(pane, "zoom", pictured ? `${Math.round(pane.scale * 100)} %` : "");
  const lost = picture.lossy == null ? "" : filled("lossy", { ratio: picture.lossy }).trim();
  const sent = shown?.lossy ? words.sentLossy : "";
  put(pane, "lossy", pictured ? [lost, sent].filter(Boolean).join(" · ") : lost);
  const part = shown?.size ? Math.max(...shown.size) / Math.max(...pane.sourceSize()) : 1; // a state may have turned it
  put(pane, "reduced", part < 0.995 ? filled("reduced", { percent: Math.round(part * 100) }) : "");
  const label = picture.kind === "state" ? picture.title : shown?.state && shown.state === pane.state?.uid ? pane.state.label : "";
  put(pane, "state", label ? filled("state", { label }) : "");
}
