// Fetches pictures: decoded before they are shown, kept for scrolling back, stale ones aborted.

const KEPT = 160;

export class Pictures {
  #kept = new Map(); // address -> decoded image, oldest first
  #under_way = new Map(); // address -> { promise, controller }

  // Resolves to a decoded image; rejects with { status } or an AbortError.
  get(address) {
    const known = this.#kept.get(address);
    if (known) {
      this.#kept.delete(address);
      this.#kept.set(address, known);
      return Promise.resolve(known);
    }
    const running = this.#under_way.get(address);
    if (running) return running.promise;
    const controller = new AbortController();
    const entry = { controller };
    entry.promise = this.#fetch(address, controller.signal).finally(() => {
      if (this.#under_way.get(address) === entry) this.#under_way.delete(address);
    });
    this.#under_way.set(address, entry);
    return entry.promise;
  }

  // Gives up every request whose address is not wanted any more.
  keepOnly(addresses) {
    for (const [address, { controller }] of this.#under_way) {
      if (addresses.has(address)) continue;
      this.#under_way.delete(address); // who wants it again must not get the request given up
      controller.abort();
    }
  }

  async #fetch(address, signal) {
    const response = await fetch(address, { signal, credentials: "same-origin" });
    if (!response.ok || response.redirected) throw { status: response.redirected ? 401 : response.status };
    const blob = await response.blob();
    const image = new Image();
    image.draggable = false;
    image.alt = "";
    image.src = URL.createObjectURL(blob);
    await image.decode();
    this.#kept.set(address, image);
    while (this.#kept.size > KEPT) {
      const [oldest, old] = this.#kept.entries().next().value;
      this.#kept.delete(oldest);
      if (!old.isConnected) URL.revokeObjectURL(old.src);
    }
    return image;
  }
}
