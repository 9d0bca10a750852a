"""The full viewer's page and files: who gets them, how they are kept, what they may load."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import brotli
import pytest
from django.test import Client

from pacs_web import config, full_viewer
from pacs_web.full_viewer.release import FILES, MANIFEST
from tests.web.made_studies import CT_STUDY, RF_STUDY

SCRIPT = f"{FILES}app.bundle.0123456789abcdef0123.js"


def body(response) -> bytes:
    return b"".join(response.streaming_content)


class TestLinks:
    def test_it_is_installed_only_where_its_release_is_whole(self, small_viewer: Path) -> None:
        assert full_viewer.installed()
        (small_viewer / MANIFEST).unlink()
        assert not full_viewer.installed()

    def test_another_release_is_none(
        self, small_viewer: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(config, "VIEWER_DIR", small_viewer)
        assert not full_viewer.installed()

    def test_several_studies_have_one_address(self) -> None:
        address = full_viewer.address([CT_STUDY, RF_STUDY])
        asked = f"StudyInstanceUIDs={CT_STUDY},{RF_STUDY}&hangingProtocolId=argensCompare"
        assert address == f"/viewer/viewer?{asked}"

    def test_an_address_may_name_the_image_to_begin_with(self) -> None:
        address = full_viewer.address([CT_STUDY], "1.2.3", "1.2.3.4")
        assert address.endswith("&initialSeriesInstanceUID=1.2.3&initialSopInstanceUID=1.2.3.4")


class TestWhoLinksToIt:
    ADDRESS = f'href="/viewer/viewer?StudyInstanceUIDs={CT_STUDY}"'

    @pytest.mark.usefixtures("nodes", "small_viewer")
    def test_an_exams_page_and_a_list_of_exams_do(self, clinician: Client) -> None:
        assert self.ADDRESS in clinician.get(f"/studies/{CT_STUDY}/").content.decode()
        found = clinician.post("/", {"servers": ["CT", "RF"]}, follow=True)
        assert self.ADDRESS in found.content.decode()

    @pytest.mark.usefixtures("nodes")
    def test_nobody_does_while_it_is_not_installed(self, clinician: Client) -> None:
        assert "/viewer/viewer" not in clinician.get(f"/studies/{CT_STUDY}/").content.decode()


class TestPage:
    @pytest.mark.parametrize("place", ["viewer", "segmentation", "notfoundstudy"])
    def test_every_inner_address_is_the_one_page(
        self, small_viewer: Path, clinician: Client, place: str
    ) -> None:
        response = clinician.get(f"/viewer/{place}?StudyInstanceUIDs={CT_STUDY}")
        assert response.status_code == 200
        assert SCRIPT in response.content.decode()
        assert response["Cache-Control"] == "no-store"

    def test_its_own_list_is_for_those_who_upload(
        self, small_viewer: Path, browser: Callable[[str], Client]
    ) -> None:
        assert browser("technologist").get("/viewer/").status_code == 200
        assert browser("clinician").get("/viewer/")["Location"] == "/"

    def test_what_looks_like_a_file_is_not_the_page(
        self, small_viewer: Path, clinician: Client
    ) -> None:
        assert clinician.get("/viewer/sw.js").status_code == 404

    def test_a_stranger_comes_back_to_it_after_the_login(
        self, small_viewer: Path, client: Client, db: None
    ) -> None:
        response = client.get(f"/viewer/viewer?StudyInstanceUIDs={CT_STUDY}")
        assert response.status_code == 302
        assert response["Location"] == (
            f"/login/?next=/viewer/viewer%3FStudyInstanceUIDs%3D{CT_STUDY}"
        )

    def test_it_may_load_from_here_alone_and_run_no_script_written_into_it(
        self, small_viewer: Path, clinician: Client
    ) -> None:
        response = clinician.get("/viewer/viewer")
        rules = dict(rule.split(" ", 1) for rule in response["Content-Security-Policy"].split("; "))
        assert rules["default-src"] == "'none'"
        assert rules["script-src"] == "'self' 'wasm-unsafe-eval'"
        assert "http" not in response["Content-Security-Policy"]
        assert "<script>" not in response.content.decode()
        assert response["X-Content-Type-Options"] == "nosniff"

    def test_other_pages_stay_strict(self, small_viewer: Path, clinician: Client) -> None:
        policy = clinician.get("/")["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert "wasm" not in policy

    @pytest.mark.parametrize(
        ("group", "may_store", "may_upload"),
        [("clinician", "yes", "no"), ("technologist", "yes", "yes")],
    )
    def test_it_is_told_what_the_person_may_do(
        self,
        small_viewer: Path,
        browser: Callable[[str], Client],
        group: str,
        may_store: str,
        may_upload: str,
    ) -> None:
        page = browser(group).get("/viewer/viewer").content.decode()
        assert f'data-may-store="{may_store}"' in page
        assert f'data-may-upload="{may_upload}"' in page

    def test_it_gives_the_token_that_storing_needs(
        self, small_viewer: Path, clinician: Client
    ) -> None:
        assert clinician.get("/viewer/viewer").cookies["argens_csrf"].value

    def test_without_an_installed_viewer_it_says_how_to_install_one(
        self, clinician: Client
    ) -> None:
        response = clinician.get("/viewer/viewer")
        assert response.status_code == 404
        assert "install-viewer" in response.content.decode()


class TestFiles:
    @pytest.mark.parametrize(
        ("name", "kind"),
        [
            ("app.bundle.0123456789abcdef0123.js", "text/javascript"),
            ("app.bundle.css", "text/css"),
            ("0123456789abcdef0123.wasm", "application/wasm"),
        ],
    )
    def test_each_kind_says_what_it_is_and_may_be_kept(
        self, small_viewer: Path, clinician: Client, name: str, kind: str
    ) -> None:
        response = clinician.get(f"{FILES}{name}")
        assert response["Content-Type"].split(";")[0] == kind
        assert "immutable" in response["Cache-Control"]
        assert response["X-Content-Type-Options"] == "nosniff"
        assert body(response) == (small_viewer / name).read_bytes()

    @pytest.mark.parametrize(
        ("accepted", "encoding", "decoded"),
        [("gzip, deflate, br", "br", brotli.decompress), ("gzip", "gzip", gzip.decompress)],
    )
    def test_it_comes_compressed_as_the_browser_takes_it(
        self,
        small_viewer: Path,
        clinician: Client,
        accepted: str,
        encoding: str,
        decoded: Callable[[bytes], bytes],
    ) -> None:
        response = clinician.get(SCRIPT, headers={"Accept-Encoding": accepted})
        assert response["Content-Encoding"] == encoding
        assert "Accept-Encoding" in response["Vary"]
        assert decoded(body(response)) == (small_viewer / SCRIPT.rpartition("/")[2]).read_bytes()

    def test_a_kept_file_is_not_sent_again(self, small_viewer: Path, clinician: Client) -> None:
        first = clinician.get(SCRIPT)
        first.close()
        response = clinician.get(SCRIPT, headers={"If-None-Match": first["ETag"]})
        assert response.status_code == 304

    def test_a_worker_may_make_functions_of_text_and_reach_nothing_else(
        self, small_viewer: Path, clinician: Client
    ) -> None:
        response = clinician.get(SCRIPT)
        response.close()
        policy = response["Content-Security-Policy"]
        assert "'unsafe-eval'" in policy
        assert "connect-src 'self'" in policy

    @pytest.mark.parametrize(
        "path", ["../release.json", "..%2f..%2fportal.sqlite3", "nothing.js", "", "%00"]
    )
    def test_there_is_nothing_beside_the_release(
        self, small_viewer: Path, clinician: Client, path: str
    ) -> None:
        assert clinician.get(f"{FILES}{path}").status_code == 404

    def test_an_older_release_is_gone(self, small_viewer: Path, clinician: Client) -> None:
        assert clinician.get("/viewer/files/ohif-1.0.0-recipe-1/app.bundle.css").status_code == 404


def test_a_session_that_ended_is_told_so_without_a_redirect(
    clinician: Client, client: Client, db: None
) -> None:
    assert clinician.get("/viewer/alive").status_code == 204
    assert client.get("/viewer/alive").status_code == 401
