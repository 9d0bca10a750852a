"""A spare PC in the place of a dead node: what is checked first, and what is told until the end."""

from __future__ import annotations

import dataclasses
import importlib
import socket
from contextlib import closing
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import Client

from dicom_node.api import restoring
from dicom_node.custody import replacing
from dicom_node.management import taking_over
from dicom_node.store.layout import Layout
from tests.node.objects import ct
from tests.support.ports import free_port

AWAY = "127.0.0.1"


@pytest.fixture
def spare(layout: Layout, tmp_path: Path, monkeypatch):
    """An empty node that trusts the portal and the archive; nothing listens at its ports."""
    layout.take_over.unlink(missing_ok=True)
    trust = tmp_path / "trust"
    trust.mkdir()
    for issuer in taking_over.ISSUERS:
        (trust / f"{issuer}.pub.pem").write_text("key")
    config = dataclasses.replace(
        restoring.CONFIG, dicom_bind=AWAY, dicom_port=free_port(), http_port=free_port(),
        trust_dir=trust,
    )  # fmt: skip
    command = importlib.import_module("dicom_node.management.commands.take-over")
    monkeypatch.setattr(command, "CONFIG", config)
    yield config
    layout.take_over.unlink(missing_ok=True)


def take_over(*options: str, name: str = "CT") -> None:
    call_command("take-over", name, "--prepare-only", *options)


def test_a_spare_is_marked_until_the_archive_has_refilled_it(spare, db, ticket, layout):
    take_over()
    mark = replacing.under_way(layout)
    told = Client().get("/api/node", headers=bearer(ticket("status"))).json()
    assert told["take_over"] == mark
    warned = Client().get("/dicom-web/studies", headers=bearer(ticket("dicomweb")))
    assert "not back yet" in warned["Warning"]
    address = f"/api/custody/take-over/{mark['id']}/end"
    for ended in (True, False):  # the archive may have to say it twice
        answer = post(address, ticket("custody.restore"))
        assert (answer.status_code, answer.json()) == (200, {"ended": ended})
    quiet = Client().get("/dicom-web/studies", headers=bearer(ticket("dicomweb")))
    assert "Warning" not in quiet


def test_the_end_of_another_take_over_changes_nothing(spare, db, ticket, layout):
    take_over()
    assert post("/api/custody/take-over/other/end", ticket("custody.restore")).status_code == 404
    assert replacing.under_way(layout) is not None


@pytest.mark.parametrize("missing", [-1, True, "3"])
def test_a_number_of_missing_studies_that_is_none_is_refused(spare, db, ticket, layout, missing):
    take_over()
    address = f"/api/custody/take-over/{replacing.under_way(layout)['id']}/end"
    answer = post(address, ticket("custody.restore"), {"missing": missing})
    assert answer.status_code == 400


def test_a_mark_that_cannot_be_read_has_the_node_refilled(layout):
    layout.take_over.write_text("{")
    mark = replacing.under_way(layout)
    assert mark is not None and replacing.end(layout, mark["id"], 0, "archive")
    assert replacing.under_way(layout) is None


@pytest.mark.parametrize("port", ["dicom_port", "http_port"])
def test_whoever_answers_at_the_old_address_is_not_replaced(spare, layout, port):
    with closing(socket.create_server((AWAY, getattr(spare, port)))):
        refused("something answers at 127.0.0.1")
    assert replacing.under_way(layout) is None


def test_another_name_than_the_settings_is_refused(spare):
    refused("of CT \\(PACS_NODE_NAME\\), not of RF", name="RF")


def test_without_an_address_of_its_own_the_old_one_is_asked_for(spare, monkeypatch):
    anywhere = dataclasses.replace(spare, dicom_bind="0.0.0.0")
    with pytest.raises(taking_over.BadInput, match="name the address of the dead node"):
        taking_over.require_silence(anywhere, "")
    taking_over.require_silence(anywhere, AWAY)


def test_a_node_with_a_past_replaces_nobody(spare, take, layout):
    take(ct(1))
    refused("is not empty: take over with a new PACS_DATA_DIR")


def test_one_that_was_begun_goes_on(spare, take, layout):
    take_over()
    mark = replacing.under_way(layout)
    take(ct(1))
    take_over()
    assert replacing.under_way(layout) == mark


def test_a_spare_that_believes_nobody_is_told_what_it_lacks(spare):
    (spare.trust_dir / "archive.pub.pem").unlink()
    refused("archive.pub.pem is not in .*--from FOLDER")


def test_keys_and_lists_are_carried_along(spare, layout, tmp_path, capsys):
    envelope = tmp_path / "envelope"
    envelope.mkdir()
    (envelope / "archive.pub.pem").write_text("another key")
    (envelope / "forwarding.json").write_text('{"rules": []}')
    take_over("--from", str(envelope))
    assert "brought along: archive.pub.pem, forwarding.json" in capsys.readouterr().out
    assert (spare.trust_dir / "archive.pub.pem").read_text() == "another key"
    assert layout.forwarding_rules.read_text() == '{"rules": []}'
    layout.forwarding_rules.unlink()


def test_a_list_that_is_not_json_is_not_carried(spare, layout, tmp_path):
    (tmp_path / "peers.json").write_text("{")
    refused("peers.json is not JSON", "--from", str(tmp_path))
    assert not layout.peers.exists()
    refused("is no folder", "--from", str(tmp_path / "nowhere"))


def refused(why: str, *options: str, name: str = "CT") -> None:
    with pytest.raises(CommandError, match=why):
        take_over(*options, name=name)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def post(address: str, token: str, body: dict | None = None):
    return Client().post(
        address, body or {"missing": 0}, content_type="application/json", headers=bearer(token)
    )
