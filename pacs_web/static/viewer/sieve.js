// Filters the header's elements while one types; without this, the button asks the server.

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

// Makes the search of the header below `root` answer at once.
export function sift(root) {
  const box = root.querySelector("#q");
  const found = root.querySelector("#found");
  const elements = root.querySelector("#elements");
  const filter = () => {
    const words = box.value.trim().toLowerCase();
    let shown = 0;
    for (const node of elements.querySelectorAll(":scope > [data-text]")) shown += sieve(node, words);
    found.textContent = `${shown} ${found.dataset.of} ${found.dataset.total}`;
  };
  if (box.defaultValue) return; // a page that the server has filtered holds only what it found
  box.addEventListener("input", filter);
  root.querySelector("#sieve").addEventListener("submit", (event) => {
    event.preventDefault();
    filter();
  });
}
