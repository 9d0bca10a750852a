"""The full viewer on a whole hospital: what is done with it, and where its results go."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import full_viewer
from tests.browser.full_viewer import (
    CALIBRATION_OF,
    CALIBRATIONS,
    CANVAS,
    GEOMETRY,
    answers,
    at_home,
    centre,
    drawn,
    keep,
    length_text,
    measure_length,
    open_viewer,
    studies,
    until,
)
from tests.browser.hospital import SOFTWARE_GL, WITHOUT_GL, Hospital, launched
from tests.browser.made_objects import LOOP_FRAMES, STUDY, loop, pdf

SIZE = {"width": 1400, "height": 900}
pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
LogIn = Callable[[str], Page]


@pytest.fixture(scope="module")
def browser(browser: Browser) -> Iterator[Browser]:
    """A Chromium that draws with WebGL."""
    with launched(browser.browser_type, *SOFTWARE_GL) as running:
        yield running


@pytest.fixture(scope="module", autouse=True)
def _viewer(hospital: Hospital) -> None:
    full_viewer.installed(hospital)


@pytest.fixture
def clinician(log_in: LogIn, hospital: Hospital) -> Iterator[Page]:
    page = log_in("clinician")
    page.set_viewport_size(SIZE)
    with at_home(page, hospital):
        yield page


def test_a_ct_is_scrolled_windowed_and_measured_and_the_measurement_comes_back_as_a_report(
    clinician: Page, hospital: Hospital
) -> None:
    page, study = clinician, studies(hospital, "CT")[0]
    open_viewer(page, f"/viewer/viewer?StudyInstanceUIDs={study}")
    keep(page, "stack")

    first = page.evaluate(GEOMETRY)["index"]
    page.mouse.move(*centre(page.locator(CANVAS)))
    page.mouse.wheel(0, 100)
    until(page, lambda: page.evaluate(GEOMETRY)["index"] != first, "the wheel does not scroll")

    x, y = centre(page.locator(CANVAS))
    before = window(page)
    page.mouse.down()
    page.mouse.move(x + 60, y + 30, steps=5)
    page.mouse.up()
    until(page, lambda: window(page) != before, "dragging does not change the window")
    keep(page, "window")

    expected = measure_length(page, 120)
    page.get_by_role("button", name="Yes", exact=True).click()  # track measurements
    assert float(length_text(page).split(" ")[0]) == pytest.approx(expected, abs=1)
    assert "detector" not in length_text(page)
    keep(page, "length")

    save_report(page, "Mesures du jour")
    series = until(page, lambda: reports(hospital, study), "no report is stored")
    assert series[0]["0008103E"]["Value"] == ["Mesures du jour"]
    assert series[0]["00081190"]["Value"][0].startswith(hospital.portal.url)

    page.reload()
    drawn(page, page.locator(CANVAS).first)
    page.locator('[data-cy="study-browser-thumbnail-no-image"]').dblclick()
    page.get_by_role("button", name="Yes", exact=True).click()  # go on with its measurements
    assert float(length_text(page).split(" ")[0]) == pytest.approx(expected, abs=1)
    keep(page, "report")


def window(page: Page) -> str:
    """Return the window that stands on the image."""
    return page.locator('[data-cy="viewport-overlay-bottom-left"]').first.inner_text()


def save_report(page: Page, name: str) -> None:
    page.locator('[data-cy="trackedMeasurements-btn"]').click()
    page.get_by_role("button", name="Create SR").click()
    page.get_by_placeholder("Report name").fill(name)
    page.get_by_role("button", name="Save", exact=True).click()


def reports(hospital: Hospital, study: str) -> list[dict]:
    found = answers(hospital, f"studies/{study}/series")
    return [one for one in found if one["00080060"]["Value"] == ["SR"]]


def test_an_address_that_names_an_image_opens_at_that_image(
    clinician: Page, hospital: Hospital
) -> None:
    study = studies(hospital, "CT")[0]
    series = answers(hospital, f"studies/{study}/series")[1]["0020000E"]["Value"][0]
    held = answers(hospital, f"studies/{study}/series/{series}/instances")
    image = held[2]["00080018"]["Value"][0]
    names = f"initialSeriesInstanceUID={series}&initialSopInstanceUID={image}"
    open_viewer(clinician, f"/viewer/viewer?StudyInstanceUIDs={study}&{names}")
    shown = clinician.evaluate(
        """() => window.cornerstone.metaData.get('instance', window.cornerstone
             .getEnabledElements()[0].viewport.getCurrentImageId()).SOPInstanceUID"""
    )
    assert shown == image


def test_a_ct_is_cut_in_three_planes(clinician: Page, hospital: Hospital) -> None:
    study = studies(hospital, "CT")[0]
    open_viewer(clinician, f"/viewer/viewer?StudyInstanceUIDs={study}&hangingProtocolId=mpr", 3)
    keep(clinician, "mpr")


def test_two_exams_stand_side_by_side(clinician: Page, hospital: Hospital) -> None:
    two = f"{studies(hospital, 'CT')[0]},{studies(hospital, 'CR')[0]}"
    address = f"/viewer/viewer?StudyInstanceUIDs={two}&hangingProtocolId=argensCompare"
    open_viewer(clinician, address, 2)
    shown = clinician.evaluate(
        """() => window.cornerstone.getEnabledElements().map(one => window.cornerstone.metaData
             .get('instance', one.viewport.getCurrentImageId()).Modality)"""
    )
    assert shown == ["CT", "CR"]
    expect(clinician.locator("#argens-two-patients")).to_be_visible()
    names = clinician.locator('[data-cy="viewport-overlay-top-left"]', has_text="FR-")
    expect(names).to_have_count(2)
    keep(clinician, "compare")


def test_a_length_on_a_radiograph_is_one_at_the_detector(
    clinician: Page, hospital: Hospital
) -> None:
    open_viewer(clinician, f"/viewer/viewer?StudyInstanceUIDs={studies(hospital, 'CR')[0]}")
    expected = measure_length(clinician, 120)
    text = length_text(clinician)
    assert re.fullmatch(r"[\d.]+ mm at the detector", text), text
    assert float(text.split(" ")[0]) == pytest.approx(expected, abs=1)
    keep(clinician, "detector")
    for given, told in CALIBRATIONS:
        assert clinician.evaluate(CALIBRATION_OF, given) == told, given


def test_what_a_technologist_uploads_runs_as_a_loop_and_a_pdf_is_read(
    log_in: LogIn, hospital: Hospital, tmp_path: Path
) -> None:
    page = log_in("technologist")
    page.set_viewport_size(SIZE)
    with at_home(page, hospital):
        upload(page, [loop(tmp_path), pdf(tmp_path)])
        until(page, lambda: len(answers(hospital, f"studies/{STUDY}/series")) == 2, "not stored")
        keep(page, "upload")
        open_viewer(page, f"/viewer/viewer?StudyInstanceUIDs={STUDY}")
        keep(page, "loop")
        page.locator('[data-cy="cine-player-play-pause"]').click()
        seen = {page.evaluate(GEOMETRY)["index"]}
        until(
            page,
            lambda: seen.add(page.evaluate(GEOMETRY)["index"]) or len(seen) > 2,
            f"the loop of {LOOP_FRAMES} frames does not run",
        )
        keep(page, "cine")
        page.locator('[data-cy="study-browser-thumbnail-no-image"]').dblclick()
        document = page.locator("object[type='application/pdf']")
        expect(document).to_be_visible()
        address = document.get_attribute("data") or ""
        assert address.startswith(("/dicom-web/", hospital.portal.url, "blob:"))
        page.wait_for_timeout(4000)
        keep(page, "pdf")


def upload(page: Page, files: list[Path]) -> None:
    page.goto("/viewer/")
    expect(page.get_by_text("Study List")).to_be_visible()
    for typed in ("patientName", "mrn"):  # what is typed here would stand in the address
        expect(page.locator(f'[data-cy="input-{typed}"]')).to_be_hidden()
    page.get_by_text("Upload", exact=True).click()
    page.locator('input[type="file"]').first.set_input_files(files)


@pytest.mark.console_errors
def test_pixels_that_are_refused_lead_to_the_login_and_back(
    log_in: LogIn, hospital: Hospital
) -> None:
    page = log_in("clinician")
    open_viewer(page, f"/viewer/viewer?StudyInstanceUIDs={studies(hospital, 'CT')[0]}")
    page.context.clear_cookies(name="argens_session")
    page.evaluate(
        """() => {
          const { cache, getEnabledElements, imageLoader } = window.cornerstone;
          const image = getEnabledElements()[0].viewport.getCurrentImageId();
          cache.purgeCache();
          imageLoader.loadImage(image).catch(() => {});
        }"""
    )
    page.wait_for_url(re.compile(r"/login/\?next=%2Fviewer%2Fviewer"))


@pytest.mark.console_errors
def test_who_only_looks_is_led_to_the_login_when_the_session_ends(log_in: LogIn) -> None:
    page = log_in("clinician")
    page.clock.install()
    page.route("**/app.bundle.*.js", lambda route: route.abort())  # the page's own scripts alone
    page.goto("/viewer/viewer?StudyInstanceUIDs=1.2.3")
    with page.expect_response("**/viewer/alive") as first:
        page.clock.fast_forward(61_000)
    assert first.value.status == 204
    page.context.clear_cookies(name="argens_session")
    page.clock.fast_forward(61_000)
    page.wait_for_url(re.compile(r"/login/\?next=%2Fviewer%2Fviewer"))


def test_without_webgl_the_processor_draws(
    browser: Browser, log_in: LogIn, hospital: Hospital
) -> None:
    with launched(browser.browser_type, WITHOUT_GL, "--disable-3d-apis") as without:
        state = log_in("clinician").context.storage_state()
        page = without.new_page(base_url=hospital.portal.url, storage_state=state)
        page.goto(f"/viewer/viewer?StudyInstanceUIDs={studies(hospital, 'CT')[0]}")
        drawn(page, page.locator(CANVAS).first)
        assert page.evaluate("() => window.cornerstone.getShouldUseCPURendering()")
        assert not page.evaluate("() => document.createElement('canvas').getContext('webgl2')")
        expect(page.get_by_text("no WebGL here")).to_be_visible()
        expect(page.get_by_role("dialog")).to_be_hidden()
        keep(page, "processor")


def test_several_exams_are_chosen_in_a_list_by_keys(log_in: LogIn) -> None:
    clinician = log_in("clinician")
    clinician.get_by_role("button", name="Search", exact=True).click()
    boxes, button = clinician.get_by_role("checkbox", name="Choose"), "Open together"
    expect(clinician.get_by_role("button", name=button)).to_be_hidden()
    for place in (0, 1):
        boxes.nth(place).focus()
        clinician.keyboard.press("Space")
        opens = clinician.get_by_role("button", name=button)
        expect(opens).to_be_enabled() if place else expect(opens).to_be_disabled()
    expect(clinician.get_by_text("Chosen: 2")).to_be_visible()
    chosen = [boxes.nth(place).get_attribute("value") for place in (0, 1)]
    clinician.keyboard.press("Enter")
    clinician.get_by_role("link", name="Show different patients").click()
    clinician.wait_for_url(re.compile(f"/viewer/viewer.StudyInstanceUIDs={','.join(chosen)}&"))


@pytest.mark.console_errors
def test_a_session_that_ended_leads_to_the_login_and_back(
    log_in: LogIn, hospital: Hospital
) -> None:
    page = log_in("clinician")
    study = studies(hospital, "CT")[0]
    open_viewer(page, f"/viewer/viewer?StudyInstanceUIDs={study}")
    page.context.clear_cookies(name="argens_session")
    page.mouse.move(*centre(page.locator(CANVAS)))
    for _ in range(12):
        page.mouse.wheel(0, 100)
        page.wait_for_timeout(50)
    page.evaluate(
        "() => { const asked = new XMLHttpRequest();"
        " asked.open('GET', '/dicom-web/studies?limit=1'); asked.send(); }"
    )
    page.wait_for_url(re.compile(r"/login/\?next=%2Fviewer%2Fviewer"))
