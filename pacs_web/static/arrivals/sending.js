// Asks the portal to pass on files until all are sent, then shows the summary.

const form = document.getElementById("sending");
const token = form.querySelector("[name=csrfmiddlewaretoken]").value;

async function goOn() {
  for (;;) {
    const answer = await fetch(form.action, { method: "POST", headers: { "X-CSRFToken": token } });
    if (!answer.ok || answer.redirected) throw new Error();
    const { sent, done } = await answer.json();
    document.getElementById("sending-bar").value = sent;
    document.getElementById("sending-count").value = sent;
    if (done) return location.reload();
  }
}

goOn().catch(() => {
  const error = document.getElementById("sending-error");
  error.textContent = form.dataset.failed;
  error.hidden = false;
});
