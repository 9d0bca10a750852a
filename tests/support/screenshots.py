"""`make screenshots`: a picture of every page, in both languages and themes, desk and phone.

    python -m tests.support.screenshots [--out FOLDER] [--only NAME ...]

Starts a hospital of its own with invented exams; writes FOLDER/LANGUAGE-THEME-SCREEN/PAGE.png.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from itertools import product
from pathlib import Path

from playwright.sync_api import Browser, Page

from tests.browser.every_page import PLACES, Place
from tests.browser.extra_exams import Exam
from tests.browser.hospital import Hospital, chromium, entered, extra_exam, running_hospital

LANGUAGES, THEMES = ("fr", "en"), ("light", "dark")
SCREENS = {"desk": (1280, 800), "phone": (390, 844)}


def main() -> None:
    """Write the pictures that are asked for."""
    parser = argparse.ArgumentParser(prog="tests.support.screenshots", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("var/screenshots"))
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME")
    asked = parser.parse_args()
    places = [one for one in PLACES if not asked.only or one.name in asked.only]
    with (
        tempfile.TemporaryDirectory(prefix="argens-screenshots-") as folder,
        running_hospital(Path(folder)) as hospital,
        chromium() as browser,
    ):
        exam = extra_exam(hospital)
        for language, theme, screen in product(LANGUAGES, THEMES, SCREENS):
            kind = (language, theme, screen)
            out = asked.out / "-".join(kind)
            out.mkdir(parents=True, exist_ok=True)
            _take(browser, hospital, exam, kind, places, out)
            print(out, flush=True)


def _take(
    browser: Browser,
    hospital: Hospital,
    exam: Exam,
    kind: tuple[str, str, str],
    places: Sequence[Place],
    out: Path,
) -> None:
    """Photograph `places` in one language, theme and size, each person logged in once."""
    pages: dict[str, Page] = {}
    for place in places:
        if place.person not in pages:
            pages[place.person] = _page(browser, hospital, kind, place.person)
        page = pages[place.person]
        place.go(page, exam)
        page.wait_for_load_state("networkidle")
        page.screenshot(path=out / f"{place.name}.png", full_page=True)
    for page in pages.values():
        page.context.close()


def _page(browser: Browser, hospital: Hospital, kind: tuple[str, str, str], person: str) -> Page:
    language, theme, screen = kind
    width, height = SCREENS[screen]
    context = browser.new_context(
        base_url=hospital.portal.url,
        locale=language,
        color_scheme=theme,
        viewport={"width": width, "height": height},
    )
    return entered(context, hospital, person, []) if person else context.new_page()


if __name__ == "__main__":
    main()
