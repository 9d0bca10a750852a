"""The quick view: what stands on the image, what lies beside it, and what it never shows."""

from __future__ import annotations

import re
import threading

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.extra_exams import Exam

pytestmark = pytest.mark.slow


@pytest.fixture
def viewer(reader: Page, exam: Exam) -> Page:
    """The exam's first image."""
    open_image(reader, exam.image(1))
    return reader


def open_image(page: Page, address: str) -> None:
    page.goto(address)
    expect(page.locator("#viewer[data-ready]")).to_be_visible()


def edges(page: Page) -> list[str]:
    """Return the letters at top, right, bottom and left."""
    return page.locator("#stage .edge").all_inner_texts()


def caption(page: Page, part: str, pane: int = 0):
    return page.locator(".pane").nth(pane).locator(f'[data-part="{part}"]')


def beside(page: Page, exam_number: int, series_number: int = 0) -> None:
    """Choose what stands beside the image."""
    page.keyboard.press("b")
    page.locator("#choice-exams .choice").nth(exam_number).click()
    page.locator("#choice-series .choice").nth(series_number).click()


def test_the_image_says_whose_it_is_and_what_it_is_not_for(viewer: Page):
    expect(caption(viewer, "name")).to_have_text(re.compile(r"\w+"))
    expect(caption(viewer, "slice")).to_have_text("1 / 20")
    expect(caption(viewer, "window")).to_have_text(re.compile(r"C .+ W .+ HU"))
    expect(caption(viewer, "lossy")).to_contain_text("sent as lossy JPEG")
    expect(viewer.locator(".not-diagnostic").first).to_contain_text("not calibrated (GSDF)")
    assert edges(viewer) == ["A", "L", "P", "R"]


def test_edge_letters_follow_every_turn_and_mirror(viewer: Page):
    viewer.keyboard.press("r")
    assert edges(viewer) == ["R", "A", "L", "P"]
    viewer.keyboard.press("f")
    assert edges(viewer) == ["R", "P", "L", "A"]
    viewer.keyboard.press("v")
    assert edges(viewer) == ["L", "P", "R", "A"]
    viewer.keyboard.press("0")
    assert edges(viewer) == ["A", "L", "P", "R"]


def test_the_letters_are_where_the_transform_puts_the_edges(viewer: Page):
    """Every turn and mirror: the letters against the matrix that the browser applies."""
    wrong = viewer.evaluate(
        """async () => {
             const { turned } = await import('/static/viewer/geometry.js');
             const places = { T: [0, -1], R: [1, 0], B: [0, 1], L: [-1, 0] };
             const wrong = [];
             for (const rotation of [0, 90, 180, 270])
               for (const across of [false, true])
                 for (const down of [false, true]) {
                   const mirror = `scale(${across ? -1 : 1}, ${down ? -1 : 1})`;
                   const m = new DOMMatrix(`rotate(${rotation}deg) ${mirror}`);
                   const seen = {};
                   for (const [name, [x, y]] of Object.entries(places)) {
                     const p = m.transformPoint({ x, y });
                     seen[`${Math.round(p.x)},${Math.round(p.y)}`] = name;
                   }
                   const want = ['0,-1', '1,0', '0,1', '-1,0'].map((at) => seen[at]);
                   const got = turned(['T', 'R', 'B', 'L'], { rotation, across, down });
                   if (want.join() !== got.join()) wrong.push([rotation, across, down, want, got]);
                 }
             return wrong;
           }"""
    )
    assert wrong == []


