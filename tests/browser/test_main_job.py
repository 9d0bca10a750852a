"""The main job, end to end, in a real browser on real processes: the six steps of 1999, then
archive, evict, NEARLINE, recall, and the same bytes again."""

from __future__ import annotations

import io
import re
import time
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from pydicom import dcmread
from pydicom.dataset import Dataset

from tests.browser.full_viewer import answers
from tests.browser.hospital import Hospital

WAIT_S = 60


def ask(page: Page, **fields: str) -> None:
    """Fill the search form by its labels and send it."""
    page.goto("/")
    for label, text in fields.items():
        page.get_by_label(label.replace("_", " ").capitalize(), exact=True).fill(text)
    page.get_by_role("button", name="Search", exact=True).click()


def search(page: Page, **fields: str) -> None:
    """Search, and wait until every server was heard."""
    ask(page, **fields)
    page.wait_for_url("**/?search=*")
    expect(page.locator("[aria-busy]")).to_have_count(0)


def rows(page: Page):
    return page.locator(".results tbody tr")


def until(page: Page, ask, what: str):
    """Ask until the answer is true, and return it (the pages' policy forbids eval in them)."""
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        if answer := ask():
            return answer
        page.wait_for_timeout(100)
    raise AssertionError(what)


def shown_pixels(page: Page) -> str:
    """Return the picture on the stage as data, once it is loaded."""
    picture = page.locator("#film img")
    expect(picture).to_be_visible()
    until(page, lambda: picture.evaluate("i => i.naturalWidth") > 100, "no picture is shown")
    return picture.evaluate(
        """image => {
             const canvas = document.createElement('canvas');
             canvas.width = canvas.height = 64;
             const context = canvas.getContext('2d');
             context.drawImage(image, 0, 0, 64, 64);
             return Array.from(context.getImageData(0, 0, 64, 64).data).join();
           }"""
    )


def until_changed(page: Page, before: str) -> str:
    def changed() -> str:
        now = shown_pixels(page)
        return now if now != before else ""

    return until(page, changed, "the picture did not change")


def drag(page: Page, right: int, down: int) -> None:
    """Drag on the image: to the right widens the window, down raises its centre."""
    box = page.locator("#stage").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + right, y + down, steps=5)
    page.mouse.up()


def originals(day: Path, study_uid: str) -> dict[str, bytes]:
    """Return the files of a study as they were made: UID -> data set bytes."""
    found = {}
    for path in sorted(day.rglob("*.dcm")):
        ds = dcmread(path, stop_before_pixels=True)
        if ds.StudyInstanceUID == study_uid:
            found[str(ds.SOPInstanceUID)] = data_set(path.read_bytes())
    return found


def data_set(content: bytes) -> bytes:
    length = int.from_bytes(content[140:144], "little")
    return content[144 + length :]


def download(page: Page, name: str = "Stored files") -> dict[str, bytes]:
    """Take an exam's stored files along, or one image by its link; UID -> the whole file."""
    if name == "Stored files":
        page.get_by_text("Download", exact=True).click()
    with page.expect_download() as waiting:
        page.get_by_role("link", name=name).click()
    archive = zipfile.ZipFile(io.BytesIO(Path(waiting.value.path()).read_bytes()))
    assert archive.testzip() is None
    contents = [archive.read(name) for name in archive.namelist() if name.endswith(".dcm")]
    return {str(dcmread(io.BytesIO(content)).SOPInstanceUID): content for content in contents}


def study_of(page: Page) -> str:
    found = re.search(r"/studies/([0-9.]+)/", page.url)
    assert found is not None
    return found.group(1)


@pytest.mark.console_errors
def test_a_wrong_password_and_an_unknown_name_get_the_same_answer(log_in, hospital: Hospital):
    page = log_in("clinician")
    page.get_by_role("button", name="Log out").click()
    answers = []
    for name in ("clinician", "nobody"):
        page.goto("/login/")
        page.get_by_label("Name").fill(name)
        page.get_by_label("Password").fill("wrong")
        page.get_by_role("button", name="Log in").click()
        answers.append(page.get_by_role("alert").inner_text())
    assert answers[0] == answers[1] != ""


