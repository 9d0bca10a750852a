// Small comforts of every page; each page works without them.

// A whole row opens what its link opens, unless text is being selected.
document.addEventListener("click", (event) => {
  const row = event.target.closest("tr[data-href]");
  if (!row || event.target.closest("a, button, input") || String(getSelection())) return;
  location.assign(row.dataset.href);
});

// The button that was pressed shows that the search is under way.
for (const form of document.querySelectorAll("form[data-busy]")) {
  form.addEventListener("submit", (event) => event.submitter?.classList.add("busy"));
}
addEventListener("pageshow", () => {
  for (const button of document.querySelectorAll(".button.busy")) button.classList.remove("busy");
});

// "All" stands for every server: it follows them, and they follow it.
for (const all of document.querySelectorAll("input[data-all]")) {
  const boxes = [...all.form.querySelectorAll(`input[name="${all.dataset.all}"]`)];
  const follow = () => {
    all.checked = boxes.every((box) => box.checked);
  };
  all.addEventListener("change", () => {
    for (const box of boxes) box.checked = all.checked;
  });
  for (const box of boxes) box.addEventListener("change", follow);
}
