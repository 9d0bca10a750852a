// Filters the header's elements while one types; without this, the button asks the server.

const box = document.getElementById("q");
const found = document.getElementById("found");
const elements = document.getElementById("elements");

const own = (node) => node.dataset.text ?? "";

// Shows `node` where it, or an element inside it, holds the words; returns how many are shown.
function sieve(node, words) {
  const inner = [...node.querySelectorAll(":scope > .item > [data-text]")];
  const matches = own(node).includes(words);
  let shown = 0;
  for (const child of inner) shown += sieve(child, matches ? "" : words);
  const visible = matches || shown > 0;
  node.hidden = !visible;
  if (node.tagName === "DETAILS" && words) node.open = shown > 0 && !matches;
  return visible ? shown + 1 : 0;
}

function filter() {
  const words = box.value.trim().toLowerCase();
  let shown = 0;
  for (const node of elements.querySelectorAll(":scope > [data-text]")) shown += sieve(node, words);
  found.textContent = `${shown} ${found.dataset.of} ${found.dataset.total}`;
}

// A page that the server has filtered already holds only what it found.
if (!box.defaultValue) {
  box.addEventListener("input", filter);
  document.getElementById("sieve").addEventListener("submit", (event) => {
    event.preventDefault();
    filter();
  });
}
