"""Every kind of page of the portal, whose it is, and how a person gets there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from playwright.sync_api import Page, expect

from tests.browser.extra_exams import Exam

STRANGER = ""


@dataclass(frozen=True)
class Place:
    """A page: its name in reports, the person who opens it, and what is done to see it."""

    name: str
    person: str
    go: Callable[[Page, Exam], None]


def at(address: str, ready: str = "main") -> Callable[[Page, Exam], None]:
    """Return how a page is opened by its address; `{study}` and `{image}` are the exam's."""

    def go(page: Page, exam: Exam) -> None:
        page.goto(address.format(study=f"/studies/{exam.study}/", image=exam.image(1)))
        expect(page.locator(ready).first).to_be_visible()

    return go


def found(page: Page, exam: Exam) -> None:
    """Search for everything."""
    page.goto("/")
    page.locator("#find button.primary").click()
    expect(page.locator("tr[data-href]").first).to_be_visible()


def nothing_found(page: Page, exam: Exam) -> None:
    """Search for a patient whom nobody knows."""
    page.goto("/")
    page.locator("[name=patient_id]").fill("NOBODY-AT-ALL")
    page.locator("#find button.primary").click()
    expect(page.locator(".results .empty")).to_be_visible()


def downloads(page: Page, exam: Exam) -> None:
    """Open the menu of what can be taken along."""
    page.goto(f"/studies/{exam.study}/")
    page.locator(".menu-button summary").click()
    expect(page.locator(".menu-list")).to_be_visible()


def keys(page: Page, exam: Exam) -> None:
    """Open the quick view's list of keys."""
    quick_view(page, exam)
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()


def quick_view(page: Page, exam: Exam) -> None:
    """Open the quick view."""
    page.goto(exam.image(1))
    expect(page.locator("#viewer[data-ready]")).to_be_visible()


def report(page: Page, exam: Exam) -> None:
    """Open a structured report."""
    page.goto(exam.document("SR"))
    expect(page.locator("main")).to_be_visible()


PLACES = (
    Place("login", STRANGER, at("/login/", "form")),
    Place("search", "clinician", at("/", "form")),
    Place("results", "clinician", found),
    Place("no-results", "clinician", nothing_found),
    Place("exam", "clinician", at("{study}", ".series-card")),
    Place("exam-downloads", "clinician", downloads),
    Place("timeline", "clinician", at("{study}timeline/", ".year")),
    Place("quick-view", "clinician", quick_view),
    Place("quick-view-keys", "clinician", keys),
    Place("report", "clinician", report),
    Place("header", "clinician", at("{image}header/", "#elements")),
    Place("account", "clinician", at("/account/")),
    Place("account-password", "clinician", at("/account/password/", "form")),
    Place("account-two-steps", "clinician", at("/account/two-steps/")),
    Place("account-tokens", "clinician", at("/account/tokens/", "form")),
    Place("not-found", "clinician", at("/no/such/page/")),
    Place("not-allowed", "clinician", at("/archive/")),
    Place("arrivals", "technologist", at("/arrivals/")),
    Place("transfers", "technologist", at("/arrivals/transfers/")),
    Place("quarantine", "technologist", at("/arrivals/quarantine/")),
    Place("lost", "technologist", at("/arrivals/lost/")),
    Place("rejections", "technologist", at("/arrivals/rejections/")),
    Place("reject", "technologist", at("{study}reject/", "form")),
    Place("send", "technologist", at("{study}send/", "#live")),
    Place("attach", "technologist", at("{study}attach/", "form")),
    Place("correct", "technologist", at("{study}correct/", "form")),
    Place("servers", "it", at("/servers/", ".card")),
    Place("console", "it", at("/admin-console/", ".card")),
    Place("nodes", "it", at("/admin-console/nodes/", ".card")),
    Place("node", "it", at("/admin-console/nodes/CT/", "form")),
    Place("node-new", "it", at("/admin-console/new-node/dicomweb/", "form")),
    Place("peers", "it", at("/admin-console/peers/", ".peer-node")),
    Place("peer", "it", at("/admin-console/peers/CT/peer/", "form")),
    Place("forwarding", "it", at("/admin-console/forwarding/", ".peer-node")),
    Place("work", "it", at("/admin-console/work/", ".peer-node")),
    Place("log", "it", at("/admin-console/log/", "#live")),
    Place("certificates", "it", at("/admin-console/certificates/")),
    Place("placing", "it", at("/admin-console/new-exams/")),
    Place("people", "it", at("/admin-console/accounts/")),
    Place("person-new", "it", at("/admin-console/accounts/new/", "form")),
    Place("groups", "it", at("/admin-console/accounts/groups/")),
    Place("audit", "it", at("/audit/", "table")),
    Place("broken-glass", "it", at("/audit/broken-glass/")),
    Place("archive", "archivist", at("/archive/", "#live")),
    Place("archive-alarms", "archivist", at("/archive/alarms/", "#live")),
    Place("archive-jobs", "archivist", at("/archive/jobs/", "#live")),
    Place("archive-recalls", "archivist", at("/archive/recalls/", "#live")),
    Place("archive-mounts", "archivist", at("/archive/mounts/", "#live")),
    Place("archive-volumes", "archivist", at("/archive/volumes/", "#live")),
    Place("archive-evictions", "archivist", at("/archive/evictions/", "#live")),
    Place("archive-rules", "archivist", at("/archive/rules/")),
    Place("archive-rule", "archivist", at("/archive/rules/new/")),
    Place("archive-holds", "archivist", at("/archive/holds/")),
    Place("archive-watermarks", "archivist", at("/archive/watermarks/")),
    Place("archive-schedule", "archivist", at("/archive/schedule/")),
    Place("archive-acts", "archivist", at("/archive/acts/", "#live")),
)
