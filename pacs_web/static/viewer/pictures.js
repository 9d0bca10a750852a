// Fetches pictures: decoded before they are shown, kept for scrolling back, stale ones aborted.
// An answer that names another image or frame than the one asked for is refused.

const KEPT = 200;
const MISTAKEN = "mistaken";

export class Pictures {
  #kept = new Map(); // address -> { image, told }, oldest first
  #under_way = new Map(); // address -> { promise, controller }

  // Resolves to a decoded image and what was told of it; rejects with { status } or an AbortError.
  get(address, wanted) {
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
    entry.promise = this.#fetch(address, wanted, controller.signal).finally(() => {
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

  async #fetch(address, wanted, signal) {
    const response = await fetch(address, { signal, credentials: "same-origin" });
    if (!response.ok || response.redirected) throw { status: response.redirected ? 401 : response.status };
    const told = toldBy(response.headers);
    if (!names(told, wanted)) throw { status: MISTAKEN };
    const blob = await response.blob();
    const image = new Image();
    image.draggable = false;
    image.alt = "";
    image.src = URL.createObjectURL(blob);
    await image.decode();
    told.size ??= [image.naturalWidth, image.naturalHeight];
    const kept = { image, told };
    this.#kept.set(address, kept);
    while (this.#kept.size > KEPT) {
      const [oldest, old] = this.#kept.entries().next().value;
      this.#kept.delete(oldest);
      if (!old.image.isConnected) URL.revokeObjectURL(old.image.src);
    }
    return kept;
  }
}

function toldBy(headers) {
  const numbers = (name) => headers.get(name)?.split(",").map(Number).filter(Number.isFinite);
  const type = headers.get("Content-Type") ?? "";
  return {
    uid: headers.get("X-Picture-Instance"),
    frame: Number(headers.get("X-Picture-Frame")) || null,
    size: numbers("X-Picture-Size"),
    source: numbers("X-Picture-Source"),
    window: numbers("X-Picture-Window")?.slice(0, 2),
    state: headers.get("X-Picture-State"),
    lossy: headers.get("X-Picture-Lossy") === "1" || type.startsWith("image/jpeg"),
  };
}

// An answer that does not say whose picture it is counts as another one. A presentation state's
// own picture is that of the image which it describes.
function names(told, { uid, frame, kind }) {
  if (kind === "state") return told.state === uid;
  return told.uid === uid && (told.frame ?? 1) === (frame ?? 1);
}
