"""The archive's whole circle on real processes, through SIGKILLs, and a bit that flips.

On SQLite and kombu's filesystem broker, and on PostgreSQL and Redis.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from pydicom import dcmread, dcmwrite
from pydicom.dataset import FileMetaDataset

from tests.benchmarks.people import Browser
from tests.support.data_sets import EXPLICIT, ct
from tests.support.node_under_fault import SOAK
from tests.system.archive_hospital import (
    HIGH,
    LOW,
    NAMES,
    VAULTS,
    Hospital,
    archived,
    eventually,
    hospital,
    send,
    storescu,
)

KILLS = 100 if SOAK else 5  # of each kind of hospital: ten in all
SLICES, SIDE = 3, 128
ROOT_UID = "1.2.826.0.1.3680043.10.1361.6"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300 + 15 * KILLS)]


@pytest.fixture(scope="module", params=["embedded", "production"])
def circle(request, tmp_path_factory, sample_day: Path) -> Iterator[Hospital]:
    """A hospital of each kind, its nodes filled beyond the watermark; tests share it."""
    with hospital(tmp_path_factory.mktemp(request.param), sample_day, request.param) as place:
        yield place


@pytest.fixture(autouse=True)
def restored(circle: Hospital) -> Iterator[None]:
    """Begin with everything proven and there, and leave no watermark."""
    circle.settle()
    circle.recall_all()
    yield
    circle.watermarks(None, None)


@pytest.fixture
def chance() -> random.Random:
    seed = int(os.environ.get("PACS_TEST_SEED", random.randrange(2**32)))
    print(f"seed {seed} (repeat with PACS_TEST_SEED={seed})")
    return random.Random(seed)


def test_a_day_is_copied_twice_evicted_to_the_low_mark_recalled_and_the_same(circle: Hospital):
    before = circle.on_disk()
    assert circle.before.items() <= before.items()
    assert min(map(circle.used, NAMES)) > HIGH
    circle.watermarks(HIGH, LOW)
    eventually(lambda: max(map(circle.used, NAMES)) <= LOW, circle.told)
    lists = {one["node"] for one in circle.client.evictions() if one["state"] == "approved"}
    assert lists == set(NAMES)
    eventually(circle.is_idle, circle.told)
    left = circle.on_disk()
    assert left.items() < before.items()

    away = [uid for uid, node in circle.studies().items() if is_away(circle, uid, node)]
    wanted = next(uid for uid in away if circle.studies()[uid] == "CR")
    with ExitStack() as stack:
        clinician = Browser(circle.portal, circle.folder, stack)
        clinician.post(f"/studies/{wanted}/recall/", {})
    (job,) = circle.client.jobs(kind="recall", study=wanted)
    assert job["requested_by"] == "clinician" and circle.ended(job["id"])["state"] == "done"
    back = circle.on_disk()
    there = {one["sop_instance_uid"] for one in circle.at["CR"].manifest(wanted)["instances"]}
    assert back.keys() - left.keys() == there
    assert back.items() < before.items()
    assert circle.used("CR") < HIGH

    circle.recall_all()
    assert circle.on_disk() == before
    assert circle.client.jobs(state="failed") == []


def is_away(place: Hospital, study_uid: str, node: str) -> bool:
    return place.at[node].manifest(study_uid)["online"] == 0


def test_a_flipped_bit_is_found_and_repaired_from_the_other_vault(circle: Hospital):
    uid = next(uid for uid, node in circle.studies().items() if node == "RF")
    assert circle.job("evict", uid, "RF")["state"] == "done"
    assert is_away(circle, uid, "RF")
    (copy,) = good_copies(circle, uid, "offsite")
    member = circle.folder / "offsite" / copy["volume"] / copy["member"]
    good = {name: digest for name, digest, _ in archived(member)}
    flip_a_bit(member)
    assert {name: digest for name, digest, _ in archived(member)} != good

    scrub = circle.client.act_on_volume("offsite", copy["volume"], "scrub")["job"]
    scrubbed = circle.ended(scrub["id"])
    assert scrubbed["state"] == "done" and "1 copies" in scrubbed["error"]
    eventually(lambda: good_copies(circle, uid, "offsite"), circle.told)
    assert is_away(circle, uid, "RF")  # so it came from the other vault
    (new,) = good_copies(circle, uid, "offsite")
    assert new["member"] != copy["member"]
    written = circle.folder / "offsite" / new["volume"] / new["member"]
    assert {name: digest for name, digest, _ in archived(written)} == good
    assert good.items() <= circle.before.items()


def good_copies(place: Hospital, study_uid: str, vault: str) -> list[dict]:
    """Return the verified copies of a study in a vault."""
    copies = [one for one in place.client.study(study_uid)["copies"] if one["vault"] == vault]
    return [one for one in copies if one["verified_at"] and not one["problem"]]


def flip_a_bit(member: Path) -> None:
    """Damage the first instance of a member."""
    *_, offset = next(iter(archived(member)))
    with member.open("r+b") as file:
        file.seek(offset + 1000)
        (byte,) = file.read(1)
        file.seek(offset + 1000)
        file.write(bytes([byte ^ 1]))


def test_whatever_is_killed_nothing_is_lost_nothing_done_twice_and_all_jobs_end(
    circle: Hospital, chance: random.Random, tmp_path: Path
):
    day = circle.studies()
    sent = made_studies(tmp_path, chance.randrange(10**6))
    todo = list(sent.items())
    parts = sorted(circle.kills)
    chance.shuffle(parts)
    doomed = (parts * KILLS)[:KILLS]
    circle.watermarks(HIGH, LOW)
    for number, part in enumerate(doomed):
        if number % max(KILLS // 10, 1) == 0:
            folder, node = todo.pop()
            sending = storescu(circle.nodes[node], folder)
        ask_for_something(circle, chance, day)
        time.sleep(chance.uniform(0.1, 1.5))
        circle.kills[part](chance)
        sending.wait(60)  # broken off, where its node was killed
    for folder, node in sent.items():
        send(circle.nodes[node], folder)  # what was taken already changes nothing
    circle.settle()

    stored = manifests(circle)
    assert stored.keys() == circle.before.keys() | sent_uids(sent)
    good_copies_are_single(circle, stored)
    circle.recall_all()
    eventually(circle.is_idle, circle.told)
    there = circle.on_disk()
    assert there == stored and circle.before.items() <= there.items()
    assert circle.client.jobs(state="failed") == []
    assert max(Counter(circle.ends()).values()) == 1
    assert pixels_on(circle, sent_uids(sent)) == pixels_in(sent)


def made_studies(folder: Path, number: int) -> dict[Path, str]:
    """Write ten small studies, each in a folder; return the node that each is for."""
    found = {}
    for study in range(10):
        uid = f"{ROOT_UID}.{number}.{study}"
        place = folder / uid
        place.mkdir()
        for one in range(1, SLICES + 1):
            pixels = random.Random(f"{uid} {one}").randbytes(2 * SIDE * SIDE)
            ds = ct(one, study=uid, series=f"{uid}.1", Rows=SIDE, Columns=SIDE, PixelData=pixels)
            ds.file_meta = FileMetaDataset()
            ds.file_meta.TransferSyntaxUID = EXPLICIT
            dcmwrite(place / f"{one}.dcm", ds, enforce_file_format=True)
        found[place] = NAMES[study % len(NAMES)]
    return found


def ask_for_something(place: Hospital, chance: random.Random, day: dict[str, str]) -> None:
    """Ask for the eviction of a study of the day that is there, the recall of one that is not."""
    uid = chance.choice(sorted(day))

    def ask() -> dict:
        kind = "recall" if is_away(place, uid, day[uid]) else "evict"
        return place.client.request_job(kind, day[uid], uid)

    eventually(ask)


def manifests(place: Hospital) -> dict[str, str]:
    """Return the digest of each instance that the nodes know, evicted or not."""
    return {
        one["sop_instance_uid"]: one["stored_sha256"]
        for uid, node in place.studies().items()
        for one in place.at[node].manifest(uid)["instances"]
    }


def good_copies_are_single(place: Hospital, stored: dict[str, str]) -> None:
    """Each vault's volumes hold each instance once as it is stored."""
    for vault in VAULTS:
        found = Counter(
            (uid, digest) for member in place.members(vault) for uid, digest, _ in archived(member)
        )
        good = {uid: found[uid, digest] for uid, digest in stored.items()}
        assert set(good.values()) == {1}, {uid: n for uid, n in good.items() if n != 1}


def sent_uids(sent: dict[Path, str]) -> set[str]:
    return {f"{folder.name}.1.{one}" for folder in sent for one in range(1, SLICES + 1)}


def pixels_in(sent: dict[Path, str]) -> dict[str, bytes]:
    every = (dcmread(path) for folder in sent for path in folder.glob("*.dcm"))
    return {str(ds.SOPInstanceUID): ds.PixelData for ds in every}


def pixels_on(place: Hospital, uids: set[str]) -> dict[str, bytes]:
    """Return the pixels of these instances as the nodes store them."""
    there = place.files()
    return {uid: dcmread(there[uid]).PixelData for uid in uids}