@pytest.mark.console_errors
@pytest.mark.parametrize("name", ["1.2.3.4", ""], ids=["another", "no"])
def test_a_picture_that_bears_another_name_or_none_is_not_shown(
    viewer: Page, exam: Exam, name: str
):
    def rename(route: Route) -> None:
        answer = route.fetch()
        named = {**answer.headers, "x-picture-instance": name, "cache-control": "no-store"}
        route.fulfill(response=answer, headers=named)

    viewer.route(f"**/{exam.images[19]}/rendered*", rename)
    open_image(viewer, exam.image(1))  # anew: a quick one has asked for it beforehand
    viewer.keyboard.press("End")
    expect(viewer.locator("#message-text")).to_contain_text("another picture")
    expect(viewer.locator("#film img")).to_have_count(0)
    expect(caption(viewer, "slice")).to_have_text("20 / 20")
    viewer.keyboard.press("Home")
    expect(viewer.locator("#message")).to_be_hidden()


def test_a_late_picture_never_replaces_a_newer_one(viewer: Page, exam: Exam):
    held, go = [], threading.Event()
    viewer.route(f"**/{exam.images[11]}/rendered*", lambda route: held.append(route))
    viewer.locator("#slider").fill("12")
    viewer.locator("#slider").fill("3")
    expect(caption(viewer, "slice")).to_have_text("3 / 20")
    shown = viewer.locator("#film img").get_attribute("src")
    go.set()
    for route in held:
        route.continue_()
    viewer.wait_for_timeout(400)
    assert viewer.locator("#film img").get_attribute("src") == shown
    expect(caption(viewer, "slice")).to_have_text("3 / 20")


def test_the_words_are_those_of_the_picture_while_a_window_is_dragged_and_the_wheel_turns(
    viewer: Page, exam: Exam
):
    """At every moment the position that is written belongs to the picture that is there."""
    viewer.evaluate(
        """(uids) => {
             const named = new Map(), pane = document.getElementById('pane-1');
             const [ask, made] = [window.fetch, URL.createObjectURL];
             window.wrong = []; window.seen = 0;
             window.fetch = async (...given) => {
               const answer = await ask(...given);
               if (!String(given[0]).includes('rendered')) return answer;
               await new Promise((go) => setTimeout(go, 60));
               const read = answer.blob.bind(answer);
               answer.blob = async () => Object.assign(await read(),
                 { uid: answer.headers.get('X-Picture-Instance') });
               return answer; };
             URL.createObjectURL = (blob) => {
               const address = made.call(URL, blob);
               named.set(address, uids.indexOf(blob.uid) + 1);
               return address; };
             new MutationObserver(() => {
               const number = named.get(pane.querySelector('.film img')?.src);
               if (!number) return;
               window.seen += 1;
               const part = (name) => pane.querySelector(`[data-part=${name}]`).textContent;
               const said = [part('slice'), part('place')].join();
               const want = [`${number} / 20`, `position ${(number * 5).toFixed(1)} mm`].join();
               if (said !== want) window.wrong.push([said, want]);
             }).observe(pane, { childList: true, subtree: true, characterData: true });
           }""",
        exam.images,
    )
    box = viewer.locator("#stage").bounding_box()
    assert box is not None
    viewer.mouse.move(box["x"] + 200, box["y"] + 200)
    viewer.mouse.down()
    for step in range(24):
        viewer.mouse.move(box["x"] + 200 + 4 * step, box["y"] + 200 + step)
        viewer.wait_for_timeout(20)
        if step % 6 == 5:
            viewer.mouse.wheel(0, 120)
    viewer.mouse.up()
    expect(caption(viewer, "slice")).to_have_text("5 / 20")
    assert viewer.evaluate("window.seen") > 2
    assert viewer.evaluate("window.wrong") == []


def test_every_picture_is_asked_for_in_its_revision(viewer: Page):
    asked: list[str] = []
    with viewer.expect_request("**/rendered*"):
        viewer.on("request", lambda request: asked.append(request.url))
        viewer.keyboard.press("End")
    expect(caption(viewer, "slice")).to_have_text("20 / 20")
    pictures = [url for url in asked if "/rendered" in url]
    assert pictures and all(re.search(r"revision=\w{16}", url) for url in pictures)


