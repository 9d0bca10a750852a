// Plays a pane's pictures as a loop, at most as fast as they come.

export class Cine {
  #timer = 0;
  #on = false;

  constructor(pane) {
    this.pane = pane;
    this.button = pane.part("play");
    this.rate = pane.part("rate");
    this.button.addEventListener("click", () => this.toggle());
  }

  toggle() { this.set(!this.#on); }

  set(on) {
    this.#on = on && this.pane.count > 1;
    clearTimeout(this.#timer);
    this.button.setAttribute("aria-pressed", String(this.#on));
    if (this.#on) this.#advance();
  }

  // Offers the rate that the file recommends.
  recommend(rate) {
    if (!rate) return;
    const value = String(rate);
    if (![...this.rate.options].some((option) => option.value === value)) {
      this.rate.append(new Option(value, value));
    }
    this.rate.value = value;
  }

  async #advance() {
    const { pane } = this;
    const begun = performance.now();
    await pane.goTo(pane.position >= pane.count ? 1 : pane.position + 1);
    if (!this.#on) return;
    const pause = 1000 / Number(this.rate.value) - (performance.now() - begun);
    this.#timer = setTimeout(() => this.#advance(), Math.max(0, pause));
  }
}
