// The keyboard: one key, one act; never while somebody types or a dialog is open.

export function listenToKeys(to) {
  const keys = {
    ArrowUp: () => to.step(-1),
    ArrowLeft: () => to.step(-1),
    ArrowDown: () => to.step(1),
    ArrowRight: () => to.step(1),
    PageUp: () => to.step(-10),
    PageDown: () => to.step(10),
    Home: () => to.goTo("start"),
    End: () => to.goTo("end"),
    "+": () => to.act("larger"),
    "-": () => to.act("smaller"),
    0: () => to.act("reset"),
    i: () => to.act("invert"),
    r: () => to.act("rotate"),
    f: () => to.act("flip"),
    v: () => to.act("flip-down"),
    w: () => to.setMode("window"),
    m: () => to.setMode("pan"),
    z: () => to.setMode("zoom"),
    d: () => to.setMode("scroll"),
    k: () => to.key(),
    b: () => to.beside(),
    l: () => to.link(),
    h: () => to.header(),
    s: () => to.rail(),
    "?": () => to.help(),
    " ": () => to.play(),
  };
  for (let n = 1; n <= 9; n += 1) keys[n] = () => to.preset(n);

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (document.querySelector("dialog[open]")) return;
    const field = event.target.closest("input:not([type=range]), select, textarea");
    const typing = field?.checkVisibility?.() ?? field; // a closed drawer's box may keep the focus
    if (typing || (event.key === " " && event.target.closest("button, a"))) return;
    const done = keys[event.key] ?? keys[event.key.toLowerCase()];
    if (!done) return;
    event.preventDefault();
    done();
  });
}
