// What is read or played instead of looked at: PDF, reports, clinical documents, films.

const FRAMED = { pdf: "content/pdf", report: "document/", text: "document/" };

// Fills the pane's sheet where the present object is such a one; says whether it is.
export function fillSheet(pane) {
  const { picture } = pane;
  const sheet = pane.part("sheet");
  const wanted = picture.kind in FRAMED || picture.kind === "video" ? picture.uid : "";
  if (sheet.dataset.uid !== wanted) {
    sheet.dataset.uid = wanted;
    sheet.replaceChildren(...(wanted ? [elementFor(pane)] : []));
  }
  sheet.hidden = !wanted;
  pane.root.dataset.kind = wanted ? picture.kind : "image";
  return Boolean(wanted);
}

function elementFor(pane) {
  const { picture, series } = pane;
  const base = `${series.series.url}instances/${picture.uid}/`;
  if (picture.kind === "video") {
    const film = document.createElement("video");
    Object.assign(film, { controls: true, preload: "metadata", src: `${base}content/video` });
    return film;
  }
  const frame = document.createElement("iframe");
  Object.assign(frame, { src: base + FRAMED[picture.kind], title: picture.title || series.series.title });
  return frame;
}
