// Two panes that scroll together, by position where the geometry allows.

import { byShare, dot, linkBetween, nearest } from "./geometry.js";
import { words } from "./words.js";

const SAID = { position: "byPosition", distance: "byDistance", share: "byShare" };

export class Link {
  on = true;
  #how = "share";
  #offset = 0;

  constructor(button, said) {
    Object.assign(this, { button, said, panes: [] });
    button.addEventListener("click", () => this.set(!this.on));
  }

  set(on) {
    this.on = on;
    this.button.setAttribute("aria-pressed", String(on));
    this.begin();
  }

  join(panes) {
    this.panes = panes;
    this.button.hidden = panes.length < 2;
    this.begin();
  }

  // Looks at what both show now: from here on they move together.
  begin() {
    const [one, other] = this.panes;
    const ready = this.on && one?.complete && other?.complete;
    this.said.textContent = "";
    if (!ready) return;
    this.#how = linkBetween(one.picture, other.picture);
    this.#offset = 0;
    if (this.#how === "distance") this.#offset = depth(other, one.picture.normal) - depth(one, one.picture.normal);
    this.#normal = one.picture.normal;
    this.said.textContent = words[SAID[this.#how]];
    if (this.#how === "position") this.follow(one);
  }

  #normal = null;

  // Moves the other pane after `moved`.
  follow(moved) {
    const [one, other] = this.panes;
    if (!this.on || !one?.complete || !other?.complete) return;
    const follower = moved === one ? other : one;
    follower.goTo(this.#target(moved, follower), { follows: true });
  }

  #target(moved, follower) {
    if (this.#how === "share" || !moved.picture.place) return byShare(moved.position, moved.count, follower.count);
    const offset = moved === this.panes[0] ? this.#offset : -this.#offset;
    return nearest(follower.series.pictures, this.#normal, depth(moved, this.#normal) + offset);
  }
}

const depth = (pane, normal) => dot(pane.picture.place, normal);
