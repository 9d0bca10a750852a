// Key images and presentation states: what the exam says about its own pictures.

import { filled } from "./words.js";

const element = (id) => document.getElementById(id);

export class Marks {
  keys = []; // { title, words, uid, frame, series }
  #states = [];
  #at = -1;

  constructor(address, { open, active }) {
    Object.assign(this, { address, open, active });
    element("keys-button").addEventListener("click", () => element("keys-dialog").showModal());
    element("state").addEventListener("change", (event) => this.#apply(event.target.value));
  }

  async load() {
    if (!this.address) return;
    const response = await fetch(this.address, { credentials: "same-origin" }).catch(() => null);
    if (!response?.ok || response.redirected) return;
    const { keys, states } = await response.json();
    this.keys = keys.flatMap(({ title, words, images }) => images.flatMap((image) => each(image).map((one) => ({ ...one, title, words }))));
    this.#states = states.map(withCover);
    this.#list();
    if (this.active()?.complete) this.reflect(this.active());
  }

  // The next key image after the present one.
  next() {
    if (!this.keys.length) return;
    this.#at = (this.#at + 1) % this.keys.length;
    const { uid, frame, series } = this.keys[this.#at];
    this.open(uid, frame, series);
  }

  // What of it concerns the series in a pane: marks on its slider, states that fit.
  reflect(pane) {
    if (!pane.complete) return;
    this.#mark(pane);
    const list = element("state");
    const fitting = this.#states.filter((state) => pane.series.pictures.some((one) => state.covers(one)));
    element("state-label").hidden = !fitting.length;
    list.replaceChildren(list.options[0], ...fitting.map(({ label, words, uid }) => new Option(words || label, uid)));
    list.value = pane.state?.uid ?? "";
  }

  #mark(pane) {
    const shown = pane.series.pictures;
    const places = this.keys.map(({ uid, frame }) => shown.findIndex((one) => one.uid === uid && (!frame || one.frame === frame)));
    pane.part("marks").replaceChildren(
      ...places.filter((at) => at >= 0).map((at) => {
        const mark = document.createElement("i");
        mark.style.left = `${shown.length > 1 ? (100 * at) / (shown.length - 1) : 0}%`;
        return mark;
      }),
    );
  }

  async #apply(uid) {
    const pane = this.active();
    const state = this.#states.find((one) => one.uid === uid) ?? null;
    const elsewhere = state && !state.covers(pane.picture);
    pane.stateTo(state);
    if (elsewhere) await pane.goTo(pane.series.pictures.findIndex((one) => state.covers(one)) + 1);
  }

  #list() {
    element("keys-button").hidden = !this.keys.length;
    element("keys-count").textContent = this.keys.length;
    element("key-list").replaceChildren(...this.keys.map((key, n) => this.#item(key, n)));
  }

  #item(key, n) {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", className: "choice pictured" });
    const picture = new Image(72, 72);
    const home = this.active().series.exam.url;
    Object.assign(picture, { src: `${home}series/${key.series}/instances/${key.uid}/thumbnail`, alt: "", loading: "lazy" });
    const text = document.createElement("span");
    text.textContent = filled("keyOf", { title: key.title, n: n + 1 });
    const said = document.createElement("small");
    said.textContent = key.words;
    text.append(said);
    button.append(picture, text);
    button.addEventListener("click", () => {
      element("keys-dialog").close();
      this.#at = n;
      this.open(key.uid, key.frame, key.series);
    });
    return button;
  }
}

const each = ({ uid, series, frames }) =>
  frames.length ? frames.map((frame) => ({ uid, series, frame })) : [{ uid, series, frame: null }];

function withCover(state) {
  const frames = new Map(state.images.map((image) => [image.uid, image.frames]));
  const covers = ({ uid, frame }) => {
    const named = frames.get(uid);
    return Boolean(named) && (!named.length || !frame || named.includes(frame));
  };
  return { ...state, covers };
}
