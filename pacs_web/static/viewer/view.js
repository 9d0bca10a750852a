// One series on the stage: which picture, through which window, at which size.

import { Pictures } from "./pictures.js";

const SIZES = [512, 1024, 2048, 4096];
const DRAFT = 512; // while the window is being dragged, a small picture is enough
const AHEAD = 4;
const BEHIND = 2;
const ARCHIVED = 503;

export class View {
  zoom = 1;
  pan = { x: 0, y: 0 };
  rotation = 0;
  inverted = false;
  mode = "window";
  dragging = false;
  #loading = false;
  #again = false;
  #turn = 0;
  #direction = 1;
  #source = new Pictures();

  constructor({ pictures, start, window, seriesUrl, stage, film, onShown, onFailed, onBusy }) {
    Object.assign(this, { pictures, seriesUrl, stage, film, onShown, onFailed, onBusy });
    this.position = start;
    this.window = window;
  }

  get count() { return this.pictures.length; }
  get picture() { return this.pictures[this.position - 1]; }

  // The window in force, or where dragging begins if the file names none.
  get effectiveWindow() { return this.window ?? this.picture.drag_from; }

  snapshot() {
    return { pan: { ...this.pan }, zoom: this.zoom, window: this.effectiveWindow };
  }

  step(by) { this.goTo(Math.min(this.count, Math.max(1, this.position + by))); }

  goTo(position) {
    if (position === this.position) return Promise.resolve();
    this.#direction = Math.sign(position - this.position);
    this.position = position;
    return this.refresh();
  }

  windowTo(window) {
    this.window = window;
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

  settle() { return this.refresh(); }

  reset() {
    Object.assign(this, { zoom: 1, pan: { x: 0, y: 0 }, rotation: 0, inverted: false, window: null });
    this.arrange();
    return this.refresh();
  }

  arrange() {
    const { x, y } = this.pan;
    const fit = this.rotation % 180 ? this.#quarterTurnFit() : 1;
    this.film.style.transform =
      `translate(${x}px, ${y}px) scale(${this.zoom * fit}) rotate(${this.rotation}deg)`;
    this.film.classList.toggle("inverted", this.inverted);
  }

  // Shows the present picture. While the window is dragged, one request runs at a time and the
  // newest window follows it; while scrolling, what is not wanted any more is aborted.
  async refresh() {
    if (this.dragging && this.#loading) {
      this.#again = true;
      return;
    }
    const turn = ++this.#turn;
    const { picture, position } = this;
    if (!picture.pixels) return this.onFailed(position, 0);
    if (!picture.online) return this.onFailed(position, ARCHIVED); // asking would start a recall
    const address = this.#address(picture);
    if (!this.dragging) this.#source.keepOnly(new Set([address, ...this.#neighbours()]));
    this.#loading = true;
    this.onBusy(true);
    try {
      const image = await this.#source.get(address);
      if (turn === this.#turn) this.#show(image, position);
    } catch (error) {
      if (turn === this.#turn && error.name !== "AbortError") this.onFailed(position, error.status);
    } finally {
      this.#loading = false;
      if (turn === this.#turn) this.onBusy(false);
    }
    if (this.#again) {
      this.#again = false;
      return this.refresh();
    }
    if (turn === this.#turn && !this.dragging) this.#preload();
  }

  // The picture and what is written about it change in one step.
  #show(image, position) {
    this.film.replaceChildren(image);
    this.onShown(position);
  }

  #preload() {
    for (const address of this.#neighbours()) this.#source.get(address).catch(() => {});
  }

  #neighbours() {
    const offsets = [];
    for (let n = 1; n <= AHEAD; n += 1) offsets.push(n * this.#direction);
    for (let n = 1; n <= BEHIND; n += 1) offsets.push(-n * this.#direction);
    return offsets
      .map((offset) => this.pictures[this.position - 1 + offset])
      .filter((picture) => picture?.pixels && picture.online)
      .map((picture) => this.#address(picture));
  }

  #address(picture) {
    const frame = picture.frame ? `frames/${picture.frame}/` : "";
    const asked = new URLSearchParams();
    if (this.window && !picture.colour) asked.set("window", this.window.join(","));
    const size = this.#size(picture);
    if (size) asked.set("viewport", `${size},${size}`);
    const query = String(asked).replaceAll("%2C", ",");
    return `${this.seriesUrl}instances/${picture.uid}/${frame}rendered${query ? `?${query}` : ""}`;
  }

  // The smallest of a few sizes that fills the stage; 0 asks for the picture as it is.
  #size({ rows, columns }) {
    const shown = Math.max(this.stage.clientWidth, this.stage.clientHeight) * devicePixelRatio;
    const wanted = this.dragging ? DRAFT : shown * Math.max(1, this.zoom);
    const size = SIZES.find((one) => one >= wanted) ?? Infinity;
    return size < Math.max(rows, columns) ? size : 0;
  }

  #quarterTurnFit() {
    const { clientWidth, clientHeight } = this.stage;
    const { rows, columns } = this.picture;
    const upright = Math.min(clientWidth / columns, clientHeight / rows);
    return Math.min(clientWidth / rows, clientHeight / columns) / upright;
  }
}