def test_choose_the_server_and_find_the_patient(log_in):
    page = log_in("clinician")
    search(page)
    expect(rows(page).first).to_be_visible()
    everywhere = rows(page).count()
    page.goto("/")
    for other in ("RF", "CR"):
        page.get_by_role("checkbox", name=other).uncheck(force=True)
    page.get_by_role("button", name="Search", exact=True).click()
    expect(rows(page).first).to_be_visible()
    assert 0 < rows(page).count() < everywhere
    servers = rows(page).locator(".tag.server").all_inner_texts()
    assert set(servers) == {"CT"}


def test_a_name_is_found_without_its_accents_and_stays_out_of_the_address(log_in):
    page = log_in("clinician")
    search(page, patient_name="lefevre")
    expect(rows(page)).to_have_count(1)
    expect(rows(page).first).to_contain_text("LEFÈVRE Hélène")
    assert "lefevre" not in page.url.lower()


@pytest.mark.console_errors
def test_a_nonsense_date_is_marked_beside_its_field(log_in):
    page = log_in("clinician")
    ask(page, exam_from="31/02/2026", patient_name="martin")
    expect(page.locator(".field-error")).to_have_count(1)
    assert page.get_by_label("Exam from").input_value() == "31/02/2026"
    assert page.get_by_label("Patient name").input_value() == "martin"


def open_exam(page: Page, description: str) -> None:
    search(page, description=description)
    rows(page).first.get_by_role("link").first.click()
    page.wait_for_url(re.compile("/studies/"))


def test_see_an_exam_and_its_images_through_windows(log_in):
    page = log_in("clinician")
    open_exam(page, "TDM")
    thumbnails = page.locator(".series-picture img")
    loaded = "all => all.length > 0 && all.every(i => i.complete && i.naturalWidth > 50)"
    until(page, lambda: thumbnails.evaluate_all(loaded), "a thumbnail is missing")
    page.locator(".series-card").first.click()
    page.wait_for_url(re.compile("/instances/"))
    first = shown_pixels(page)
    page.locator("#preset").select_option(index=2)
    windowed = until_changed(page, first)
    page.get_by_role("button", name="Next image").click()
    following = until_changed(page, windowed)
    expect(page.locator("#caption-slice")).to_contain_text("2 /")
    drag(page, 60, 25)
    until_changed(page, following)
    page.get_by_role("button", name="Invert").click()
    expect(page.locator("#film")).to_have_class(re.compile("inverted"))
    before = page.locator("#film").evaluate("film => film.style.transform")
    page.get_by_role("button", name="Larger").click()
    assert page.locator("#film").evaluate("film => film.style.transform") != before
    page.get_by_role("button", name="Play").click()
    expect(page.locator("#caption-slice")).not_to_contain_text("2 /")
    expect(page.locator(".not-diagnostic")).to_be_visible()


def test_read_and_search_the_header(log_in, hospital: Hospital):
    page = log_in("clinician")
    open_exam(page, "TDM")
    page.locator(".series-card").first.click()
    page.get_by_role("link", name="Header").click()
    elements = page.locator("#elements .element:not(.element-head)")
    expect(elements.first).to_be_visible()
    total = elements.count()
    assert total > 60
    expect(page.locator("#elements .private").first).to_be_attached()
    expect(page.locator("#elements details.sequence").first).to_be_attached()
    page.get_by_label("Search the header").fill("slice thickness")
    expect(page.locator("#elements .element:visible:not(.element-head)")).to_have_count(1)
    expect(page.locator("#elements .element:visible").last).to_contain_text("(0018,0050)")


