// The thumbnails of the exam's series: a click shows one, dragging puts it where it is dropped.

const CARRIED = "text/x-series";

export class Rail {
  #items;

  // `show(address, pane)` shows a series in that pane, or in the active one.
  constructor(root, show) {
    this.show = show;
    this.toggler = document.getElementById("rail-toggle");
    this.#items = [...root.querySelectorAll("[data-series]")];
    this.toggler.addEventListener("click", () => this.toggle());
    for (const item of this.#items) {
      item.addEventListener("click", (event) => {
        if (event.ctrlKey || event.metaKey || event.shiftKey) return;
        event.preventDefault();
        this.show(item.dataset.series);
      });
      item.addEventListener("dragstart", (event) => event.dataTransfer.setData(CARRIED, item.dataset.uid));
    }
  }

  addressOf(uid) { return this.#items.find((item) => item.dataset.uid === uid)?.dataset.series; }

  dropOn(pane) {
    pane.stage.addEventListener("dragover", (event) => event.preventDefault());
    pane.stage.addEventListener("drop", (event) => {
      const address = this.addressOf(event.dataTransfer.getData(CARRIED));
      if (!address) return;
      event.preventDefault();
      this.show(address, pane);
    });
  }

  toggle() {
    const away = document.getElementById("viewer").toggleAttribute("data-no-rail");
    this.toggler.setAttribute("aria-expanded", String(!away));
  }

  // Marks what the panes show now.
  reflect(panes) {
    for (const item of this.#items) {
      if (panes.some((pane) => pane.series?.series.uid === item.dataset.uid)) item.setAttribute("aria-current", "true");
      else item.removeAttribute("aria-current");
    }
  }
}
