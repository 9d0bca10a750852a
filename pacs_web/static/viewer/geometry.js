// Pure sums: what stands at the edges of a turned picture, and which slice lies nearest.

const PARALLEL = 0.99; // cosine: planes that differ by less than 8 degrees

// `edges` are the letters at top, right, bottom and left. The picture is mirrored first and then
// turned clockwise, as its CSS transform does it.
export function turned(edges, { rotation, across, down }) {
  let [top, right, bottom, left] = edges;
  if (across) [right, left] = [left, right];
  if (down) [top, bottom] = [bottom, top];
  for (let quarter = 0; quarter < rotation / 90; quarter += 1) {
    [top, right, bottom, left] = [left, top, right, bottom];
  }
  return [top, right, bottom, left];
}

// Mirroring what is seen: a picture on its side is mirrored about its other axis.
export function mirrored({ rotation, across, down }, axis) {
  const sideways = rotation % 180 !== 0;
  const turnsAcross = (axis === "across") !== sideways;
  return turnsAcross ? { across: !across, down } : { across, down: !down };
}

export const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];

const placed = (picture) => Boolean(picture?.place && picture.normal);

// How two pictures can be scrolled together: by "position" in one space, by "distance" where
// planes are parallel in different spaces, else by "share" of the series.
export function linkBetween(one, other) {
  if (!placed(one) || !placed(other)) return "share";
  if (Math.abs(dot(one.normal, other.normal)) < PARALLEL) return "share";
  return one.reference && one.reference === other.reference ? "position" : "distance";
}

// The number (from 1) of the picture that lies nearest to `depth` mm along `normal`.
export function nearest(pictures, normal, depth) {
  let best = 0;
  let least = Infinity;
  pictures.forEach((picture, index) => {
    if (!placed(picture)) return;
    const away = Math.abs(dot(picture.place, normal) - depth);
    if (away < least) [best, least] = [index + 1, away];
  });
  return best || 1;
}

export function byShare(position, count, otherCount) {
  if (count < 2) return 1;
  return 1 + Math.round(((position - 1) / (count - 1)) * (otherCount - 1));
}
