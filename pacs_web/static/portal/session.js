// Says before a session ends; the server knows when, for this page and every other one.

const ASK_EVERY_S = 45;
const WARN_AT_S = 120;
const notice = document.getElementById("session-end");
const words = notice.querySelector("[data-left]");
let end = 0;
let timer = 0;

function shown(seconds) {
  const minutes = Math.floor(seconds / 60);
  return `${minutes}:${String(seconds % 60).padStart(2, "0")}`;
}

function tell(told) {
  end = Date.now() + told.left_s * 1000;
  notice.hidden = told.left_s > WARN_AT_S;
  notice.querySelector("button").hidden = !told.stays;
  notice.querySelector("[data-last]").hidden = told.stays;
  clearTimeout(timer);
  if (notice.hidden) timer = setTimeout(ask, Math.min(ASK_EVERY_S, told.left_s - WARN_AT_S + 1) * 1000);
  else count(0);
}

// While it is counted down, the server is asked again: another page may have been used meanwhile.
function count(seconds) {
  const left = Math.max(0, Math.round((end - Date.now()) / 1000));
  words.textContent = words.dataset.left.replace("%s", shown(left));
  if (left === 0 || (seconds && seconds % 15 === 0)) ask();
  else timer = setTimeout(count, 1000, seconds + 1);
}

// The quick view says on its stage that the session has ended, and keeps the way to the login there.
function leave() {
  if (!document.getElementById("viewer")) location.reload();
}

async function ask(method = "GET", body = undefined) {
  try {
    const answer = await fetch(notice.action, { method, body, redirect: "manual" });
    if (answer.status === 401) leave();
    else if (answer.ok) tell(await answer.json());
    else timer = setTimeout(ask, ASK_EVERY_S * 1000);
  } catch {
    timer = setTimeout(ask, ASK_EVERY_S * 1000);
  }
}

notice.addEventListener("submit", (event) => {
  event.preventDefault();
  ask("POST", new FormData(notice));
});
timer = setTimeout(ask, 1000);
