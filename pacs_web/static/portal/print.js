// A button that prints the page; the browser's own menu does the same.
for (const button of document.querySelectorAll("[data-print]")) {
  button.addEventListener("click", () => print());
}
