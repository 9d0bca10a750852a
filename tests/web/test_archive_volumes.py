"""The operator's volumes: listed, looked at, labelled, acted upon, and put into drives."""

from __future__ import annotations

import pytest
from django.test import Client

from pacs_web.archive.mount_pages import requested
from pacs_web.audit.models import AuditEvent
from tests.web.archive_answers import NOW, VOLUME, Archive
from tests.web.audited import without_trace

pytestmark = pytest.mark.usefixtures("nodes")
PAGE = "/archive/volumes/"
ONE = f"{PAGE}vault-1/A00001/"
MOUNTS = "/archive/mounts/"
SCRUB = "Every copy on it is read whole"


def text_of(client: Client, address: str = PAGE) -> str:
    """Return a page with its spaces joined."""
    return " ".join(client.get(address).content.decode().split())


def wanted(volume: str, number: int = 1, drive: int | None = 1) -> dict:
    """Return a request to insert a volume."""
    asked = {"id": number, "vault": "vault-1", "volume": volume, "drive": drive, "asked_at": NOW}
    return asked | {"jobs": 3, "for": ["clinician"]}


class TestList:
    def test_shows_fill_state_place_and_bad_copies(
        self, archive: Archive, operator: Client
    ) -> None:
        archive.shelf.volumes += [
            VOLUME | {"label": "A00002", "state": "suspect", "bad_copies": 2},
            VOLUME | {"label": "A00003", "drive": 0},
            VOLUME | {"label": "A00004", "state": "exported", "slot": None},
        ]
        page = text_of(operator)
        for shown in ("A00001", "slot 3", "12.0 MB / 35.0 GB", "suspect", "2 bad", "drive 0"):
            assert shown in page
        assert "on the shelf</td>" in page

    def test_names_a_vault_that_is_missing_and_shows_the_others(
        self, archive: Archive, operator: Client
    ) -> None:
        archive.shelf.missing["off-site"] = "/mnt/off-site is not mounted"
        page = text_of(operator)
        assert "Vault off-site does not answer." in page
        assert "/mnt/off-site is not mounted" in page
        assert "A00001" in page

    def test_finds_by_label_vault_and_state(self, archive: Archive, operator: Client) -> None:
        archive.shelf.volumes.append(VOLUME | {"label": "B00007", "vault": "v2", "state": "full"})
        for query in ("label=b0", "vault=v2", "state=full"):
            page = text_of(operator, f"{PAGE}?{query}")
            assert "B00007" in page and "A00001" not in page, query
        assert "No volume matches" in text_of(operator, f"{PAGE}?label=C")

    def test_turns_pages(self, archive: Archive, operator: Client) -> None:
        archive.shelf.volumes[:] = [VOLUME | {"label": f"A{n:05}"} for n in range(150)]
        first, second = text_of(operator), text_of(operator, f"{PAGE}?page=2&state=filling")
        assert "A00099" in first and "A00100" not in first
        assert "A00100" in second and "A00099" not in second
        assert 'href="?state=filling&amp;page=1"' in second


