// A series as the portal tells it: its captions, and its pictures in the order of scrolling.

export async function seriesAt(address, signal) {
  const response = await fetch(address, { signal, credentials: "same-origin" });
  if (!response.ok || response.redirected) throw { status: response.redirected ? 401 : response.status };
  const told = await response.json();
  return { ...told, pictures: told.pictures.map((own) => ({ ...told.common, ...own })) };
}

// Where a picture stands in its series (from 1), 0 where it does not.
export function placeOf(series, uid, frame = null) {
  const exact = series.pictures.findIndex((one) => one.uid === uid && (!frame || one.frame === frame));
  return exact + 1;
}

// The page of a picture.
export function pageOf(series, { uid, frame }) {
  return `${series.series.url}instances/${uid}/${frame ? `?frame=${frame}` : ""}`;
}

export function pictureAddress(series, picture, { window, size, state }) {
  const frame = picture.frame ? `frames/${picture.frame}/` : "";
  const asked = new URLSearchParams();
  if (window && !picture.colour) asked.set("window", window.join(","));
  if (size) asked.set("viewport", `${size},${size}`);
  if (state) asked.set("presentation", state);
  asked.set("revision", series.revision);
  const query = String(asked).replaceAll("%2C", ",");
  return `${series.series.url}instances/${picture.uid}/${frame}rendered?${query}`;
}

// Whether both are one patient; `conflict` where one number has two identities (rule of the archive).
export function samePatient(one, other) {
  const [a, b] = [one.patient, other.patient];
  const keyed = Boolean(a.key && b.key) && a.key[0] === b.key[0] && a.key[1] === b.key[1];
  const same = keyed || one.exam.uid === other.exam.uid;
  const differ = (part) => a[part] && b[part] && a[part] !== b[part];
  return { same, conflict: same && (differ("family") || differ("born") || differ("sex")) };
}
