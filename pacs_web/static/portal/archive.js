// Comforts of the archive's pages; each page works without them.

// On a small screen the tabs are wider than it: the one that is open is brought into sight.
document.querySelector(".tabs [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

// Ticks belong to the operator: rows that come anew every three seconds keep them.
const ticks = () => [...document.querySelectorAll("#live input[type=checkbox]")];
let kept = new Set();
document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.target.id !== "live") return;
  kept = new Set(ticks().filter((one) => one.checked).map((one) => one.id));
});
document.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target.id !== "live") return;
  for (const one of ticks()) one.checked = kept.has(one.id);
  count();
});

// What is ticked is counted; "all on this page" ticks them, "all that match" stands for more.
const bulk = document.querySelector("form[data-bulk]");
const count = () => {
  if (!bulk) return;
  const boxes = ticks();
  const chosen = boxes.filter((one) => one.checked).length;
  const whole = bulk.querySelector("[name=all]")?.checked ?? false;
  const said = bulk.querySelector("[data-count]");
  const text = chosen === 1 ? said.dataset.one : said.dataset.many.replace("%s", chosen);
  const shown = chosen && !whole ? text : "";
  if (said.textContent !== shown) said.textContent = shown;
  bulk.querySelector("[data-every]").checked = boxes.length > 0 && chosen === boxes.length;
  for (const button of bulk.querySelectorAll("button")) button.disabled = !chosen && !whole;
};
document.addEventListener("change", (event) => {
  if (bulk && event.target.matches("[data-every]")) {
    for (const one of ticks()) one.checked = event.target.checked;
  }
  count();
});
addEventListener("pageshow", count);
count();

// A question comes into the dialogue; without a script its link opens it as a page.
const ask = document.getElementById("ask");
document.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target === ask && !ask.open) ask.showModal();
});
ask?.addEventListener("click", (event) => {
  if (!event.target.closest("[data-close]")) return;
  event.preventDefault();
  ask.close();
});

// What no longer follows says so.
const stale = document.getElementById("stale");
document.addEventListener("htmx:afterRequest", (event) => {
  if (stale && event.detail.elt.id === "live") stale.hidden = event.detail.successful;
});
