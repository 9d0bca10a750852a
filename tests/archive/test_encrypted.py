"""A vault with a key: the same circle, nothing of the patient in clear, no guess without it."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.conf import settings

from archive_node.models import Copy
from tests.archive.conftest import STUDY, run_job, unlike
from tests.archive.test_proof import flip_bit

KEYS = {"2026": bytes(range(32)), "2027": bytes(range(1, 33))}


@pytest.fixture
def encrypt(head, archive, tmp_path: Path):
    def with_key(key_id: str, **keys: bytes) -> None:
        archive(
            vaults_written={"vault-1": f"tape:{tmp_path / 'vault'}?key={key_id}"},
            keys=keys or dict(KEYS),
        )

    with_key("2026")
    return with_key


def members() -> list[bytes]:
    return [path.read_bytes() for path in sorted(settings.ARCHIVE.vault_dir.rglob("*.tar"))]


def test_an_encrypted_study_is_copied_verified_and_evicted(head, encrypt):
    assert run_job("copy").state == "done"
    copy = Copy.objects.get()
    assert (copy.key_id, copy.instances, copy.verified_at is not None) == ("2026", 3, True)
    assert sum(row.size_bytes for row in copy.contents.all()) == 9000
    assert run_job("evict").state == "done"
    assert head.online(STUDY) == {}


def test_nothing_of_the_patient_nor_of_the_images_lies_there_in_clear(head, encrypt):
    run_job("copy")
    (member,) = members()
    for word in ("FREJUS", "Crâne", "instance 1 ", "20261121", "patient"):
        assert word.encode() not in member


def test_a_new_member_takes_the_new_key_and_the_old_one_is_read_with_its_own(head, encrypt):
    run_job("copy")
    encrypt("2027")
    head.arrive(STUDY, "1.2.3.9", unlike(9))
    assert run_job("copy").state == "done"
    assert list(Copy.objects.order_by("id").values_list("key_id", flat=True)) == ["2026", "2027"]
    Copy.objects.update(verified_at=None)
    assert run_job("copy").state == "done"
    assert not Copy.objects.filter(verified_at=None).exists()


def test_without_its_key_a_copy_is_neither_proven_nor_condemned(head, encrypt):
    run_job("copy")
    Copy.objects.update(verified_at=None)
    encrypt("2027", **{"2027": KEYS["2027"]})
    job = run_job("copy")
    assert (job.state, job.error) == ("failed", "PACS_ARCHIVE_KEYS_FILE has no key '2026'")
    copy = Copy.objects.get()
    assert (copy.verified_at, copy.bad_since) == (None, None)


def test_another_key_of_the_same_id_condemns_no_copy(head, encrypt):
    run_job("copy")
    Copy.objects.update(verified_at=None)
    encrypt("2026", **{"2026": bytes(32)})
    job = run_job("copy")
    assert job.state == "failed" and "another key than the one of this id" in job.error
    assert Copy.objects.get().bad_since is None


def test_a_flipped_bit_is_found_in_an_encrypted_copy_too(head, encrypt):
    run_job("copy")
    flip_bit(Copy.objects.get(), "1.2.3.1")
    Copy.objects.update(verified_at=None)
    job = run_job("copy")
    assert job.state == "failed" and "was changed" in job.error
    assert Copy.objects.get().bad_since is not None


def test_an_encrypted_copy_is_a_source_for_a_vault_in_clear(head, encrypt, archive, tmp_path):
    before = head.online(STUDY)
    run_job("copy")
    run_job("evict")
    written = dict(settings.ARCHIVE.vaults_written)
    archive(vaults_written={"clear": f"tape:{tmp_path / 'clear'}", **written})
    assert run_job("copy").vault == "clear"
    copy = Copy.objects.get(vault="clear")
    assert (copy.key_id, copy.instances) == ("", 3)
    Copy.objects.filter(vault="vault-1").delete()
    assert run_job("recall").state == "done"
    assert head.online(STUDY) == before
