"""Is the node alive, ready, and how is it: what it tells, and what it never tells."""

from __future__ import annotations

import dataclasses
import os
import socket
from datetime import UTC, datetime

import pytest
from django.db import OperationalError
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from dicom_node.api import dicom_tls, health
from dicom_node.models import Instance, Study
from pacs_common import VERSION
from tests.node.objects import SERIES, ct, put_away
from tests.support.certificates import Authority


@pytest.fixture
def anybody() -> Client:
    return Client()


@pytest.fixture
def configured(monkeypatch):
    """Change the node's settings for one test: `configured(dicom_port=1)`."""

    def configured(**changes: object) -> None:
        config = dataclasses.replace(health.CONFIG, **changes)
        monkeypatch.setattr(health, "CONFIG", config)

    return configured


@pytest.fixture
def listening(configured):
    """A DICOM port that is served."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        configured(dicom_port=server.getsockname()[1])
        yield


def test_a_living_node_says_so(anybody):
    assert anybody.get("/healthz").json() == {"status": "alive"}


def test_a_node_that_can_take_find_and_serve_is_ready(layout, db, anybody, listening):
    answer = anybody.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"ready": True, "reasons": []})


def test_a_node_whose_dicom_port_is_not_served_is_not_ready(layout, db, anybody, configured):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    configured(dicom_port=port)
    answer = anybody.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["reasons"] == [f"nothing listens on the DICOM port {port}"]


def test_a_node_whose_tls_port_is_not_served_is_not_ready(
    layout, db, anybody, listening, configured
):
    config = health.CONFIG
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        configured(dicom_port=config.dicom_port, tls=dataclasses.replace(config.tls, port=port))
        assert anybody.get("/readyz").status_code == 200
    answer = anybody.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["reasons"] == [f"nothing listens on the DICOM TLS port {port}"]


def test_asking_for_the_port_disturbs_no_association(layout, db, anybody, configured):
    with socket.create_server(("127.0.0.1", 0)) as server:
        configured(dicom_port=server.getsockname()[1])
        anybody.get("/readyz")
        server.settimeout(0.05)
        with pytest.raises(TimeoutError):
            server.accept()


def test_a_full_disk_is_a_reason(layout, db, anybody, listening, configured):
    configured(dicom_port=health.CONFIG.dicom_port, reserve_bytes=1 << 60)
    answer = anybody.get("/readyz")
    assert answer.status_code == 503
    (reason,) = answer.json()["reasons"]
    assert "reserved" in reason


def test_an_index_that_does_not_answer_is_a_reason_of_one_line(
    layout, db, anybody, listening, monkeypatch
):
    def away(*args: object) -> None:
        raise OperationalError("could not connect\n\tto server at 10.0.0.1\n")

    monkeypatch.setattr(Study.objects, "exists", away, raising=False)
    (reason,) = anybody.get("/readyz").json()["reasons"]
    assert reason == "the index does not answer: could not connect to server at 10.0.0.1"


def test_every_reason_is_told_at_once(layout, db, anybody, configured):
    configured(dicom_port=1, reserve_bytes=1 << 60)
    assert len(anybody.get("/readyz").json()["reasons"]) == 2


def test_metrics_are_prometheus_and_tell_nothing_of_patients(take, anybody, layout):
    take(ct(1))
    take(ct(2))
    put_away(layout, f"{SERIES}.1")
    answer = anybody.get("/metrics")
    text = answer.content.decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    objects = {s.labels["kind"]: s.value for s in families["argens_node_objects"].samples}
    assert objects == {
        "studies": 1,
        "series": 1,
        "instances": 2,
        "evicted": 1,
        "quarantined": 0,
        "damaged": 0,
        "rejected": 0,
        "non_patient": 0,
    }
    disk = {s.labels["use"]: s.value for s in families["argens_node_disk_bytes"].samples}
    assert set(disk) == {"total", "free", "stored", "reserve"}
    for secret in ("Lef", "FR-1", "1950", "A100", SERIES):
        assert secret not in text
    assert "text/plain" in answer["Content-Type"]


def test_the_nodes_account_has_the_agreed_shape(take, layout, ticket):
    client = Client(headers={"Authorization": f"Bearer {ticket('status')}"})
    assert client.get("/api/node").json()["last_arrival_at"] is None
    take(ct(1))
    take(ct(2))
    other = ct(2)
    other.PixelData = bytes(512)
    take(other)
    put_away(layout, f"{SERIES}.1")
    found = client.get("/api/node").json()
    assert list(found) == [
        *("name", "ae_title", "version", "dicom_port", "dicom_tls", "default_issuer"),
        *("started_at", "last_arrival_at"),
        *("disk", "counts", "arrivals", "single_copy_studies", "renditions", "rescue"),
        *("take_over", "problems"),
    ]
    assert list(found["arrivals"]) == ["days", "instances", "bytes", "bytes_a_day"]
    nothing = {"images": 0, "original_bytes": 0, "rendition_bytes": 0, "saved_bytes": 0}
    assert found["renditions"] == {"mode": "cache", **nothing}
    assert (found["name"], found["ae_title"], found["version"]) == ("CT", "ARGENS_CT", VERSION)
    assert found["last_arrival_at"] == Study.objects.get().last_arrival_at.isoformat()
    assert found["started_at"].endswith("+00:00")
    assert found["counts"] == {
        "studies": 1,
        "series": 1,
        "instances": 2,
        "evicted": 1,
        "quarantined": 1,
        "damaged": 0,
        "rejected": 0,
        "non_patient": 0,
    }
    assert list(found["disk"]) == ["total_bytes", "free_bytes", "stored_bytes", "reserve_bytes"]
    assert found["disk"]["stored_bytes"] == Instance.objects.get(uid=f"{SERIES}.2").size_bytes
    disk = os.statvfs(layout.objects)
    assert found["disk"]["total_bytes"] == disk.f_blocks * disk.f_frsize


def test_the_account_tells_whose_the_dicom_tls_certificate_is_and_when_it_ends(
    tmp_path, monkeypatch
):
    paper = Authority(tmp_path).issue("ct.hospital", days=12)
    tls = dataclasses.replace(dicom_tls.CONFIG.tls, port=2762, certificate=paper.certificate)
    monkeypatch.setattr(dicom_tls, "CONFIG", dataclasses.replace(dicom_tls.CONFIG, tls=tls))
    told = dicom_tls.certificate()
    assert (told["subject"], told["issuer"]) == ("CN=ct.hospital", "CN=Authority")
    assert (datetime.fromisoformat(told["not_after"]) - datetime.now(UTC)).days == 11
    paper.certificate.write_text("broken")
    assert dicom_tls.certificate() is None


def test_the_account_tells_of_no_certificate_where_the_tls_port_is_off(tmp_path, monkeypatch):
    paper = Authority(tmp_path).issue("ct.hospital")
    tls = dataclasses.replace(dicom_tls.CONFIG.tls, port=0, certificate=paper.certificate)
    monkeypatch.setattr(dicom_tls, "CONFIG", dataclasses.replace(dicom_tls.CONFIG, tls=tls))
    assert dicom_tls.certificate() is None
