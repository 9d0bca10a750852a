// One image on the page: which picture of which series, through which window, at which size.

import { describe, describeSeries } from "./captions.js";
import { mirrored } from "./geometry.js";
import { Pictures } from "./pictures.js";
import { pictureAddress, placeOf } from "./series.js";
import { fillSheet } from "./sheets.js";

const SIZES = [512, 1024, 2048, 4096];
const DRAFT = 512; // while the window is being dragged, a small picture is enough
const AHEAD = 6;
const BEHIND = 2;
const ARCHIVED = 503;
const AT_FIRST = { zoom: 1, rotation: 0, across: false, down: false, inverted: false, window: null };

export class Pane {
  dragging = false;
  mode = "window";
  state = null; // a presentation state's UID and images
  shown = null; // what was told of the picture on the stage
  #presented = null; // the picture on the stage, and its place
  #loading = null; // the picture that is being fetched while the window is dragged
  #again = false;
  #turn = 0;
  #direction = 1;
  #source = new Pictures();

  // `hooks`: onMoved(pane), onShown(pane), onFailed(pane, status)
  constructor(root, hooks) {
    Object.assign(this, { root, hooks, ...AT_FIRST, pan: { x: 0, y: 0 } });
    this.stage = root.querySelector(".stage");
    this.film = root.querySelector(".film");
    this.position = 1;
  }

