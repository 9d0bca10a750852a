"""What is taken along: honest names, whole files, and nothing that only looks whole."""

from __future__ import annotations

import io
import json
import socket
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import httpx
import pydicom.config
import pytest
from django.test import Client

from pacs_web import config
from pacs_web.nodes.models import Node
from tests.web.made_studies import CT_STUDY, ct_study, instance
from tests.web.node_stand_in import Behaviour, StandIn, node_stand_in
from tests.web.test_role import running

pytestmark = pytest.mark.slow

PAGE = f"/studies/{CT_STUDY}/"


def names_in(response) -> list[str]:
    """Return the names of a streamed ZIP's members."""
    content = io.BytesIO(b"".join(response.streaming_content))
    with zipfile.ZipFile(content) as archive:
        return archive.namelist()


@pytest.mark.parametrize("modality", ["../../etc", "C/T", "..", "CT\r\nX: y", 'C"T', "é"])
def test_no_header_of_a_file_leads_out_of_the_zip_or_into_an_answers_header(
    nodes: dict[str, StandIn],
    clinician: Client,
    modality: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pydicom.config.settings, "writing_validation_mode", pydicom.config.IGNORE)
    monkeypatch.setattr(pydicom.config.settings, "reading_validation_mode", pydicom.config.IGNORE)
    for one in nodes["CT"].instances:
        del one.Modality, one.StudyDate
        one.Modality = modality
        one.StudyDate = '2026"; filename="x.exe'
    response = clinician.get(f"{PAGE}download/")
    assert response.status_code == 200
    assert response["Content-Disposition"].count('"') == 2
    assert response["Content-Disposition"].isascii()
    for name in names_in(response):
        folder, _slash, file = name.partition("/")
        assert "/" not in file and "\\" not in name and ".." not in name
        assert folder.startswith("series-001-") and name.isprintable() and name.isascii()


def test_every_file_has_a_name_of_its_own_though_numbers_repeat(
    nodes: dict[str, StandIn], clinician: Client
) -> None:
    for one in nodes["CT"].instances:
        one.InstanceNumber = 1
    names = names_in(clinician.get(f"{PAGE}download/"))
    assert len(names) == len(set(names)) == 5


def test_an_exam_whose_server_is_silent_is_marked_incomplete_in_name_and_content(
    nodes: object, register: Callable[[SimpleNamespace], Node], clinician: Client
) -> None:
    register(SimpleNamespace(name="DEAD", url="http://127.0.0.1:9"))
    response = clinician.get(f"{PAGE}download/")
    assert "INCOMPLETE" in response["Content-Disposition"]
    content = io.BytesIO(b"".join(response.streaming_content))
    with zipfile.ZipFile(content) as archive:
        assert len(archive.namelist()) == 6
        assert b"DEAD" in archive.read("INCOMPLETE.TXT")


def test_a_series_is_whole_though_another_server_is_silent(
    nodes: object, register: Callable[[SimpleNamespace], Node], clinician: Client
) -> None:
    register(SimpleNamespace(name="DEAD", url="http://127.0.0.1:9"))
    response = clinician.get(f"{PAGE}series/{CT_STUDY}.1/download/")
    assert "INCOMPLETE" not in response["Content-Disposition"]
    assert len(names_in(response)) == 5


def test_asking_only_for_the_head_fetches_no_file(ct: StandIn, clinician: Client) -> None:
    response = clinician.head(f"{PAGE}download/")
    response.close()
    assert response.status_code == 200
    assert not [asked for asked in ct.asked if "/instances/" in asked]


def test_a_download_that_a_node_breaks_off_reaches_nobody_as_a_whole_one(tmp_path: Path) -> None:
    trust = tmp_path / "trust"
    trust.mkdir()
    accounts = tmp_path / "accounts.json"
    behaviour = Behaviour(breaks_off=f"{CT_STUDY}.1.3")
    with node_stand_in("CT", ct_study(), trust, behaviour) as node:
        env = {
            "PACS_NODES": f"CT={node.url}",
            "PACS_TRUST_DIR": str(trust),
            "PACS_DEMO_ACCOUNTS_FILE": str(accounts),
        }
        with running(tmp_path, **env) as address, httpx.Client(trust_env=False) as person:
            log_in(person, address, json.loads(accounts.read_text())["clinician"]["password"])
            with (
                pytest.raises(httpx.RemoteProtocolError),
                person.stream("GET", f"{address}{PAGE}download/") as answer,
            ):
                assert answer.status_code == 200
                for _block in answer.iter_bytes():
                    pass
            head = raw_head(address, f"{PAGE}series/{CT_STUDY}.1/thumbnail", person)
    assert head.startswith(b"HTTP/1.1 200")
    assert head.endswith(b"\r\n\r\n")


def log_in(person: httpx.Client, address: str, password: str) -> None:
    page = person.get(f"{address}/login/").text
    token = page.split('name="csrfmiddlewaretoken" value="')[1].split('"')[0]
    said = {"csrfmiddlewaretoken": token, "username": "clinician", "password": password}
    assert person.post(f"{address}/login/", data=said).status_code == 302


def raw_head(address: str, path: str, person: httpx.Client) -> bytes:
    """Return all that is sent back for a HEAD request."""
    host, port = address.removeprefix("http://").split(":")
    cookie = f"argens_session={person.cookies['argens_session']}"
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(
            f"HEAD {path} HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\n"
            "Connection: close\r\n\r\n".encode()
        )
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_an_exam_without_a_date_has_a_plain_name(
    register: Callable[[StandIn], Node], clinician: Client
) -> None:
    bare = instance("1.2.3", 1, 1, "SR")
    del bare.StudyDate
    with node_stand_in("BARE", [bare], config.TRUST_DIR) as node:
        register(node)
        response = clinician.get("/studies/1.2.3/download/")
        assert 'filename="exam-undated-SR.zip"' in response["Content-Disposition"]
        assert names_in(response) == ["series-001-SR-1.2.3.1/00001-1.2.3.1.1.dcm"]
