"""The benchmark of the first image: what counts as a picture, and who serves OHIF on Orthanc."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, sync_playwright
from playwright.sync_api import TimeoutError as TooLate

from tests.benchmarks import first_image, measured, ohif_beside
from tests.benchmarks.peers import Peer
from tests.browser.hospital import WITHOUT_GL, launched
from tests.support.services import require
from tests.system.test_benchmarks_retrieve import answering

CANVAS = '<canvas class="cornerstone-canvas" width="100" height="80"></canvas>'
FILLED = "([x, y, width, height, colour]) => {{ {} }}".format(
    "const pen = document.querySelector('canvas').getContext('2d');"
    "pen.fillStyle = colour; pen.fillRect(x, y, width, height);"
)
BLACK, EDGE, PICTURE = (0, 0, 100, 80, "#000"), (0, 0, 100, 10, "#fff"), (40, 30, 10, 10, "#fff")


@pytest.fixture
def page() -> Iterator[Page]:
    require("chromium")
    with (
        sync_playwright() as playwright,
        launched(playwright.chromium, WITHOUT_GL) as browser,
        contextlib.closing(browser.new_context()) as context,
    ):
        context.add_init_script(first_image.WATCH)
        yield context.new_page()


def test_a_black_canvas_is_no_picture(page: Page, monkeypatch):
    page.goto("data:text/html," + CANVAS)
    began = time.time()
    monkeypatch.setattr(first_image, "TIMEOUT_S", 1)
    for what in (BLACK, EDGE):
        page.evaluate(FILLED, what)
        with pytest.raises(TooLate):
            first_image.opened(page, began)
    page.evaluate(FILLED, PICTURE)
    assert 2 <= first_image.opened(page, began) <= time.time() - began


@pytest.mark.soak  # make bench-quick runs it in the gate
@pytest.mark.timeout(180)
def test_a_small_run_opens_the_quick_view_cold_and_warm(capsys, tmp_path: Path):
    for program in ("storescu", "chromium"):
        require(program)
    found = tmp_path / "found.json"
    small = ["--quick", "--images", "2", "--viewers", "quick view", "--json", str(found)]
    assert first_image.main(small) == 0
    told, _, goals = capsys.readouterr().out.partition("medians of argens")
    assert told.count("quick view, cold") == 2 and told.count("quick view, warm") == 1
    assert "not measured: OHIF (not asked for)" in told and goals.count("(goal 0.5 s)") == 2
    values = {one.workload: one.value for one in measured.read(found)}
    assert 0 < values["quick view, cold"] < values["log-in to quick view, cold"] < 60


def test_the_portals_own_page_is_served_beside_orthanc(tmp_path: Path):
    require("nginx")
    told = 'data-files="/viewer/files/one/" data-alive="/viewer/alive/" src="/static/boot.1.js"'
    texts = {"/viewer/viewer": f"<html {told}>", "/static/boot.1.js": "boot()"}
    release = tmp_path / "release"
    release.mkdir()
    (release / "app.js").write_text("app()")

    def answer(request: httpx.Request) -> httpx.Response:
        found = texts.get(request.url.path)
        return httpx.Response(200 if found else 404, text=found or "")

    portal = httpx.Client(base_url="http://portal", transport=httpx.MockTransport(answer))
    with portal, answering(b"from Orthanc") as orthanc:
        with ohif_beside.serving(tmp_path, portal, "/viewer/viewer", release, orthanc) as url:
            for address, text in (
                ("/viewer/viewer?StudyInstanceUIDs=1.2", texts["/viewer/viewer"]),
                ("/static/boot.1.js", "boot()"),
                ("/viewer/files/one/app.js", "app()"),
                ("/dicom-web/studies", "from Orthanc"),
            ):
                assert httpx.get(url + address).text == text
            assert httpx.get(f"{url}/viewer/alive/").status_code == 204


def test_a_portal_without_a_viewer_is_named(tmp_path: Path):
    require("nginx")
    nothing = httpx.MockTransport(lambda _: httpx.Response(404))
    orthanc = Peer(0, 0, 0, lambda: 0, lambda: None)
    with (
        httpx.Client(base_url="http://portal", transport=nothing) as portal,
        pytest.raises(ohif_beside.peers.Absent, match="answers /viewer/viewer with 404"),
        ohif_beside.serving(tmp_path, portal, "/viewer/viewer", tmp_path, orthanc),
    ):
        pass
