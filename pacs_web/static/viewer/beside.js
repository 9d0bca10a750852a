// What stands beside the image: another series or exam; two patients only on purpose.

import { samePatient } from "./series.js";
import { filled, words } from "./words.js";

const element = (id) => document.getElementById(id);

async function json(address, given) {
  const response = await fetch(address, { credentials: "same-origin", ...given });
  if (!response.ok || response.redirected) throw { status: response.status };
  return response.json();
}

function made(tag, className, text = "") {
  const node = document.createElement(tag);
  node.className = className;
  node.textContent = text;
  return node;
}

export class Beside {
  #chosen = "";

  constructor({ panes, add, drop, show }) {
    Object.assign(this, { panes, add, drop, show });
    this.dialog = element("beside");
    element("two").addEventListener("click", () => this.open());
    element("one").addEventListener("click", () => this.close());
    element("other-exam").addEventListener("submit", (event) => this.#find(event));
  }

  // Offers the exams of this patient, this one first; `wanted` is chosen where it is among them.
  async open(wanted = "") {
    const { exam } = this.panes[0].series;
    this.dialog.showModal();
    this.#offer([{ ...exam, here: true }], words.loading);
    this.#choose(exam);
    element("choice-exams").querySelector("button").focus();
    try {
      const { exams, silent } = await json(element("viewer").dataset.exams);
      const others = exams.filter((one) => one.uid !== exam.uid);
      const note = silent.length ? filled("silent", { names: silent.join(", ") }) : others.length ? "" : words.noExams;
      this.#offer([{ ...exam, here: true }, ...others], note);
      const found = others.find((one) => one.uid === wanted);
      if (found) this.#choose(found);
    } catch {
      this.#offer([{ ...exam, here: true }], words.unreachable);
    }
  }

  #offer(exams, note) {
    const list = element("choice-exams");
    list.replaceChildren(...exams.map((exam) => this.#examButton(exam)));
    if (note) list.append(made("p", "dim note", note));
  }

  #examButton(exam) {
    const button = made("button", "choice");
    button.type = "button";
    button.setAttribute("role", "option");
    button.append(made("strong", "", exam.here ? words.sameExam : exam.date));
    button.append(made("span", "", exam.description || words.noDescription));
    button.append(made("small", "dim", [exam.here ? exam.date : exam.patient, exam.modalities.join("/")].join(" · ")));
    button.setAttribute("aria-selected", String(exam.uid === this.#chosen));
    button.dataset.uid = exam.uid;
    button.addEventListener("click", () => this.#choose(exam));
    return button;
  }

  async #choose(exam) {
    this.#chosen = exam.uid;
    for (const one of element("choice-exams").querySelectorAll(".choice")) {
      one.setAttribute("aria-selected", String(one.dataset.uid === exam.uid));
    }
    const box = element("choice-series");
    box.replaceChildren(made("p", "dim note", words.loading));
    try {
      const { series, ...whose } = await json(exam.series_url);
      if (this.#chosen !== exam.uid) return;
      box.replaceChildren(...series.filter((one) => one.pictured).map((one) => this.#seriesButton(one, whose)));
    } catch {
      box.replaceChildren(made("p", "dim note", words.unreachable));
    }
  }

  #seriesButton(one, whose) {
    const button = made("button", "choice pictured");
    button.type = "button";
    const picture = new Image(72, 72);
    Object.assign(picture, { src: `${one.url}thumbnail`, alt: "", loading: "lazy" });
    const text = made("span", "", one.title);
    text.append(made("small", "dim", filled("images", { n: one.instances })));
    button.append(picture, text);
    button.addEventListener("click", () => this.take(`${one.url}pictures/`, whose));
    return button;
  }

  async #find(event) {
    event.preventDefault();
    const said = element("other-found");
    said.textContent = "";
    try {
      const { exams } = await json(event.target.action, { method: "POST", body: new FormData(event.target) });
      if (!exams.length) said.textContent = words.noExamFound;
      else this.#offer(exams, "");
      if (exams.length) this.#choose(exams[0]);
    } catch {
      said.textContent = words.unreachable;
    }
  }

  // Puts a series beside the first one, once it is sure that a second patient is meant.
  take(address, whose) {
    this.dialog.close();
    this.#guard(whose, () => this.#place(address));
  }

  #place(address) {
    let [, second] = this.panes;
    if (!second) {
      const node = element("pane-template").content.firstElementChild.cloneNode(true);
      element("panes").append(node);
      element("panes").dataset.count = "2";
      second = this.add(node);
      element("one").setAttribute("aria-pressed", "false");
      element("two").setAttribute("aria-pressed", "true");
    }
    this.panes[0].arrange();
    return this.show(second, address);
  }

  // Calls `go` at once where both are one patient, else after a person has said yes.
  #guard(series, go) {
    const here = this.panes[0].series;
    if (samePatient(here, series).same) return go();
    const dialog = element("other-patient");
    element("patient-here").textContent = named(here);
    element("patient-beside").textContent = named(series);
    element("other-patient-yes").onclick = () => {
      dialog.close();
      go();
    };
    dialog.showModal();
  }

  // The banner stays as long as both are on the page.
  review() {
    const [here, series] = this.panes.map((pane) => pane.series);
    if (!series) {
      element("alarm").hidden = true;
      return;
    }
    const { same, conflict } = samePatient(here, series);
    const [above, below] = this.panes.map((pane) => pane.root.getBoundingClientRect().top);
    const both = filled(below > above ? "twoPatientsStacked" : "twoPatients", { here: named(here), beside: named(series) });
    element("alarm").hidden = same && !conflict;
    element("alarm").classList.toggle("conflict", conflict);
    element("alarm-text").textContent = conflict ? `${words.conflict} ${both}` : both;
  }

  close() {
    if (this.panes.length < 2) return;
    this.drop();
    element("panes").dataset.count = "1";
    this.review();
    element("one").setAttribute("aria-pressed", "true");
    element("two").setAttribute("aria-pressed", "false");
    this.panes[0].arrange();
    this.panes[0].refresh();
  }
}

const named = ({ patient }) => [patient.name, patient.id, patient.born].filter(Boolean).join(", ");