def test_two_series_of_one_space_scroll_together_by_position(viewer: Page):
    beside(viewer, 0, 1)
    expect(viewer.locator("#link-how")).to_have_text("by position")
    viewer.locator("#stage").focus()
    viewer.keyboard.press("End")
    expect(caption(viewer, "slice", 1)).to_have_text("4 / 4")
    expect(viewer.locator("#alarm")).to_be_hidden()
    viewer.locator(".pane").nth(1).locator(".stage").focus()
    viewer.keyboard.press("ArrowUp")
    expect(caption(viewer, "slice", 0)).to_have_text("15 / 20")
    viewer.keyboard.press("l")
    viewer.keyboard.press("Home")
    expect(caption(viewer, "slice", 1)).to_have_text("1 / 4")
    expect(caption(viewer, "slice", 0)).to_have_text("15 / 20")


def test_an_exam_of_before_scrolls_by_the_distance_from_where_both_stood(viewer: Page):
    viewer.keyboard.press("b")
    viewer.locator("#choice-exams .choice", has_text="anterieure").click()
    viewer.locator("#choice-series .choice").first.click()
    expect(viewer.locator("#link-how")).to_have_text("by distance from here")
    viewer.locator("#stage").focus()
    for _ in range(4):
        viewer.keyboard.press("ArrowDown")
    expect(caption(viewer, "slice", 1)).to_have_text("3 / 10")  # 20 mm on


def test_another_series_begins_with_a_window_and_sides_of_its_own(viewer: Page):
    viewer.get_by_label("Window", exact=True).select_option("Lung")
    viewer.locator("#stage").focus()
    for key in ("r", "i"):
        viewer.keyboard.press(key)
    expect(caption(viewer, "window")).to_have_text("C -600 W 1500 HU")
    viewer.locator(".rail-item").nth(1).click()
    expect(caption(viewer, "slice")).to_have_text("1 / 4")
    expect(caption(viewer, "window")).to_have_text("C 40 W 400 HU")
    assert edges(viewer) == ["A", "L", "P", "R"]
    expect(viewer.get_by_role("button", name="Invert")).to_have_attribute("aria-pressed", "false")


def test_no_tool_lies_beyond_the_edge_of_the_window(viewer: Page):
    beside(viewer, 0, 1)
    expect(viewer.locator("#linked")).to_be_visible()
    for width in (1024, 1280, 1440):
        viewer.set_viewport_size({"width": width, "height": 800})
        ends = viewer.locator(".tools > *, .tool-group > *").evaluate_all(
            "tools => tools.map((tool) => tool.getBoundingClientRect().right)"
        )
        assert max(ends) <= width


def test_two_patients_are_shown_only_on_purpose_and_under_a_banner(viewer: Page):
    page = viewer
    listed = page.request.get("/dicom-web/studies?ModalitiesInStudy=RF").json()
    other = next(one for one in listed if one.get("00080050", {}).get("Value"))
    page.keyboard.press("b")
    page.get_by_label("Any other exam").fill(other["00080050"]["Value"][0])
    page.get_by_role("button", name="Find").click()
    series = page.locator("#choice-series .choice").filter(has_text="RF").first
    series.click()
    dialog = page.locator("#other-patient")
    expect(dialog).to_contain_text("two different patients")
    dialog.get_by_role("button", name="Cancel").click()
    expect(page.locator(".pane")).to_have_count(1)
    page.keyboard.press("b")
    page.get_by_label("Any other exam").fill(other["00080050"]["Value"][0])
    page.get_by_role("button", name="Find").click()
    series.click()
    held: list[Route] = []
    page.route("**/rendered*", lambda route: held.append(route), times=1)
    dialog.get_by_role("button", name="Show both patients").click()
    banner = page.locator("#alarm")
    expect(banner).to_be_visible()  # before the picture has come
    expect(banner).to_contain_text("Two patients")
    expect(page.locator(".pane").nth(1).locator(".film img")).to_have_count(0)
    held.pop().continue_()
    expect(page.locator(".pane").nth(1).locator(".film img")).to_have_count(1)
    page.keyboard.press("ArrowDown")
    expect(banner).to_be_visible()
    page.get_by_role("button", name="One image").click()
    expect(banner).to_be_hidden()


