"""`make bench-first-image`: from the log-in to the first picture of a CT, in a real Chromium.

    python -m tests.benchmarks.first_image [--quick] [--rounds N] [--only NAME ...] [--json FILE]

*quick view*: from the click on a series of the exam's page to its first picture; the way there,
from the log-in, is told as well. *OHIF*: from its address to its first picture, on the portal and
on Orthanc, where nginx serves the same build. Cold: a browser without a cache, and an exam that has
just come and that nobody has asked for. Warm: the same once more, in the same browser. A picture is
there when pixels of the middle of its canvas (or image) differ from each other, asked of the page
itself with every frame that it draws.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page, Playwright, sync_playwright
from playwright.sync_api import Error as BrowserError

from tests.benchmarks import exams, goals, ohif_beside, peers, people, rounds
from tests.benchmarks.exams import Exam
from tests.benchmarks.images import Batch, Scanner
from tests.benchmarks.ingest import send
from tests.benchmarks.measured import Measured
from tests.benchmarks.peers import Absent, Peer
from tests.browser.hospital import FLAGS, SOFTWARE_GL, VIEWER_DIR, WITHOUT_GL
from tests.support import roles

NAMES, PERSON = ("argens", "orthanc"), "clinician"
VIEWERS = ("quick view", "OHIF")
TIMEOUT_S = 120
NOT_YET = {"PACS_PREPARE_AFTER_S": "86400"}  # nothing is made before somebody asks
SIZE = {"width": 1400, "height": 900}
WATCH = """(() => {
  const small = document.createElement('canvas');
  small.width = small.height = 32;
  const pen = small.getContext('2d', { willReadFrequently: true });
  const differs = (source, width, height) => {
    pen.clearRect(0, 0, 32, 32);
    pen.drawImage(source, width / 4, height / 4, width / 2, height / 2, 0, 0, 32, 32);
    const data = pen.getImageData(0, 0, 32, 32).data;
    let [least, most] = [255, 0];
    for (let at = 0; at < data.length; at += 4) {
      least = Math.min(least, data[at]);
      most = Math.max(most, data[at]);
    }
    return most - least > 12;
  };
  const look = () => {
    const image = document.querySelector('#film img');
    const canvas = document.querySelector('canvas.cornerstone-canvas');
    const isDrawn = image?.complete && image.naturalWidth
      ? differs(image, image.naturalWidth, image.naturalHeight)
      : canvas?.width && canvas.height && differs(canvas, canvas.width, canvas.height);
    if (isDrawn) window.argensDrawnAt = performance.timeOrigin + performance.now();
    else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
})()"""
SHOWN = "() => window.cornerstone.getEnabledElements()[0].viewport.getCurrentImageId()"


@dataclass(frozen=True)
class Seen:
    """One opening: who showed the first picture after how long."""

    name: str
    workload: str
    seconds: float


@dataclass(frozen=True)
class Hospital:
    """A node, its portal, and Orthanc with OHIF where it is here."""

    node: Peer
    portal: roles.Role
    folder: Path
    orthanc: Peer | None
    ohif: dict[str, str]
    """Where OHIF is served, by whom."""


def main(arguments: list[str] | None = None) -> int:
    """Measure and print it, the ratios last; 1 where no picture of the exam was shown."""
    options = _options(arguments)
    seen: list[Seen] = []
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        try:
            peers.sender()
            browser = peers.program("chromium")
        except Absent as absent:
            print(f"nothing is measured: {absent}")
            return 1
        try:
            with _hospital(Path(folder), options) as hospital:
                for one in _rounds(hospital, browser, options):
                    seen.append(one)
                    print(f"{one.name:<8} {one.workload:<44} {one.seconds:6.2f} s", flush=True)
        except (RuntimeError, BrowserError) as failure:
            print(f"no picture: {failure}")
            return 1
    medians = findings(seen)
    print("\n".join(["", *report(medians)]))
    rounds.keep(options.json, medians)
    return 0


def findings(seen: Sequence[Seen]) -> list[Measured]:
    """Return the medians of all rounds."""
    values = ((one.workload, one.name, "s", one.seconds) for one in seen)
    return rounds.medians("first image", values, is_more_better=False)


def report(medians: Sequence[Measured]) -> list[str]:
    """Return our medians with their goals, and how many times longer Orthanc's OHIF takes."""
    others = {one.workload: one.value for one in medians if one.who == "orthanc"}
    lines = ["medians of argens; how many times as long it takes on Orthanc"]
    for one in medians:
        if one.who != "argens":
            continue
        line = f"  {one.workload:<44} {one.value:6.2f} s"
        if one.workload in others:
            line += f"  {others[one.workload] / one.value:5.2f} (goal 1)"
        elif one.workload.startswith("quick view"):
            line += f" (goal {goals.QUICK_VIEW_S:g} s)"
        lines.append(line)
    return lines


def opened(page: Page, began: float) -> float:
    """Return the seconds from `began` (as `time.time`) to the page's first picture."""
    page.wait_for_function("() => window.argensDrawnAt", timeout=TIMEOUT_S * 1000)
    return float(page.evaluate("() => window.argensDrawnAt")) / 1000 - began


@contextlib.contextmanager
def _hospital(folder: Path, options: argparse.Namespace) -> Iterator[Hospital]:
    with contextlib.ExitStack() as stack:
        node = peers.argens(folder, **NOT_YET)
        stack.callback(node.stop)
        viewer = os.environ.get("PACS_VIEWER_DIR", str(VIEWER_DIR))
        nodes = {"CT": node.details["node"]}
        portal = roles.portal(folder, nodes, "", PACS_VIEWER_DIR=viewer)
        stack.enter_context(roles.running(portal))
        orthanc, ohif = None, {}
        try:
            if "OHIF" not in options.viewers:
                raise Absent("not asked for")
            if portal.command("install-viewer", timeout_s=300).returncode:
                raise Absent("it cannot be installed: npm and its registry are needed")
            ohif["argens"] = portal.url
            if "orthanc" in options.only:
                orthanc = _orthanc(folder, stack)
                ohif["orthanc"] = _beside(folder, portal, Path(viewer), orthanc, stack)
        except Absent as absent:
            print(f"not measured: OHIF ({absent})", flush=True)
        yield Hospital(node, portal, folder, orthanc, ohif)


def _orthanc(folder: Path, stack: contextlib.ExitStack) -> Peer:
    own = folder / "orthanc"
    own.mkdir()
    found = peers.orthanc_on_the_web(own)
    stack.callback(found.stop)
    return found


def _beside(
    folder: Path, portal: roles.Role, viewer: Path, orthanc: Peer, stack: contextlib.ExitStack
) -> str:
    own = folder / "ohif"
    own.mkdir()
    http = people.Browser(portal, folder, stack, PERSON).http
    (release,) = (path.parent for path in viewer.glob("*/release.json"))
    place = ohif_beside.serving(own, http, "/viewer/viewer", release, orthanc)
    return stack.enter_context(place)


def _rounds(hospital: Hospital, browser: str, options: argparse.Namespace) -> Iterator[Seen]:
    scanner = Scanner()
    with sync_playwright() as playwright:
        for number in range(options.rounds):
            exam_of = _sent(hospital, scanner, options, number)
            if "argens" in options.only and "quick view" in exam_of:
                with _chromium(playwright, browser, WITHOUT_GL) as running:
                    yield from _quick_view(hospital, running, exam_of["quick view"])
            names = [name for name in hospital.ohif if name in options.only]
            for name in names if number % 2 == 0 else reversed(names):
                with _chromium(playwright, browser, *SOFTWARE_GL) as running:
                    yield from _ohif(hospital, running, exam_of["OHIF"], name)


@contextlib.contextmanager
def _chromium(playwright: Playwright, executable: str, *flags: str) -> Iterator[Browser]:
    """A new browser, without a graphics card: our own pages need none, OHIF draws by software."""
    browser = playwright.chromium.launch(executable_path=executable, args=[*FLAGS, *flags])
    with contextlib.closing(browser):
        yield browser


def _sent(
    hospital: Hospital, scanner: Scanner, options: argparse.Namespace, number: int
) -> dict[str, Exam]:
    """Send an exam for each viewer, so that what one asks for is new to the other."""
    found, images = {}, options.images
    for viewer in options.viewers:
        folder = hospital.folder / f"{viewer}-{number}"
        exam = found[viewer] = exams.slices(folder, images, scanner)
        takers = [hospital.node]
        if viewer == "OHIF" and hospital.orthanc is not None:
            takers.append(hospital.orthanc)
        for taker in takers:
            before = taker.held()
            send(taker.port, Batch([exam.folder], images, 0))
            if (held := taker.held() - before) != images:
                raise RuntimeError(f"{images} images were sent and {held} are held")
    for taker in (hospital.node, hospital.orthanc):
        if taker is not None:
            peers.wait_quiet(taker.pid)
    return found


def _quick_view(hospital: Hospital, browser: Browser, exam: Exam) -> Iterator[Seen]:
    _, study, _, series = exam.series.split("/")
    exam_page = f"/studies/{study}/"
    with _page(browser, hospital.portal.url) as page:
        began = _logged_in(page, hospital, exam_page)
        for way in ("cold", "warm"):
            if way == "warm":
                page.goto(exam_page)
            card = page.locator("a.series-card").first
            card.wait_for()
            clicked = time.time()
            card.click()
            seconds = opened(page, clicked)
            if series not in page.url:
                raise RuntimeError(f"{page.url} is not of the series {series}")
            yield Seen("argens", f"quick view, {way}", seconds)
            if way == "cold":
                yield Seen("argens", "log-in to quick view, cold", seconds + clicked - began)


def _ohif(hospital: Hospital, browser: Browser, exam: Exam, name: str) -> Iterator[Seen]:
    study = exam.series.split("/")[1]
    with _page(browser, hospital.ohif[name]) as page:
        if name == "argens":
            _logged_in(page, hospital, "/account/")
        for way in ("cold", "warm"):
            page.goto("about:blank")
            began = time.time()
            page.goto(f"/viewer/viewer?StudyInstanceUIDs={study}", wait_until="commit")
            seconds = opened(page, began)
            if study not in (shown := page.evaluate(SHOWN)):
                raise RuntimeError(f"{shown} is not of the exam {study}")
            yield Seen(name, f"OHIF, {way}", seconds)


def _logged_in(page: Page, hospital: Hospital, landing: str) -> float:
    """Log in and come to a page; return when the form was sent."""
    page.goto(f"/login/?next={landing}")
    page.locator("[name=username]").fill(PERSON)
    password = roles.accounts(hospital.folder)[PERSON]["password"]
    page.locator("[name=password]").fill(password)
    began = time.time()
    page.locator("button.primary[type=submit]").click()
    page.wait_for_url(f"**{landing}")
    return began


@contextlib.contextmanager
def _page(browser: Browser, base_url: str) -> Iterator[Page]:
    """A page of a context of its own: no cache, no session."""
    with contextlib.closing(browser.new_context(base_url=base_url, viewport=SIZE)) as context:
        context.add_init_script(WATCH)
        yield context.new_page()


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.benchmarks.first_image", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round, 50 images")
    parser.add_argument("--rounds", type=int, help="default 3")
    parser.add_argument("--images", type=int, help="of the CT, default 500")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--viewers", nargs="+", choices=VIEWERS, default=list(VIEWERS))
    parser.add_argument("--folder", help="where the servers store (default: the temp folder)")
    rounds.add_json(parser)
    options = parser.parse_args(arguments)
    options.rounds = options.rounds or (1 if options.quick else 3)
    options.images = options.images or (50 if options.quick else 500)
    return options


if __name__ == "__main__":
    sys.exit(main())