  part(name) { return this.root.querySelector(`[data-part="${name}"]`); }
  get count() { return this.series.pictures.length; }
  get picture() { return this.series.pictures[this.position - 1]; }
  // What is on the stage: captions belong to it, though a newer picture may be on its way.
  get presented() { return this.#presented ?? { picture: this.series && this.picture, position: this.position }; }
  get complete() { return Boolean(this.series?.revision); }

  // The window in force, or where dragging begins if the file names none.
  get effectiveWindow() {
    return this.window ?? this.shown?.window ?? this.picture.window ?? this.picture.drag_from;
  }

  // Takes a series to show, from the picture `uid` on, or from its first.
  take(series, uid, frame) {
    const another = this.series?.series.uid !== series.series.uid;
    const before = this.presented.picture;
    Object.assign(this, { series, state: null });
    this.position = Math.max(1, placeOf(series, uid, frame));
    if (another) Object.assign(this, { ...AT_FIRST, pan: { x: 0, y: 0 } }); // its windows and sides are others
    if (another || !isSame(this.picture, before)) this.film.replaceChildren(); // never under other words
    if (!this.film.childElementCount) this.shown = null;
    this.#presented = null;
    describeSeries(this);
    this.arrange();
    return this.refresh();
  }

  step(by) { return this.goTo(Math.min(this.count, Math.max(1, this.position + by))); }

  goTo(position, { follows = false } = {}) {
    if (position === this.position || !this.complete) return Promise.resolve();
    this.#direction = Math.sign(position - this.position);
    this.position = position;
    if (!follows) this.hooks.onMoved(this);
    return this.refresh();
  }

  windowTo(window) {
    this.window = window;
    return this.refresh();
  }

  stateTo(state) {
    Object.assign(this, { state, window: null });
    return this.refresh();
  }

  panTo(x, y) {
    this.pan = { x, y };
    this.arrange();
  }

  zoomTo(zoom) {
    this.zoom = Math.min(20, Math.max(0.2, zoom));
    this.arrange();
    if (!this.dragging) this.refresh();
  }

  turn() { this.#turned({ rotation: (this.rotation + 90) % 360 }); }
  mirror(axis) { this.#turned(mirrored(this, axis)); }
  invert() { this.#turned({ inverted: !this.inverted }); }

  #turned(change) {
    Object.assign(this, change);
    this.arrange();
  }

  settle() { return this.refresh(); }

  reset() {
    Object.assign(this, { ...AT_FIRST, pan: { x: 0, y: 0 } });
    this.arrange();
    return this.refresh();
  }

  arrange() {
    const { x, y } = this.pan;
    const mirror = `scale(${this.across ? -1 : 1}, ${this.down ? -1 : 1})`;
    this.film.style.transform =
      `translate(${x}px, ${y}px) scale(${this.zoom * this.#quarterTurnFit()}) rotate(${this.rotation}deg) ${mirror}`;
    this.film.classList.toggle("inverted", this.inverted);
    describe(this);
  }

  // How many pixels of the screen one pixel of the image takes.
  get scale() {
    const [columns, rows] = this.sourceSize();
    const { clientWidth, clientHeight } = this.stage;
    const [wide, high] = this.rotation % 180 ? [rows, columns] : [columns, rows];
    return Math.min(clientWidth / wide, clientHeight / high) * this.zoom * devicePixelRatio;
  }

  sourceSize() {
    const { columns, rows } = this.presented.picture;
    return columns && rows ? [columns, rows] : this.shown?.source ?? this.shown?.size ?? [1, 1];
  }

  // Shows the present picture. While the window is dragged, one request runs at a time and the
  // newest window follows it; while scrolling, what is not wanted any more is aborted.
  async refresh() {
    if (!this.complete) return;
    if (this.dragging && this.#loading === this.picture) {
      this.#again = true;
      return;
    }
    const turn = ++this.#turn;
    this.#loading = null;
    const { picture, position } = this;
    if (fillSheet(this)) return this.#present(null, picture, position);
    if (picture.kind === "none") return this.#failed(0);
    if (!picture.online) return this.#failed(ARCHIVED); // asking would start a recall
    const address = this.#address(picture);
    if (!this.dragging) this.#source.keepOnly(new Set([address, ...this.#neighbours().map((one) => one[0])]));
    this.#loading = picture;
    const busy = setTimeout(() => this.#busy(turn === this.#turn), 150);
    try {
      const got = await this.#source.get(address, picture);
      if (turn === this.#turn) this.#present(got, picture, position);
    } catch (error) {
      if (turn === this.#turn && error.name !== "AbortError") this.#failed(error.status);
    } finally {
      clearTimeout(busy);
      if (turn === this.#turn) {
        this.#loading = null;
        this.#busy(false);
      }
    }
    if (this.#again && turn === this.#turn) {
      this.#again = false;
      return this.refresh();
    }
    if (turn === this.#turn && !this.dragging) this.#preload();
  }

  #busy(on) { this.part("busy").hidden = !on; }

  // The picture and what is written about it change in one step.
  #present(got, picture, position) {
    this.#presented = { picture, position };
    this.shown = got?.told ?? null;
    if (got) this.film.replaceChildren(got.image);
    else this.film.replaceChildren();
    this.part("message").hidden = true;
    this.arrange();
    this.hooks.onShown(this);
  }

  // What cannot be shown leaves no other picture under its caption.
  #failed(status) {
    this.#presented = null;
    this.shown = null;
    this.film.replaceChildren();
    describe(this);
    this.hooks.onFailed(this, status);
  }

  #preload() {
    for (const [address, picture] of this.#neighbours()) this.#source.get(address, picture).catch(() => {});
  }

  #neighbours() {
    const offsets = [];
    for (let n = 1; n <= AHEAD; n += 1) offsets.push(n * this.#direction);
    for (let n = 1; n <= BEHIND; n += 1) offsets.push(-n * this.#direction);
    return offsets
      .map((offset) => this.series.pictures[this.position - 1 + offset])
      .filter((picture) => picture?.kind === "image" && picture.online)
      .map((picture) => [this.#address(picture), picture]);
  }

  #address(picture) {
    const state = this.state?.covers(picture) ? this.state.uid : null;
    return pictureAddress(this.series, picture, { window: this.window, size: this.#size(picture), state });
  }

  // The smallest of a few sizes that fills the stage; 0 asks for the picture as it is.
  #size({ rows, columns }) {
    const shown = Math.max(this.stage.clientWidth, this.stage.clientHeight) * devicePixelRatio;
    const wanted = this.dragging ? DRAFT : shown * Math.max(1, this.zoom);
    const size = SIZES.find((one) => one >= wanted) ?? Infinity;
    return size < Math.max(rows, columns) ? size : 0;
  }

  #quarterTurnFit() {
    if (this.rotation % 180 === 0) return 1;
    const { clientWidth, clientHeight } = this.stage;
    const [columns, rows] = this.sourceSize();
    const upright = Math.min(clientWidth / columns, clientHeight / rows);
    return Math.min(clientWidth / rows, clientHeight / columns) / upright;
  }
}

const isSame = (one, other) => one?.uid === other?.uid && one?.frame === other?.frame;
