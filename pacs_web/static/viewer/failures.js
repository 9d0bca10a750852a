// Why a pane shows no picture, and what one can do about it.

import { words } from "./words.js";

export function sayFailure(pane, status) {
  const reasons = {
    0: words.nothing,
    401: words.ended,
    502: words.unreachable,
    503: words.archived,
    mistaken: words.mistaken,
  };
  const text = reasons[status] ?? (status ? words.unshowable : words.unreachable);
  pane.part("message-text").textContent = text;
  pane.part("recall").hidden = status !== 503;
  pane.part("recall").action = pane.series?.exam.recall ?? "";
  pane.part("login").hidden = status !== 401;
  pane.part("again").hidden = [0, 401, 503].includes(status);
  pane.part("read-header").hidden = !(status === 0 || text === words.unshowable);
  pane.part("message").hidden = false;
}