def test_download_an_exam_and_an_image_as_they_came(log_in, hospital: Hospital):
    page = log_in("clinician")
    open_exam(page, "TDM")
    sent = originals(hospital.day, study_of(page))
    held = answers(hospital, f"studies/{study_of(page)}/instances")  # a report may have come since
    got = download(page)
    assert got.keys() == {one["00080018"]["Value"][0] for one in held}
    assert {uid: data_set(got[uid]) for uid in sent} == sent
    page.locator(".series-card").first.click()
    page.wait_for_url(re.compile("/instances/"))
    one = download(page, "Download")
    assert len(one) == 1 and one.items() <= got.items()


def until_archived(page: Page, study: str) -> None:
    deadline = time.monotonic() + WAIT_S
    copied = page.locator("tr", has_text=study).filter(has_text="Copy").filter(has_text="done")
    while time.monotonic() < deadline:
        page.goto(f"/archive/jobs/?study={study}")
        if copied.count():
            return
        page.wait_for_timeout(500)
    raise AssertionError(page.locator("#live").inner_text())


@pytest.mark.timeout(240)
def test_archive_evict_nearline_recall_and_the_same_bytes_again(log_in, hospital: Hospital):
    clinician = log_in("clinician")
    open_exam(clinician, "TDM thoracique")
    study, address = study_of(clinician), clinician.url
    before = download(clinician)

    archivist = log_in("archivist")
    until_archived(archivist, study)
    by_hand = archivist.get_by_role("form", name="Start a job")
    by_hand.get_by_label("Job", exact=True).select_option("evict")
    by_hand.get_by_label("Server", exact=True).select_option("CT")
    by_hand.get_by_label("Study Instance UID").fill(study)
    by_hand.get_by_role("button", name="Start").click()
    freed = archivist.locator("tr", has_text=study).filter(has_text="Free disk")
    expect(freed.filter(has_text="done")).to_be_visible(timeout=WAIT_S * 1000)
    disk = Path(hospital.nodes["CT"].env["PACS_DATA_DIR"]) / "objects"
    left = {path.stem for path in disk.rglob("*.dcm")}
    assert not left & before.keys()

    clinician.goto(address)
    expect(clinician.locator(".exam-head")).to_contain_text("NEARLINE")
    expect(clinician.locator(".series-card")).not_to_have_count(0)
    clinician.get_by_role("button", name="Bring back from the archive").click()
    expect(clinician.locator(".exam-head")).to_contain_text("Online", timeout=WAIT_S * 1000)

    assert download(clinician) == before
    clinician.locator(".series-card").first.click()
    shown_pixels(clinician)


@pytest.mark.timeout(180)
def test_a_dead_node_is_named_and_hides_nothing(log_in, hospital: Hospital):
    page = log_in("clinician")
    search(page)
    expect(rows(page).first).to_be_visible()
    all_exams = rows(page).count()
    of_rf = rows(page).filter(has=page.locator(".tag.server", has_text="RF")).count()
    hospital.nodes["RF"].stop()
    try:
        search(page)
        expect(page.locator(".banner").first).to_contain_text("RF")
        assert rows(page).count() == all_exams - of_rf > 0
    finally:
        hospital.nodes["RF"].start().wait_ready()
    search(page)
    expect(rows(page)).to_have_count(all_exams)


@pytest.mark.console_errors
def test_it_people_see_servers_and_no_patient(log_in):
    page = log_in("it")
    page.goto("/servers/")
    expect(page.locator("body")).to_contain_text("ARGENS_CT")
    assert page.goto("/").status == 403
    page.goto("/audit/")
    expect(page.locator("body")).to_contain_text("clinician")
    expect(page.locator("body")).not_to_contain_text("Lefèvre")


def test_every_element_of_the_day_survives_the_way_through(hospital: Hospital, log_in):
    page = log_in("clinician")
    open_exam(page, "Main droite")
    expected = originals(hospital.day, study_of(page))
    for uid, content in download(page).items():
        got = dcmread(io.BytesIO(content))
        assert data_set(content) == expected[uid]
        assert isinstance(got, Dataset) and got.Modality == "CR"
