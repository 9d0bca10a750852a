// The links of the page that follow the picture which is shown.

const element = (id) => document.getElementById(id);

export function relink(pane) {
  const { series, picture } = pane;
  const here = `${series.series.url}instances/${picture.uid}/`;
  element("header-link").href = `${here}header/`;
  pane.part("read-header").href = `${here}header/`;
  const download = element("download-link");
  if (download) download.href = `${here}download/`;
  const reject = element("reject-link");
  if (reject) reject.href = `${here}reject/`;
  relinkFullViewer(series, picture);
}

function relinkFullViewer(series, picture) {
  const full = element("full-viewer");
  if (!full) return;
  const address = new URL(full.href);
  address.searchParams.set("StudyInstanceUIDs", series.exam.uid);
  address.searchParams.set("initialSeriesInstanceUID", series.series.uid);
  address.searchParams.set("initialSopInstanceUID", picture.uid);
  full.href = address.href;
}