class TestOne:
    def test_shows_its_copies_and_what_is_wrong_with_them(
        self, archive: Archive, operator: Client
    ) -> None:
        copy = {"node": "CT", "study_uid": "1.2.3", "member": "m", "instances": 60}
        copy |= {"size_bytes": 10, "key_id": "", "written_at": NOW, "scrubbed_at": None}
        archive.shelf.copies[:] = [
            copy | {"verified_at": None, "problem": ""},
            copy | {"verified_at": NOW, "problem": "a digest differs", "key_id": "k1"},
        ]
        page = text_of(operator, ONE)
        for shown in ("1.2.3", "not yet", "a digest differs", "encrypted, key k1", "2 copies"):
            assert shown in page

    def test_is_unknown_where_its_vault_has_none_such(
        self, archive: Archive, operator: Client
    ) -> None:
        page = text_of(operator, f"{PAGE}vault-1/Z9/")
        assert "The archive does not know this" in page

    @pytest.mark.parametrize("action", ["scrub", "suspect", "shelve", "evacuate"])
    def test_is_acted_upon_once_it_is_said_what_happens(
        self, archive: Archive, operator: Client, action: str
    ) -> None:
        assert f'hx-get="{ONE}{action}/"' in text_of(operator, ONE)
        asked = operator.get(f"{ONE}{action}/", headers={"HX-Request": "true"}).content.decode()
        assert 'id="ask-title"' in asked and "<html" not in asked
        assert "<html" in operator.get(f"{ONE}{action}/").content.decode()
        assert not archive.shelf.done
        operator.post(f"{ONE}{action}/")
        assert archive.shelf.done == [(action, "A00001")]
        row = AuditEvent.objects.get(action="archive")
        assert without_trace(row.detail) == {
            "what": "volume",
            "act": action,
            "vault": "vault-1",
            "volume": "A00001",
        }

    def test_says_in_the_question_what_happens(self, archive: Archive, operator: Client) -> None:
        assert SCRUB in text_of(operator, f"{ONE}scrub/")
        assert "while a good copy lies on it alone" in text_of(operator, f"{ONE}retire/")

    def test_is_not_retired_while_the_archive_refuses(
        self, archive: Archive, operator: Client
    ) -> None:
        assert f"{ONE}retire/" not in text_of(operator, ONE)
        page = operator.post(f"{ONE}retire/", follow=True).content.decode()
        assert "a good copy lies on A00001 alone" in page
        assert AuditEvent.objects.get(action="archive").result == "failed"

    def test_knows_no_other_act(self, archive: Archive, operator: Client) -> None:
        assert operator.post(f"{ONE}explode/").status_code == 404

    def test_comes_back_from_the_shelf_by_its_barcode(
        self, archive: Archive, operator: Client
    ) -> None:
        archive.shelf.volumes[0] |= {"state": "exported", "slot": None}
        assert "Put it back into the library" in text_of(operator, ONE)
        wrong = operator.post(f"{ONE}insert/", {"barcode": "A00009"}, follow=True)
        assert "that is A00009, not A00001" in wrong.content.decode()
        right = operator.post(f"{ONE}insert/", {"barcode": "A00001"}, follow=True)
        assert "Volume A00001 is in the library again." in right.content.decode()
        assert archive.shelf.volumes[0]["slot"] == 7

    def test_has_a_label_to_print(self, archive: Archive, operator: Client) -> None:
        page = text_of(operator, f"{ONE}label/")
        assert 'aria-label="Bar code of A00001"' in page
        assert page.count('height="60"/>') == 5 * len("*A00001*")

    def test_a_label_that_no_bar_code_can_write_is_told_so(
        self, archive: Archive, operator: Client
    ) -> None:
        assert "cannot write" in text_of(operator, f"{PAGE}vault-1/é/label/")


class TestMounts:
    def test_says_what_goes_where_for_whom(self, archive: Archive, operator: Client) -> None:
        archive.shelf.mounts += [wanted("A00012"), wanted("A00013", 2, None)]
        page = text_of(operator, MOUNTS)
        assert "Insert volume A00012 into drive 1" in page
        assert "Insert volume A00013</h2>" in page
        assert '<span class="tag">clinician</span>' in page
        assert "autofocus required" in page

    def test_a_scan_confirms_it_and_is_audited(self, archive: Archive, operator: Client) -> None:
        archive.shelf.mounts += [wanted("A00011", 1), wanted("A00012", 2)]
        page = operator.post(MOUNTS, {"barcode": "a00012"}, follow=True).content.decode()
        assert "Thank you: volume A00012 is in its place." in page
        assert [one["volume"] for one in archive.shelf.mounts] == ["A00011"]
        row = AuditEvent.objects.get(action="archive")
        assert without_trace(row.detail) == {
            "what": "mount",
            "vault": "vault-1",
            "volume": "A00012",
        } | {"barcode": "a00012"}

    def test_a_wrong_volume_is_told_clearly_and_nothing_is_confirmed(
        self, archive: Archive, operator: Client
    ) -> None:
        archive.shelf.mounts.append(wanted("A00012"))
        answer = operator.post(MOUNTS, {"barcode": "A00013"})
        page = " ".join(answer.content.decode().split())
        assert answer.status_code == 409
        assert "A00013 is not what is asked for" in page
        assert '<strong class="mono">A00012</strong> (drive 1)' in page
        assert 'role="alert"' in page
        assert len(archive.shelf.mounts) == 1
        assert AuditEvent.objects.get(action="archive").result == "failed"

    def test_what_the_library_itself_finds_wrong_is_told(
        self, archive: Archive, operator: Client
    ) -> None:
        archive.shelf.mounts.append(wanted("A00012") | {"id": 1})
        archive.shelf.mounts[0]["volume"] = "A00012"
        archive.broken = "slot 3 is empty"
        page = operator.post(MOUNTS, {"barcode": "A00012"}).content.decode()
        assert "slot 3 is empty" in page

    def test_an_empty_scan_is_told_so(self, archive: Archive, operator: Client) -> None:
        assert operator.post(MOUNTS, {"barcode": " "}).status_code == 409

    def test_nobody_waiting_is_a_page_too(self, archive: Archive, operator: Client) -> None:
        assert "Nobody waits for a volume" in text_of(operator, MOUNTS)


@pytest.mark.parametrize(
    ("barcode", "label"),
    [("A00012", "A00012"), (" a00012 ", "A00012"), ("A00012L6", "A00012"), ("A0001", None)],
)
def test_a_barcode_may_name_the_kind_of_medium_behind_the_label(
    barcode: str, label: str | None
) -> None:
    found = requested(barcode, [wanted("A00011"), wanted("A00012", 2)])
    assert (found and found["volume"]) == label
