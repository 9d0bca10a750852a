"""The rescue page: a sealed account, and what this node holds while the portal is down."""

from __future__ import annotations

import json
import shutil
import stat
from collections.abc import Iterator

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import Client
from django.urls import get_resolver

from dicom_node.config import CONFIG
from dicom_node.sealed import account
from dicom_node.sealed.lockout import Lockout
from dicom_node.sealed.sessions import Sessions
from dicom_node.store.layout import Layout
from pacs_common import kept_files
from tests.node.objects import SERIES, STUDY, ct, without_pixels

pytestmark = pytest.mark.slow

IMAGE = f"{SERIES}.1"
AT = f"/rescue/studies/{STUDY}/series/{SERIES}/instances/{IMAGE}/"
PAGES = (
    "/rescue/",
    f"/rescue/studies/{STUDY}/",
    f"/rescue/studies/{STUDY}/series/{SERIES}/",
    f"/rescue/studies/{STUDY}/series/{SERIES}/thumbnail",
    AT,
    f"{AT}picture",
    f"{AT}thumbnail",
    f"{AT}header/",
)
WHO = {"person": "Dr Martin", "reason": "portal down, stroke"}


@pytest.fixture(scope="module")
def made() -> tuple[str, bytes]:
    """A passphrase and the file of its account: a hash takes long, so it is made once."""
    layout = Layout(CONFIG.data_dir)
    shutil.rmtree(layout.rescue, ignore_errors=True)
    passphrase = account.make(layout, reseal=False)
    return passphrase, layout.rescue_account.read_bytes()


@pytest.fixture
def envelope(layout: Layout, made: tuple[str, bytes]) -> Iterator[str]:
    """The passphrase of an account whose seal is whole."""
    shutil.rmtree(layout.rescue, ignore_errors=True)
    layout.rescue.mkdir(mode=0o700)
    kept_files.replace(layout.rescue_account, made[1], account.MODE)
    yield made[0]
    shutil.rmtree(layout.rescue, ignore_errors=True)


@pytest.fixture
def stored(take) -> None:
    take(ct(1))
    take(ct(2))


def log_in(passphrase: str, browser: Client | None = None, **told: str):
    """Type a passphrase; return the browser and the answer."""
    browser = browser or Client(enforce_csrf_checks=True)
    browser.get("/rescue/login/")
    token = browser.cookies["argens_rescue_csrf"].value
    form = WHO | {"passphrase": passphrase, "csrfmiddlewaretoken": token} | told
    return browser, browser.post("/rescue/login/", form)


@pytest.fixture
def inside(envelope, stored, layout) -> Client:
    """A browser with a session, as a login gives it."""
    browser = Client(enforce_csrf_checks=True)
    key = Sessions(layout, 60.0).begin(*WHO.values(), "127.0.0.1")
    browser.cookies["argens_rescue"] = key
    browser.get("/rescue/")
    return browser


def audited(kind: str) -> list[dict]:
    lines = []
    for file in sorted(Layout(CONFIG.data_dir).audit.glob("*.jsonl")):
        lines += [json.loads(line) for line in file.read_text().splitlines()]
    return [line for line in lines if line["kind"] == kind]


def test_the_addresses_are_the_pages_of_this_test():
    found = {str(one.pattern) for one in get_resolver("dicom_node.urls").url_patterns}
    named = [one for one in found if one.startswith("rescue/")]
    assert len(named) == len(PAGES) + 3  # and login, logout, style sheet


@pytest.mark.parametrize("path", [*PAGES, "/rescue/login/", "/rescue/rescue.css"])
def test_without_an_account_there_is_nothing(layout, db, path):
    shutil.rmtree(layout.rescue, ignore_errors=True)
    answer = Client().get(path)
    assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")
    assert answer.content == Client().get("/there-is-no-such-page").content


@pytest.mark.parametrize("path", PAGES)
def test_a_stranger_is_led_to_the_login(envelope, stored, path):
    for key in ("", "x" * 43, "../../account"):
        browser = Client()
        browser.cookies["argens_rescue"] = key
        answer = browser.get(path)
        assert (answer.status_code, answer["Location"]) == (302, "/rescue/login/")


