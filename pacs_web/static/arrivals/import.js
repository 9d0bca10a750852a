// Uploads what is dropped or chosen, one file after the other, and shows how far it is.

const form = document.getElementById("drop");
const element = (id) => document.getElementById(id);
const token = form.querySelector("[name=csrfmiddlewaretoken]").value;

form.addEventListener("dragover", (event) => {
  event.preventDefault();
  form.classList.add("over");
});
form.addEventListener("dragleave", () => form.classList.remove("over"));
form.addEventListener("drop", async (event) => {
  event.preventDefault();
  form.classList.remove("over");
  // The entries must be asked for before anything is awaited: they are gone afterwards.
  const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  const plain = [...event.dataTransfer.files].map((file) => [file.name, file]);
  say(form.dataset.starting);
  upload(entries.length ? (await Promise.all(entries.map(within))).flat() : plain);
});
for (const input of form.querySelectorAll("input[type=file]")) {
  input.addEventListener("change", () => {
    upload([...input.files].map((file) => [file.webkitRelativePath || file.name, file]));
  });
}

// The files of a dropped folder, each with its path.
async function within(entry) {
  if (entry.isFile) {
    const file = await new Promise((done, failed) => entry.file(done, failed));
    return [[entry.fullPath.slice(1), file]];
  }
  const reader = entry.createReader();
  const found = [];
  for (;;) {  // a reader gives a hundred entries at a time
    const some = await new Promise((done, failed) => reader.readEntries(done, failed));
    if (!some.length) break;
    for (const one of some) found.push(...(await within(one)));
  }
  return found;
}

async function upload(files) {
  element("upload-error").hidden = true;
  if (!files.length) return fail(form.dataset.nothing);
  const total = files.reduce((sum, [, file]) => sum + file.size, 0) || 1;
  form.classList.add("uploading");
  let before = 0;
  try {
    const url = JSON.parse(await post(form.action, null, {})).url;
    for (const [number, [name, file]] of files.entries()) {
      say(`${form.dataset.sending} ${number + 1} / ${files.length}`);
      const headers = { "X-Name": encodeURIComponent(name), "Content-Type": "application/octet-stream" };
      await post(`${url}file/`, file, headers, (bytes) => show((before + bytes) / total));
      before += file.size;
      show(before / total);
    }
    location.assign(url);
  } catch (error) {
    fail(error.message);
  }
}

function post(url, body, headers, follow = () => {}) {
  return new Promise((done, failed) => {
    const request = new XMLHttpRequest();
    request.open("POST", url);
    request.setRequestHeader("X-CSRFToken", token);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.addEventListener("progress", (event) => follow(event.loaded));
    request.addEventListener("load", () => {
      if (request.status === 200) return done(request.responseText);
      failed(new Error(reason(request)));
    });
    request.addEventListener("error", () => failed(new Error(form.dataset.failed)));
    request.send(body);
  });
}

function reason(request) {
  try {
    return JSON.parse(request.responseText).detail;
  } catch {
    return form.dataset.failed;
  }
}

function say(text) {
  element("upload").hidden = false;
  element("upload-text").textContent = text;
}

function show(share) {
  element("upload-bar").value = Math.min(100, 100 * share);
}

function fail(text) {
  form.classList.remove("uploading");
  element("upload").hidden = true;
  element("upload-error").textContent = text;
  element("upload-error").hidden = false;
}
