// The list of exams: its answers as they arrive, and the keyboard. Without it the page is whole too.

for (const wish of document.querySelectorAll("[data-live-wish]")) wish.disabled = false;

const asked = document.querySelector("[data-live]");
if (asked && window.EventSource) listen(asked);
else if (asked) location.replace(asked.dataset.plain);

function fill(place, html) {
  const made = new DOMParser().parseFromString(html, "text/html");
  place.replaceChildren(...made.body.childNodes);
}

function listen(list) {
  const place = document.querySelector(".arriving");
  const held = document.querySelector(".held");
  const source = new EventSource(list.dataset.live);
  let waiting = null;

  const show = (html) => {
    const chosen = [...place.querySelectorAll("input:checked")].map((box) => box.value);
    fill(place, html);
    for (const value of chosen) {
      const box = place.querySelector(`input[value="${CSS.escape(value)}"]`);
      if (box) box.checked = true;
    }
    window.htmx?.process(place);
    waiting = null;
    held.hidden = true;
    document.dispatchEvent(new Event("results-changed"));
  };
  // Rows do not move under a pointer or away from the keyboard: they wait until it has gone.
  const isUsed = () => place.querySelector("tbody:hover") || place.querySelector("tbody :focus");
  const take = (html) => {
    if (!isUsed()) return show(html);
    waiting = html;
    held.hidden = false;
  };
  const release = () => {
    if (waiting !== null && !isUsed()) show(waiting);
  };
  held.querySelector("button").addEventListener("click", () => show(waiting));
  place.addEventListener("pointerleave", release);
  place.addEventListener("focusout", () => setTimeout(release));

  source.addEventListener("servers", (event) => {
    fill(list, event.data);
  });
  source.addEventListener("results", (event) => take(event.data));
  source.addEventListener("done", (event) => {
    source.close();
    place.removeAttribute("aria-busy");
    take(event.data);
  });
  source.addEventListener("error", () => {
    source.close();
    location.replace(list.dataset.plain);
  });
  addEventListener("pagehide", () => source.close());
}

// "/" leads to the search; the arrows go from exam to exam, Enter opens the one they are at.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target.closest("input:not([type=checkbox]), select, textarea");
  if (event.key === "/" && !typing) {
    event.preventDefault();
    const name = document.querySelector("#find [name=name]");
    name.focus();
    name.select();
    return;
  }
  const steps = { ArrowDown: 1, ArrowUp: -1 };
  const links = [...document.querySelectorAll("[data-keys] .row-link, [data-keys] .row-more a")];
  if (typing || !(event.key in steps) || !links.length) return;
  const row = event.target.closest("tr");
  const here = links.findIndex((link) => link.closest("tr") === row);
  const next = here < 0 ? (steps[event.key] > 0 ? 0 : links.length - 1) : here + steps[event.key];
  if (next < 0 || next >= links.length) return;
  event.preventDefault();
  links[next].focus();
  links[next].scrollIntoView({ block: "nearest" });
});