@pytest.mark.parametrize("path", [*PAGES, "/rescue/login/"])
def test_every_answer_runs_nothing_loads_nothing_and_is_not_kept(inside, path):
    answer = inside.get(path)
    assert answer.status_code == 200
    policy = answer["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "script" not in policy
    assert "frame-ancestors 'none'" in policy and "unsafe" not in policy
    assert (answer["Cache-Control"], answer["X-Content-Type-Options"]) == ("no-store", "nosniff")
    if answer["Content-Type"].startswith("text/html"):
        text = answer.content.decode()
        assert "Emergency access on node CT" in text and "everything is recorded" in text
        assert "<script" not in text and "http" not in text.replace("http-equiv", "")
        assert " style=" not in text


def test_the_hash_alone_is_kept_and_by_nobody_else_to_be_read(envelope, layout):
    kept = layout.rescue_account.read_text()
    assert json.loads(kept)["hash"].startswith("$argon2id$")
    assert envelope not in kept and envelope.replace("-", "") not in kept
    assert stat.S_IMODE(layout.rescue_account.stat().st_mode) == 0o600
    assert stat.S_IMODE(layout.rescue.stat().st_mode) == 0o700


def test_a_hand_may_type_it_without_dashes_in_small_letters(envelope, db):
    assert log_in(f" {envelope.lower().replace('-', ' ')} ")[1].status_code == 302


def test_breaking_the_seal_is_told_until_it_is_resealed(envelope, db, ticket, layout, caplog):
    def told():
        headers = {"Authorization": f"Bearer {ticket('status')}"}
        return Client().get("/api/node", headers=headers).json()["rescue"]

    assert told()["opened_at"] is None
    assert b"argens_node_rescue_seal_broken 0.0" in Client().get("/metrics").content
    log_in(envelope)
    assert b"argens_node_rescue_seal_broken 1.0" in Client().get("/metrics").content
    opened_at = told()["opened_at"]
    assert opened_at is not None
    assert any("seal" in one.message and one.levelname == "ERROR" for one in caplog.records)
    log_in(envelope)
    assert told()["opened_at"] == opened_at  # the first time stands
    caplog.clear()
    account.tell(layout)  # as at each start
    assert [one.levelname for one in caplog.records] == ["ERROR"]
    account.make(layout, reseal=True)
    assert told()["opened_at"] is None
    caplog.clear()
    account.tell(layout)
    assert not caplog.records


def test_resealing_ends_what_the_old_passphrase_opened(inside, envelope, layout):
    assert inside.get("/rescue/").status_code == 200
    account.make(layout, reseal=True)
    assert inside.get("/rescue/").status_code == 302
    assert log_in(envelope)[1].status_code == 403


def test_a_reason_and_a_name_are_needed(envelope, db, layout):
    for missing in ("person", "reason"):
        answer = log_in(envelope, **{missing: " "})[1]
        assert (answer.status_code, b"both are recorded" in answer.content) == (400, True)
    assert not account.seal(layout).is_broken


def test_wrong_passphrases_lock_an_address_out_the_right_one_too(envelope, db, layout):
    lock = Lockout(layout, CONFIG.rescue_failures, CONFIG.rescue_lockout_s)
    for _ in range(CONFIG.rescue_failures - 1):
        lock.fail("127.0.0.1")
    assert log_in("WRONG-WRONG")[1].status_code == 403
    assert log_in(envelope)[1].status_code == 429
    assert len(audited("rescue-refused")) == 1
    away = Client(enforce_csrf_checks=True, REMOTE_ADDR="10.0.0.9")
    assert log_in(envelope, away)[1].status_code == 302


def test_a_lock_ends_with_time(envelope, layout):
    now = [1000.0]
    lock = Lockout(layout, 2, 60.0, lambda: now[0])
    lock.fail("a")
    assert lock.left_s("a") == 0
    lock.fail("a")
    assert (lock.left_s("a"), lock.left_s("b")) == (60, 0)
    now[0] += 61
    assert lock.left_s("a") == 0
    lock.fail("a")
    assert lock.left_s("a") == 0  # it counts from one again


def test_a_session_ends_with_time(envelope, layout):
    now = [1000.0]
    sessions = Sessions(layout, 60.0, lambda: now[0])
    key = sessions.begin("Dr", "why", "10.0.0.1")
    assert sessions.find(key).person == "Dr"
    now[0] += 61
    assert sessions.find(key) is None


def test_the_browsers_key_does_not_lie_on_the_disk(inside, layout):
    key = inside.cookies["argens_rescue"].value
    (file,) = layout.rescue_sessions.glob("*.json")
    assert key not in file.read_text() and key not in file.name


def test_the_right_passphrase_lets_in_by_a_strict_cookie(envelope, db):
    browser, answer = log_in(envelope)
    assert (answer.status_code, answer["Location"]) == (302, "/rescue/")
    assert browser.get("/rescue/").status_code == 200
    cookie = browser.cookies["argens_rescue"]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Strict", "/rescue/")
    (opened,) = audited("rescue-opened")
    assert (opened["by"], opened["person"], opened["reason"]) == ("rescue", *WHO.values())


@pytest.mark.parametrize(("origin", "status"), [("testserver", 302), ("elsewhere.test", 403)])
def test_behind_a_proxy_with_tls_forms_and_cookies_are_those_of_https(envelope, db, origin, status):
    told = {"Host": "testserver", "X-Forwarded-Proto": "https"}
    browser = Client(enforce_csrf_checks=True, headers=told | {"Origin": f"https://{origin}"})
    answer = log_in(envelope, browser)[1]
    assert answer.status_code == status
    if status == 302:
        assert browser.cookies["argens_rescue"]["secure"] is True


def test_leaving_ends_the_session(inside):
    token = inside.cookies["argens_rescue_csrf"].value
    key = inside.cookies["argens_rescue"].value
    assert inside.post("/rescue/logout/", {"csrfmiddlewaretoken": token}).status_code == 302
    inside.cookies["argens_rescue"] = key
    assert inside.get("/rescue/").status_code == 302
    assert audited("rescue-left")[-1]["person"] == "Dr Martin"


@pytest.mark.parametrize("path", ["/rescue/", "/rescue/login/", "/rescue/logout/"])
def test_a_form_from_elsewhere_is_refused_and_changes_nothing(inside, layout, path):
    answer = inside.post(path, {"name": "X", **WHO})
    assert answer.status_code == 403
    assert b"This form is too old" in answer.content
    assert inside.get("/rescue/").status_code == 200


@pytest.mark.parametrize("path", PAGES)
def test_another_method_is_405(inside, path):
    assert inside.put(path).status_code == 405


def test_every_act_is_recorded_with_who_and_why(inside):
    for path in PAGES:
        inside.get(path)
    scopes = {line["scope"] for line in audited("read") if line["by"] == "rescue"}
    assert scopes == {"exam", "images", "header"}
    line = audited("read")[0]
    assert (line["study_uid"], line["patient_id"], line["patient_issuer"]) == (
        STUDY, "FR-1", "FREJUS",
    )  # fmt: skip
    assert (line["person"], line["reason"], line["token"]) == (*WHO.values(), "rescue")
    assert audited("query")[-1]["by"] == "rescue"


def test_nothing_is_shown_that_cannot_be_recorded(inside, monkeypatch):
    monkeypatch.setattr("dicom_node.audit.note", lambda *a, **k: False)
    answer = inside.get(f"/rescue/studies/{STUDY}/series/{SERIES}/")
    assert answer.status_code == 503
    assert b"cannot write down who reads what" in answer.content


def test_nobody_enters_whom_the_audit_cannot_name(envelope, db, layout, monkeypatch):
    monkeypatch.setattr("dicom_node.audit.note", lambda *a, **k: False)
    assert log_in(envelope)[1].status_code == 503
    assert not list(layout.rescue_sessions.glob("*.json"))


def test_a_search_names_nobody_in_its_address(inside):
    token = inside.cookies["argens_rescue_csrf"].value
    form = {"name": "lefevre helene", "csrfmiddlewaretoken": token}
    answer = inside.post("/rescue/", form)
    assert answer.status_code == 302
    assert "lefevre" not in answer["Location"].lower()
    text = inside.get(answer["Location"]).content.decode()
    assert f"/rescue/studies/{STUDY}/" in text and 'value="lefevre helene"' in text
    nobody = inside.post("/rescue/", form | {"name": "Nobody"})["Location"]
    assert b"Nothing fits" in inside.get(nobody).content
    assert inside.get("/rescue/?search=unknown").status_code == 200


def test_a_search_for_what_is_no_date_is_one_line(inside):
    token = inside.cookies["argens_rescue_csrf"].value
    form = {"since": "yesterday", "csrfmiddlewaretoken": token}
    answer = inside.get(inside.post("/rescue/", form)["Location"])
    assert (answer.status_code, b"yesterday is no date" in answer.content) == (400, True)


def test_a_series_without_pictures_is_shown_by_its_modality(inside, take):
    document = without_pixels(ct(3, series=f"{SERIES}.9"))
    del document.Rows, document.Columns
    document.Modality = "SR"
    take(document)
    text = inside.get(f"/rescue/studies/{STUDY}/").content.decode()
    assert f"series/{SERIES}/thumbnail" in text
    assert f"series/{SERIES}.9/" in text and f"series/{SERIES}.9/thumbnail" not in text
    assert '<span class="series-unpictured">SR</span>' in text


def test_images_lead_to_their_neighbours(inside):
    text = inside.get(AT).content.decode()
    assert f'href="../{SERIES}.2/"' in text and "1 / 2" in text
    assert f'href="../{SERIES}.1/"' in inside.get(AT.replace(IMAGE, f"{SERIES}.2")).content.decode()


def test_a_window_is_applied_and_kept(inside):
    text = inside.get(f"{AT}?window=40,80").content.decode()
    assert "picture?window=40,80&amp;viewport=" in text
    assert inside.get(f"{AT}picture?window=40,80")["X-Picture-Window"].startswith("40")
    for nonsense in ("?window=x", "?frame=0", "?frame=99", "?frame=x"):
        assert inside.get(f"{AT}{nonsense}").status_code in (400, 404)


@pytest.mark.parametrize("uid", ["1.2.3", "..", "x", "1" * 65])
def test_what_is_not_here_is_one_line(inside, uid):
    for path in (f"/rescue/studies/{uid}/", f"/rescue/studies/{STUDY}/series/{uid}/",
                 AT.replace(IMAGE, uid), f"{AT.replace(IMAGE, uid)}header/"):  # fmt: skip
        answer = inside.get(path)
        assert answer.status_code in (400, 404)
        assert b"Traceback" not in answer.content


def test_the_pages_speak_the_browsers_language(inside):
    french = inside.get("/rescue/", headers={"Accept-Language": "fr-FR,fr;q=0.9"})
    text = french.content.decode()
    assert ('<html lang="fr"' in text, french["Content-Language"]) == (True, "fr")
    assert "tout est enregistré" in text
    other = inside.get("/rescue/", headers={"Accept-Language": "de"}).content.decode()
    assert "everything is recorded" in other


def test_the_command_prints_the_passphrase_once(layout, capsys):
    shutil.rmtree(layout.rescue, ignore_errors=True)
    call_command("rescue-account")
    first = capsys.readouterr().out
    with pytest.raises(CommandError, match="--reseal replaces it"):
        call_command("rescue-account")
    call_command("rescue-account", "--state")
    assert "the seal is whole" in capsys.readouterr().out
    call_command("rescue-account", "--reseal")
    assert capsys.readouterr().out != first
    call_command("rescue-account", "--remove")
    with pytest.raises(CommandError, match="no emergency account"):
        call_command("rescue-account", "--remove")


def test_an_account_that_cannot_be_read_opens_nothing(envelope, db, layout):
    layout.rescue_account.write_text("{")
    assert Client().get("/rescue/login/").status_code == 404
