// A report in the viewer's frame: its images open in the viewer around it.

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-image]");
  if (!link || parent === window || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  const { image, series, frame } = link.dataset;
  parent.postMessage({ image, series, frame: frame ? Number(frame) : null }, location.origin);
});
