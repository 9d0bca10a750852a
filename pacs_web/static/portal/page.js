// Small comforts of every page; each page works without them.

// A whole row opens what its link opens, unless text is being selected.
document.addEventListener("click", (event) => {
  const row = event.target.closest("tr[data-href]");
  if (!row || event.target.closest("a, button, input, label") || String(getSelection())) return;
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

// What was chosen in a list is counted; two and more can be opened together. Rows come and go.
const picked = () => {
  for (const form of document.querySelectorAll("form[data-picks]")) {
    const chosen = [...form.elements].filter((one) => one.type === "checkbox" && one.checked).length;
    form.querySelector("output").value = chosen;
    form.hidden = chosen === 0;
    form.querySelector("[type=submit]").disabled = chosen < 2;
  }
};
document.addEventListener("change", picked);
document.addEventListener("results-changed", picked);
document.addEventListener("htmx:afterSettle", picked);
document.addEventListener("reset", (event) => {
  if (!event.target.matches("form[data-picks]")) return;
  for (const box of event.target.elements) if (box.type === "checkbox") box.defaultChecked = false;
  setTimeout(picked);
});
addEventListener("pageshow", picked);
picked();

// A page that the browser kept whole may come back with Back after the logout: what was left is
// hidden as it is left, and asked for again when it returns.
addEventListener("pagehide", () => document.documentElement.classList.add("left-behind"));
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});

// A menu closes where one looks elsewhere, or by Escape.
for (const menu of document.querySelectorAll("details[data-menu]")) {
  document.addEventListener("click", (event) => {
    if (!menu.contains(event.target)) menu.open = false;
  });
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !menu.open) return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });
}
