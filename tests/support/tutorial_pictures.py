"""`make tutorial-pictures`: the pictures of docs/tutorials/, taken again from invented exams.

    python -m tests.support.tutorial_pictures [--out FOLDER] [--only NAME ...]

Each is a page of tests/browser/every_page.py, in English and light, small enough for a repository.
"""

from __future__ import annotations

import argparse
import io
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page

from tests.browser.every_page import PLACES
from tests.browser.hospital import Hospital, chromium, entered, extra_exam, running_hospital

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "images" / "tutorials"
SCREEN = {"width": 1120, "height": 720}
COLOURS = 96
MOST_BYTES = 120_000
PEER = "CT1 --address 10.0.0.7 --may echo,store,commit --listens 10.0.0.7:104".split()
TAKEN = (
    "results",
    "exam",
    "quick-view",
    "arrivals",
    "correct",
    "console",
    "peers",
    "archive",
    "archive-volumes",
)


def main() -> None:
    """Write the pictures that are asked for."""
    parser = argparse.ArgumentParser(prog="tests.support.tutorial_pictures", description=__doc__)
    parser.add_argument("--out", type=Path, default=FOLDER)
    parser.add_argument("--only", nargs="+", default=TAKEN, metavar="NAME", choices=TAKEN)
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="argens-tutorials-") as folder,
        running_hospital(Path(folder)) as hospital,
        chromium() as browser,
    ):
        exam = extra_exam(hospital)
        added = hospital.nodes["CT"].command("peers", "add", *PEER)
        assert added.returncode == 0, added.stderr
        pages: dict[str, Page] = {}
        for place in PLACES:
            if place.name not in asked.only:
                continue
            if place.person not in pages:
                pages[place.person] = _page(browser, hospital, place.person)
            page = pages[place.person]
            place.go(page, exam)
            page.wait_for_load_state("networkidle")
            path = asked.out / f"{place.name}.png"
            path.write_bytes(_small(page.screenshot()))
            print(path, path.stat().st_size, flush=True)


def _page(browser: Browser, hospital: Hospital, person: str) -> Page:
    context = browser.new_context(
        base_url=hospital.portal.url, locale="en", color_scheme="light", viewport=SCREEN
    )
    return entered(context, hospital, person, [])


def _small(png: bytes) -> bytes:
    """Return a picture with fewer colours, until it is small enough."""
    whole = Image.open(io.BytesIO(png)).convert("RGB")
    for colours in (COLOURS, 48, 24, 12):
        written = io.BytesIO()
        whole.quantize(colours, dither=Image.Dither.NONE).save(written, "png", optimize=True)
        if written.tell() <= MOST_BYTES:
            break
    return written.getvalue()


if __name__ == "__main__":
    main()