def test_key_images_are_marked_and_reached_by_a_key(viewer: Page):
    expect(caption(viewer, "marks").locator("i")).to_have_count(2)
    viewer.keyboard.press("k")
    expect(caption(viewer, "slice")).to_have_text("5 / 20")
    viewer.get_by_role("button", name="Key images").click()
    viewer.locator("#key-list .choice").nth(1).click()
    expect(caption(viewer, "slice")).to_have_text("15 / 20")


def test_a_presentation_state_is_applied_named_and_turns_the_letters(viewer: Page):
    viewer.locator("#state").select_option("Quart de tour")
    expect(caption(viewer, "state")).to_have_text("as in “QUARTER”")
    expect(caption(viewer, "window")).to_have_text("C -600 W 1500")
    assert edges(viewer) == ["R", "A", "L", "P"]
    viewer.locator("#state").select_option(index=0)
    expect(caption(viewer, "state")).to_have_text("")
    assert edges(viewer) == ["A", "L", "P", "R"]


def test_a_report_is_read_in_place_and_its_image_opens_there(reader: Page, exam: Exam):
    page = reader
    open_image(page, exam.document("SR"))
    report = page.frame_locator(".sheet iframe")
    expect(report.locator("h1")).to_have_text("Compte rendu")
    expect(report.locator("article")).to_contain_text("Nodule <b>stable</b>")
    report.get_by_role("link", name="Image").click()
    expect(caption(page, "slice")).to_have_text("15 / 20")
    expect(page.locator("#film img")).to_be_visible()


def test_the_header_lies_in_a_drawer_and_the_image_stays(viewer: Page):
    viewer.keyboard.press("h")
    box = viewer.get_by_label("Search the header")
    expect(box).to_be_focused()
    box.fill("slice location")
    expect(viewer.locator("#elements .element:visible:not(.element-head)")).to_have_count(1)
    assert "/header/" not in viewer.url
    viewer.keyboard.press("Escape")  # empties the box
    viewer.keyboard.press("Escape")
    expect(viewer.locator("#drawer")).to_be_hidden()
    viewer.keyboard.press("ArrowDown")
    expect(caption(viewer, "slice")).to_have_text("2 / 20")


def test_a_picture_smaller_than_its_source_says_so_from_the_first_moment(reader: Page):
    page = reader
    page.set_viewport_size({"width": 480, "height": 480})
    study = page.request.get("/dicom-web/studies?ModalitiesInStudy=CR").json()[0]
    uid = study["0020000D"]["Value"][0]
    series = page.request.get(f"/dicom-web/studies/{uid}/series").json()[0]
    held: list[Route] = []
    page.route("**/pictures/", lambda route: held.append(route))
    page.goto(f"/studies/{uid}/series/{series['0020000E']['Value'][0]}/")
    reduced = caption(page, "reduced")
    expect(reduced).to_have_text(re.compile("reduced: [0-9]+ %"))
    expect(caption(page, "lossy")).to_have_text("sent as lossy JPEG")
    at_first = reduced.inner_text()
    held.pop().continue_()
    expect(page.locator("#viewer[data-ready]")).to_be_visible()
    expect(reduced).not_to_have_text(at_first)  # half the size is enough for this stage
    expect(reduced).to_have_text(re.compile("reduced: [0-9]+ %"))


def test_back_after_the_logout_shows_nothing(log_in, exam: Exam):
    viewer = log_in("clinician")
    open_image(viewer, exam.image(1))
    name = caption(viewer, "name").inner_text()
    viewer.get_by_role("button", name="Log out").click()
    viewer.wait_for_url("**/login/**")
    viewer.go_back()
    viewer.wait_for_url("**/login/**")
    expect(viewer.locator("body")).not_to_contain_text(name)
    expect(viewer.locator("#film img")).to_have_count(0)
