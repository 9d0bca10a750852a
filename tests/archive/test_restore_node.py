"""An empty node gets back what the vaults hold of it, and is told what cannot be brought."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone

from archive_node import library
from archive_node.jobs import mounts, restore_waits
from archive_node.models import Copy, Hold, MountRequest, StudyFacts
from archive_node.policy.scan import scan_all
from archive_node.vault.base import VolumeState
from archive_node.vault.tape import TapeLibrary
from pacs_common import errors
from tests.archive.conftest import STUDY, run_job, unlike
from tests.archive.node_stand_in import NodeStandIn, serving
from tests.archive.vaults import (
    copied,
    flip_a_bit,
    marked,
    member_file,
    on_another_volume,
    torn,
    two_vaults,
)

pytestmark = pytest.mark.slow

OLD, NEW = "1.2.4", "1.2.5"
PLENTY = {
    "total_bytes": 10**9, "free_bytes": 10**9, "stored_bytes": 0, "reserve_bytes": 10**6
}  # fmt: skip


@pytest.fixture
def full(head, vault) -> NodeStandIn:
    """A node with three archived studies: one from long ago, one corrected, one new."""
    head.arrive(OLD, f"{OLD}.1", unlike(1), ago_s=10**8)
    head.arrive(NEW, f"{NEW}.1", unlike(2), ago_s=60)
    for uid in (STUDY, OLD, NEW):
        copied(uid, "vault-1")
    head.studies[STUDY].journal.append({"kind": "corrected", "why": "wrong entry"})
    head.studies[STUDY].revision += 1
    assert run_job("copy").state == "done"
    scan_all()
    return head


@pytest.fixture
def empty(full, archive, tmp_path: Path) -> Iterator[NodeStandIn]:
    """The node after its disk was lost, at another address."""
    with serving(NodeStandIn("CT", tmp_path / "new-ct", tmp_path / "trust")) as served:
        served.disk = dict(PLENTY)
        archive(nodes={"CT": served.url})
        yield served


def restore(capsys, *options: str, code: int = 0) -> str:
    """Run the command; return what it printed."""
    ended = 0
    try:
        call_command("restore-node", "CT", *options)
    except SystemExit as stop:
        ended = int(stop.code or 0)
    assert ended == code
    return capsys.readouterr().out


def test_an_empty_node_has_all_again_byte_for_byte_with_its_records(full, empty, capsys):
    out = restore(capsys)
    for uid in (STUDY, OLD, NEW):
        assert empty.online(uid) == full.online(uid)
    assert [record["kind"] for record in empty.studies[STUDY].journal] == ["corrected"]
    assert empty.studies[STUDY].revision == 4  # what is proven of it
    assert "3 studies restored of 3 in the vaults; 0 were whole already" in out
    assert "5 instances, 15000 bytes; 0 of them are kept as evicted" in out


def test_the_records_come_before_the_files_and_files_in_the_order_of_the_tape(full, empty, capsys):
    restore(capsys, "--study", STUDY)
    asked = [call for call in empty.calls if "/restore/" in call]
    assert asked[0] == f"POST /api/custody/restore/{STUDY}/journal"
    files = [call.rsplit("/", 1)[1] for call in asked if call.startswith("PUT")]
    first = Copy.objects.filter(study_uid=STUDY).order_by("id")[0]
    in_order = first.contents.order_by("offset").values_list("sop_instance_uid", flat=True)
    assert files == list(in_order)


def test_each_volume_is_mounted_once(full, vault, archive, tmp_path, capsys, monkeypatch):
    on_another_volume(vault)
    for uid in (STUDY, OLD):
        full.arrive(uid, f"{uid}.9", unlike(9))
        assert copied(uid, "vault-1").volume == "A00002"
    warmed = []
    real = TapeLibrary.warm
    monkeypatch.setattr(
        TapeLibrary, "warm", lambda self, label, *w: warmed.append(label) or real(self, label, *w)
    )
    with serving(NodeStandIn("CT", tmp_path / "new-ct", tmp_path / "trust")) as served:
        served.disk = dict(PLENTY)
        archive(nodes={"CT": served.url})
        restore(capsys)
        assert sorted(warmed) == ["A00001", "A00002"]
        assert served.online(STUDY) == full.online(STUDY)


@pytest.mark.parametrize("state", [None, VolumeState.SUSPECT], ids=["ready", "read last"])
def test_the_newest_records_come_before_any_file_wherever_they_lie(
    head, vault, archive, tmp_path, capsys, state
):
    """Else a corrected exam would show its old name until the next tape is in."""
    copied(STUDY, "vault-1")
    head.arrive(OLD, f"{OLD}.1", unlike(1))
    copied(OLD, "vault-1")
    on_another_volume(vault)
    head.studies[STUDY].journal.append({"kind": "corrected", "why": "wrong entry"})
    head.studies[STUDY].revision += 1
    assert copied(STUDY, "vault-1").volume == "A00002"
    if state is not None:
        marked(vault, "A00002", state)
    with serving(NodeStandIn("CT", tmp_path / "new-ct", tmp_path / "trust")) as served:
        served.disk = dict(PLENTY)
        archive(nodes={"CT": served.url})
        seen = []
        real = served.restore
        served.restore = lambda uid, *about: (
            seen.append((uid, len(served.studies[uid].journal))) or real(uid, *about)
        )
        restore(capsys)
        assert served.online(STUDY) == head.online(STUDY)
    assert {count for uid, count in seen if uid == STUDY} == {1}


def test_where_the_newest_records_cannot_be_read_the_files_come_all_the_same(full, empty, capsys):
    member_file(Copy.objects.get(study_uid=STUDY, instances=0)).unlink()
    out = restore(capsys, code=1)
    assert f"{STUDY}: its newest records" in out
    assert len(empty.online(STUDY)) == 3


def test_what_was_evicted_stays_evicted(full, empty, archive, capsys):
    evicted(full, archive, empty, OLD)
    out = restore(capsys)
    one = empty.studies[OLD].instances[f"{OLD}.1"]
    assert not one.online and not one.file.exists()
    assert one.stored_sha256 == full.studies[OLD].instances[f"{OLD}.1"].stored_sha256
    assert len(empty.online(STUDY)) == 3
    assert "1 of them are kept as evicted" in out


def evicted(full, archive, empty, uid: str) -> None:
    archive(nodes={"CT": full.url})
    assert run_job("evict", uid).state == "done"
    scan_all()
    archive(nodes={"CT": empty.url})


def test_a_node_that_was_scanned_while_empty_changes_nothing_of_that(full, empty, archive, capsys):
    evicted(full, archive, empty, OLD)
    scan_all()
    StudyFacts.objects.update(online=0, online_bytes=0)
    restore(capsys)
    assert len(empty.online(STUDY)) == 3 and empty.online(OLD) == {}


def test_what_was_recalled_since_is_online_again(full, empty, archive, capsys):
    archive(nodes={"CT": full.url})
    assert run_job("evict", OLD).state == run_job("recall", OLD).state == "done"
    archive(nodes={"CT": empty.url})
    restore(capsys)
    assert len(empty.online(OLD)) == 1


def test_all_brings_what_was_evicted_online(full, empty, archive, capsys):
    evicted(full, archive, empty, OLD)
    restore(capsys, "--all")
    assert len(empty.online(OLD)) == 1


def test_the_newest_come_first_while_there_is_space(full, empty, capsys):
    sizes = {one.study_uid: one.size_bytes for one in Copy.objects.filter(instances__gt=0)}
    sizes[STUDY] += Copy.objects.get(study_uid=STUDY, instances=0).size_bytes
    room = int((sizes[STUDY] + sizes[NEW] + 100) / 0.8)
    empty.disk |= {"total_bytes": room, "free_bytes": room, "reserve_bytes": 0}
    restore(capsys)
    assert (len(empty.online(NEW)), len(empty.online(STUDY))) == (1, 3)
    assert empty.online(OLD) == {} and len(empty.studies[OLD].instances) == 1


def test_a_disk_that_is_full_before_it_should_be_keeps_the_rest_as_evicted(full, empty, capsys):
    empty.space_bytes = 10_000
    out = restore(capsys)
    assert "5 instances, 15000 bytes; 2 of them are kept as evicted" in out
    assert sum(len(study.instances) for study in empty.studies.values()) == 5


def test_holds_that_are_younger_than_any_member_are_told(full, empty, capsys):
    Hold.objects.create(
        node="CT", study_uid=STUDY, kind="legal", reason="court", held_by="archivist"
    )
    Hold.objects.create(
        node="CT", study_uid=OLD, kind="legal", reason="over", held_by="x",
        released_at=timezone.now(),
    )  # fmt: skip
    restore(capsys)
    assert empty.studies[STUDY].holds == [{"kind": "legal", "reason": "court", "by": "archivist"}]
    assert empty.studies[OLD].holds == []


def test_the_node_is_told_of_the_copies_of_what_is_online(full, empty, capsys):
    restore(capsys, "--study", STUDY)
    assert set(empty.receipts) == {"1.2.3.0", "1.2.3.1", "1.2.3.2"}


def test_a_restore_goes_on_where_it_was_stopped(full, empty, capsys):
    real, left = empty.restore, [3]

    def restart(*about):
        left[0] -= 1
        if left[0] < 0:
            raise errors.Unavailable("restarting")
        return real(*about)

    empty.restore = restart
    with pytest.raises(CommandError, match="restarting"):
        call_command("restore-node", "CT")
    empty.restore = real
    empty.calls.clear()
    out = restore(capsys)
    sent = [call for call in empty.calls if call.startswith("PUT")]
    assert len(sent) == 2
    for uid in (STUDY, OLD, NEW):
        assert empty.online(uid) == full.online(uid)
    assert "studies restored of 3" in out
    empty.calls.clear()
    assert "0 studies restored of 3 in the vaults; 3 were whole already" in restore(capsys)
    assert not [call for call in empty.calls if "/restore/" in call]


def test_one_that_was_stopped_before_the_records_tells_them(full, empty, capsys):
    restore(capsys)
    (Path(library.specs()["vault-1"].place).parent / "data" / "restored" / "CT.uids").unlink()
    empty.studies[STUDY].journal.clear()
    restore(capsys)
    assert [record["kind"] for record in empty.studies[STUDY].journal] == ["corrected"]


def test_a_bad_copy_is_passed_over_for_another_vaults(archive, tmp_path, head, capsys, monkeypatch):
    two_vaults(archive, tmp_path)
    near, far = copied(STUDY, "near"), copied(STUDY, "far")
    flip_a_bit(near, "1.2.3.1")
    with serving(NodeStandIn("CT", tmp_path / "new-ct", tmp_path / "trust")) as served:
        served.disk = dict(PLENTY)
        archive(nodes={"CT": served.url})
        restore(capsys)
        assert served.online(STUDY) == head.online(STUDY)
    assert Copy.objects.get(id=far.id).bad_since is None


def test_a_volume_that_cannot_be_read_is_passed_over(archive, tmp_path, head, capsys, monkeypatch):
    two_vaults(archive, tmp_path)
    near, _ = copied(STUDY, "near"), copied(STUDY, "far")
    torn(monkeypatch, near)
    with serving(NodeStandIn("CT", tmp_path / "new-ct", tmp_path / "trust")) as served:
        served.disk = dict(PLENTY)
        archive(nodes={"CT": served.url})
        restore(capsys)
        assert served.online(STUDY) == head.online(STUDY)


def test_what_cannot_be_brought_is_named_with_why_and_the_rest_is_brought(full, empty, capsys):
    flip_a_bit(Copy.objects.get(study_uid=OLD))
    out = restore(capsys, code=1)
    assert "1 studies are not whole:" in out
    assert f"  {OLD}: 1 instances, first {OLD}.1: {OLD}.1 on A00001" in out
    assert len(empty.online(STUDY)) == 3 and len(empty.online(NEW)) == 1


def test_a_member_that_is_gone_is_named(full, empty, capsys):
    member_file(Copy.objects.get(study_uid=OLD)).unlink()
    assert "has no" in restore(capsys, code=1)


def test_a_volume_on_the_shelf_is_named(full, empty, vault, capsys):
    marked(vault, "A00001", VolumeState.EXPORTED)
    out = restore(capsys, "--no-wait", code=1)
    assert "volume A00001 of vault-1 lies on the shelf" in out
    assert not MountRequest.objects.exists()


@pytest.fixture
def shelved(full, vault, archive, tmp_path, monkeypatch) -> Iterator[NodeStandIn]:
    """An empty node, of whose studies one lies on a volume of the shelf."""
    monkeypatch.setattr(restore_waits, "LOOK_EVERY_S", 0.01)
    on_another_volume(vault)
    full.arrive("1.2.6", "1.2.6.1", unlike(6), ago_s=30)
    assert copied("1.2.6", "vault-1").volume == "A00002"
    marked(vault, "A00002", VolumeState.EXPORTED)
    with serving(NodeStandIn("CT", tmp_path / "new-ct", tmp_path / "trust")) as served:
        served.disk = dict(PLENTY)
        archive(nodes={"CT": served.url})
        yield served


def at_the_shelf(monkeypatch, act) -> None:
    """Let somebody act whenever a restore has nothing more to do but wait."""
    real = restore_waits.Waiting.wait

    def wait(self, awaited) -> None:
        act()
        real(self, awaited)

    monkeypatch.setattr(restore_waits.Waiting, "wait", wait)


def test_it_waits_for_a_volume_on_the_shelf_and_goes_on_once_it_is_there(
    full, shelved, capsys, monkeypatch
):
    brought: list[set[str]] = []

    def operator() -> None:
        brought.append(set(shelved.studies))
        (request,) = MountRequest.objects.filter(ended_at=None)
        assert (request.volume, mounts.restore_waiting(request)) == ("A00002", "CT")
        MountRequest.objects.update(asked_at=timezone.now() - timedelta(days=1))
        assert mounts.end_unwanted() == 0  # somebody waits for it
        mounts.insert("vault-1", "A00002", "A00002", None, "archivist")

    at_the_shelf(monkeypatch, operator)
    out = restore(capsys)
    assert brought == [{STUDY, OLD, NEW}]  # all else was brought meanwhile
    assert shelved.online("1.2.6") == full.online("1.2.6")
    assert out.count("put volume A00002 from the shelf into vault-1") == 1
    assert "all else is brought, 1 studies wait: put A00002 into vault-1" in out
    assert "4 studies restored of 4 in the vaults; 0 were whole already" in out
    assert not MountRequest.objects.filter(ended_at=None).exists()


def test_one_that_is_stopped_as_it_waits_goes_on_later(full, shelved, vault, capsys, monkeypatch):
    def stop() -> None:
        raise KeyboardInterrupt

    at_the_shelf(monkeypatch, stop)
    assert "run it again to go on" in restore(capsys, code=130)
    (request,) = MountRequest.objects.filter(ended_at=None)
    assert mounts.restore_waiting(request) == ""  # nobody waits any more
    vault.insert("A00002", "A00002")
    out = restore(capsys)
    assert "1 studies restored of 4 in the vaults; 3 were whole already" in out
    assert shelved.online("1.2.6") == full.online("1.2.6")


def test_a_study_whose_newest_records_lie_on_the_shelf_waits_for_them(
    head, vault, archive, tmp_path, capsys, monkeypatch
):
    """Its files are at hand, but it would show under a name that was corrected long ago."""
    monkeypatch.setattr(restore_waits, "LOOK_EVERY_S", 0.01)
    copied(STUDY, "vault-1")
    on_another_volume(vault)
    head.studies[STUDY].journal.append({"kind": "corrected", "why": "wrong entry"})
    head.studies[STUDY].revision += 1
    assert copied(STUDY, "vault-1").volume == "A00002"
    marked(vault, "A00002", VolumeState.EXPORTED)
    with serving(NodeStandIn("CT", tmp_path / "new-ct", tmp_path / "trust")) as served:
        served.disk = dict(PLENTY)
        archive(nodes={"CT": served.url})
        seen: list[set[str]] = []

        def operator() -> None:
            seen.append(set(served.studies))
            vault.insert("A00002", "A00002")

        at_the_shelf(monkeypatch, operator)
        restore(capsys)
        assert seen == [set()]
        assert served.online(STUDY) == head.online(STUDY)


def test_a_study_that_the_node_refuses_hinders_no_other(full, empty, capsys):
    real = empty.restore_journal

    def refuse(uid, told):
        if uid == OLD:
            raise errors.Conflict("it has come again with other content")
        return real(uid, told)

    empty.restore_journal = refuse
    out = restore(capsys, code=1)
    assert "it has come again with other content" in out
    assert len(empty.online(NEW)) == 1


def test_only_what_arrived_since_a_day_is_restored(full, empty, capsys):
    day = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
    restore(capsys, "--since", day)
    assert set(empty.studies) == {STUDY, NEW}
    with pytest.raises(CommandError, match="no date"):
        call_command("restore-node", "CT", "--since", "yesterday")


def test_a_node_at_another_address_is_named_on_the_command_line(full, empty, archive, capsys):
    archive(nodes={"CT": "http://127.0.0.1:9"})
    restore(capsys, "--url", empty.url)
    assert len(empty.online(STUDY)) == 3


def test_a_node_that_is_away_ends_the_command_with_a_line(full, archive):
    archive(nodes={"CT": "http://127.0.0.1:9"})
    with pytest.raises(CommandError):
        call_command("restore-node", "CT")
    with pytest.raises(CommandError, match="no node is called"):
        call_command("restore-node", "MR")
