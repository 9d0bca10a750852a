"""The full viewer in a browser: how it is put in place, opened and read."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image, ImageStat
from playwright.sync_api import Locator, Page, expect

from tests.browser.hospital import Hospital
from tests.support import roles
from tests.support.services import ROOT, require

ARTIFACTS = ROOT / "test-artifacts"
FIRST_IMAGE_S = 40
CANVAS = "canvas.cornerstone-canvas"
GEOMETRY = """() => {
  const view = window.cornerstone.getEnabledElements()[0].viewport;
  return {
    mm_a_pixel: (2 * view.getCamera().parallelScale) / view.canvas.clientHeight,
    index: view.getCurrentImageIdIndex(),
    spacing: window.cornerstone.metaData.get('calibratedPixelSpacing', view.getCurrentImageId()),
  };
}"""


TOOL = """() => window.cornerstoneTools.ToolGroupManager.getToolGroup('default')
  .getActivePrimaryMouseButtonTool()"""
DX, CT = "1.2.840.10008.5.1.4.1.1.1.1", "1.2.840.10008.5.1.4.1.1.2"
SPACINGS = {"PixelSpacing": [0.2, 0.3], "ImagerPixelSpacing": [0.4, 0.5]}
CALIBRATIONS = [  # PS3.3 10.7.1.3: what a spacing is the length of
    (
        {"SOPClassUID": DX, **SPACINGS, "PixelSpacingCalibrationType": "GEOMETRY"},
        [0.2, 0.3, "ERMF"],
    ),
    (
        {"SOPClassUID": DX, **SPACINGS, "PixelSpacingCalibrationType": "FIDUCIAL"},
        [0.2, 0.3, "Calibrated"],
    ),
    ({"SOPClassUID": DX, **SPACINGS}, [0.4, 0.5, "at the detector"]),
    ({"SOPClassUID": DX, "PixelSpacing": [0.2, 0.3]}, [1, 1, "Uncalibrated"]),
    ({"SOPClassUID": CT, **SPACINGS}, None),  # not a projection: its spacing is the patient's
]
CALIBRATION_OF = """given => {
  const { metaData } = window.cornerstone;
  const image = 'made:image';
  const provider = (kind, id) => id === image && kind === 'instance' ? given : undefined;
  metaData.addProvider(provider, 20_000);
  try {
    const told = metaData.get('calibratedPixelSpacing', image);
    return told ? [told.rowPixelSpacing, told.columnPixelSpacing, told.type] : null;
  } finally {
    metaData.removeProvider(provider);
  }
}"""


def installed(hospital: Hospital) -> None:
    """Install the viewer for the hospital's portal, or skip where it cannot be had."""
    done = hospital.portal.command("install-viewer", timeout_s=300)
    if done.returncode:
        require("npm")
        pytest.skip(f"needs npm: {done.stderr.strip().splitlines()[-1]}")


@contextmanager
def at_home(page: Page, hospital: Hospital) -> Iterator[None]:
    """Watch that a page asks nobody but the portal."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    yield
    own = (hospital.portal.url, "data:", f"blob:{hospital.portal.url}")
    own += ("chrome-extension:", "chrome:")  # the browser's own PDF pages
    foreign = [url for url in asked if not url.startswith(own)]
    assert not foreign, foreign
    assert len(asked) > 20


def answers(hospital: Hospital, path: str) -> list[dict[str, Any]]:
    """Return what the network's DICOMweb answers to a query."""
    token = roles.accounts(hospital.folder)["clinician"]["token"]
    found = httpx.get(
        f"{hospital.portal.url}/dicom-web/{path}",
        headers={"Authorization": f"Bearer {token}"},
        timeout=30,
    )
    return list(found.json())


def studies(hospital: Hospital, modality: str) -> list[str]:
    """Return the UIDs of the studies of one modality, those with most images first."""
    found = answers(hospital, f"studies?ModalitiesInStudy={modality}")
    found.sort(key=lambda one: -one["00201208"]["Value"][0])
    return [one["0020000D"]["Value"][0] for one in found]


def open_viewer(page: Page, address: str, canvases: int = 1) -> None:
    """Open an address and wait until every viewport shows an image."""
    page.goto(address)
    page.locator(CANVAS).nth(canvases - 1).wait_for(timeout=FIRST_IMAGE_S * 1000)
    for place in range(canvases):
        drawn(page, page.locator(CANVAS).nth(place))
    until(page, lambda: _settled(page), "the layout does not settle")


def _settled(page: Page) -> bool:
    before = _scale(page)
    page.wait_for_timeout(300)
    return before == _scale(page)


def _scale(page: Page) -> float:
    """Return how many millimetres a CSS pixel of the first viewport is."""
    return float(page.evaluate(GEOMETRY)["mm_a_pixel"])


def drawn(page: Page, canvas: Locator) -> bytes:
    """Wait until a canvas shows more than one gray, and return its picture (PNG)."""
    return until(page, lambda: _drawn(canvas.screenshot()), "nothing is drawn")


def _drawn(picture: bytes) -> bytes:
    gray = Image.open(io.BytesIO(picture)).convert("L")
    return picture if ImageStat.Stat(gray).stddev[0] > 12 else b""


def until(page: Page, ask: Callable[[], Any], what: str, limit_s: float = FIRST_IMAGE_S) -> Any:
    """Ask until the answer is true, and return it."""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        if answer := ask():
            return answer
        page.wait_for_timeout(100)
    raise AssertionError(what)


def measure_length(page: Page, pixels: int) -> float:
    """Draw a level line of so many CSS pixels with the length tool; return its length in mm."""
    page.locator('[data-cy="MeasurementTools-split-button-primary"]').click()
    until(page, lambda: page.evaluate(TOOL) == "Length", "the length tool is not taken")
    x, y = centre(page.locator(CANVAS).first)
    page.mouse.move(x - pixels / 2, y, steps=3)
    page.wait_for_timeout(300)  # the viewport takes note of the tool with the next frame
    page.mouse.down()
    page.mouse.move(x, y, steps=4)
    page.mouse.move(x + pixels / 2, y, steps=4)
    page.mouse.up()
    return _scale(page) * pixels


def length_text(page: Page) -> str:
    """Return what stands beside the measured line, once it has followed the last movement."""
    text = page.locator("svg text", has_text="mm").first
    expect(text).to_be_visible()

    def still() -> str:
        before = (text.text_content() or "").strip()
        page.wait_for_timeout(800)
        return before if before == (text.text_content() or "").strip() else ""

    return str(until(page, still, "the length does not settle"))


def centre(one: Locator) -> tuple[float, float]:
    """Return the middle of an element."""
    box = one.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def keep(page: Page, name: str) -> None:
    """Keep a screenshot for eyes."""
    ARTIFACTS.mkdir(exist_ok=True)
    page.screenshot(path=Path(ARTIFACTS / f"full-viewer-{name}.png"))
