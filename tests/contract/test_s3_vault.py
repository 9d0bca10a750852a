"""What is peculiar to volumes in an object store; moto's server plays it, over real HTTP."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from archive_node.vault import kinds
from archive_node.vault.base import (
    MediumFailed,
    MemberExists,
    Thawing,
    Vault,
    VaultUnavailable,
)
from archive_node.vault.s3 import options
from archive_node.vault.s3.store import Store
from archive_node.vault_setting import BadSpec, VaultDefaults, read
from pacs_common import errors
from tests.support.object_store import ObjectStore
from tests.support.recording_door import Seen, recorded

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
MEMBER = "CT/1.2/r1-1.tar"
KEY = f"main/A00001/{MEMBER}"
PART = 6_000_000
MIB = 1 << 20


def opened(written: str, folder: Path) -> Vault:
    defaults = VaultDefaults(2, 100 * MIB, folder / "state")
    return kinds.create(read("cloud", written), defaults)


@pytest.fixture
def written(store: ObjectStore, bucket: str) -> str:
    return f"s3://{bucket}/main?endpoint={store.endpoint}&part=6MB"


@pytest.fixture
def vault(written: str, tmp_path: Path) -> Vault:
    return opened(written, tmp_path)


def put(vault: Vault, member: str, content: bytes) -> str:
    return vault.append(member, len(content), lambda file: file.write(content))


def get(vault: Vault, member: str = MEMBER) -> bytes:
    with vault.warm("A00001") as volume, volume.open(member) as file:
        return file.read()


def unlike(size_bytes: int) -> bytes:
    return b"".join(number.to_bytes(8, "big") for number in range(-(-size_bytes // 8)))[:size_bytes]


# What lies in the store


def test_a_volume_is_a_prefix_that_explains_itself(store, bucket, tmp_path):
    vault = opened(f"s3://{bucket}/main?endpoint={store.endpoint}&volume=1000", tmp_path)
    put(vault, MEMBER, b"x" * 1000)
    put(vault, "CT/1.2/r2-1.tar", b"x")

    def content(key: str) -> dict:
        return json.loads(store.client.get_object(Bucket=bucket, Key=key)["Body"].read())

    assert content("main/library.json")["id"] == vault.library_id
    label = content("main/A00001/LABEL")
    assert (label["label"], label["library"], label["capacity_bytes"]) == (
        "A00001",
        vault.library_id,
        1000,
    )
    index = content("main/A00001/INDEX.json")
    assert (index["format"], index["used_bytes"]) == ("argens-volume-index-1", 1000)
    assert [(each["name"], each["size_bytes"]) for each in index["members"]] == [(MEMBER, 1000)]
    assert "main/A00002/LABEL" in store.keys(bucket)


def test_the_state_folder_may_be_lost(store, bucket, tmp_path):
    written = f"s3://{bucket}/main?endpoint={store.endpoint}&volume=1000"
    vault = opened(written, tmp_path / "one")
    put(vault, MEMBER, b"x" * 1000)
    put(vault, "CT/1.2/r2-1.tar", b"x")
    again = opened(written, tmp_path / "another")
    assert again.volumes() == vault.volumes()
    assert again.find(MEMBER) == "A00001"


def test_two_prefixes_of_a_bucket_are_two_vaults(store, bucket, tmp_path):
    one, other = (
        opened(f"s3://{bucket}{prefix}?endpoint={store.endpoint}", tmp_path / str(number))
        for number, prefix in enumerate(["", "/b/c"])
    )
    assert one.library_id != other.library_id
    put(one, MEMBER, b"one")
    assert other.find(MEMBER) is None
    assert one.find(MEMBER) == "A00001"


def test_volumes_without_their_library_are_not_made_a_new_one(
    store, bucket, vault, written, tmp_path
):
    store.client.delete_object(Bucket=bucket, Key="main/library.json")
    with pytest.raises(VaultUnavailable, match=r"no library\.json"):
        opened(written, tmp_path)


def test_a_label_of_another_library_makes_its_volume_suspect(store, bucket, vault):
    store.client.put_object(Bucket=bucket, Key="main/A00001/LABEL", Body=b'{"label": "A00001"}')
    assert vault.volumes()[0].state == "suspect"
    assert put(vault, MEMBER, b"bytes") == "A00002"


def test_a_storage_class_is_that_of_the_members_alone(store, bucket, tmp_path):
    vault = opened(
        f"s3://{bucket}/main?endpoint={store.endpoint}&storage_class=STANDARD_IA", tmp_path
    )
    put(vault, MEMBER, b"bytes")
    head = store.client.head_object
    assert head(Bucket=bucket, Key=KEY)["StorageClass"] == "STANDARD_IA"
    assert "StorageClass" not in head(Bucket=bucket, Key="main/A00001/LABEL")


# Writing


@pytest.mark.parametrize("checksum", ["sha256", "md5"])
def test_a_large_member_goes_in_parts_each_with_its_checksum(store, bucket, tmp_path, checksum):
    content = unlike(2 * PART + 1234)
    with recorded(store.endpoint) as (endpoint, seen):
        vault = opened(
            f"s3://{bucket}/main?endpoint={endpoint}&part=6MB&checksum={checksum}", tmp_path
        )
        put(vault, MEMBER, content)
        parts = [each for each in seen if each.method == "PUT" and "partNumber" in each.path]
        assert [each.size for each in sorted(parts, key=lambda each: each.path)] == [
            PART,
            PART,
            1234,
        ]
        name = {"sha256": "x-amz-checksum-sha256", "md5": "content-md5"}[checksum]
        assert all(name in each.headers for each in parts)
        assert get(vault) == content
    about = store.client.head_object(Bucket=bucket, Key=KEY, ChecksumMode="ENABLED")
    assert about["ETag"].endswith('-3"')
    assert ("ChecksumSHA256" in about) is (checksum == "sha256")


def test_memory_holds_a_few_parts_and_never_a_whole_member(vault):
    """The writer is held up while parts are on their way."""
    content = bytes(PART)

    def write(file) -> None:
        for _ in range(8):
            file.write(content)
            assert len(file._sent) <= 3
            assert len(file._buffer) < PART

    vault.append(MEMBER, 8 * PART, write)
    with vault.warm("A00001") as volume:
        assert volume.size_of(MEMBER) == 8 * PART


def test_bytes_of_any_cut_make_the_same_member(vault):
    content = unlike(PART + 777)

    def write(file) -> None:
        for start in range(0, len(content), 999_983):
            assert file.tell() == start
            file.write(memoryview(content)[start : start + 999_983])

    vault.append(MEMBER, len(content), write)
    assert get(vault) == content


def test_a_write_that_fails_leaves_no_upload(store, bucket, vault):
    def write(file) -> None:
        file.write(bytes(2 * PART))
        raise errors.Unavailable("the node went away")

    with pytest.raises(errors.Unavailable, match="the node went away"):
        vault.append(MEMBER, 3 * PART, write)
    assert store.uploads(bucket) == []
    assert vault.find(MEMBER) is None


KILLED = """
import sys, time
from pathlib import Path
from tests.contract.test_s3_vault import opened
def write(file):
    file.write(bytes(7_000_000))
    while not file._sent[0].done():
        time.sleep(0.01)
    print("on its way", flush=True)
    time.sleep(60)
opened(sys.argv[1], Path(sys.argv[2])).append("CT/1.2/r1-1.tar", 8_000_000, write)
"""


def test_the_upload_of_a_killed_writer_is_swept_by_the_next(
    store, bucket, vault, written, tmp_path
):
    writer = subprocess.Popen(
        [sys.executable, "-c", KILLED, written, str(tmp_path)],
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert writer.stdout.readline() == "on its way\n"
    writer.send_signal(signal.SIGKILL)
    writer.wait(10)
    writer.stdout.close()
    assert len(store.uploads(bucket)) == 1
    put(vault, "CT/1.2/r2-1.tar", b"bytes")
    assert store.uploads(bucket) == []
    assert vault.find(MEMBER) is None


def test_a_line_whose_member_was_never_completed_does_not_count(store, bucket, vault):
    """A writer that was killed between its line and the end of its upload."""
    put(vault, MEMBER, b"x" * 300)
    put(vault, "CT/1.2/r2-1.tar", b"x" * 200)
    store.client.delete_object(Bucket=bucket, Key="main/A00001/CT/1.2/r2-1.tar")
    assert vault.volumes()[0].used_bytes == 300
    put(vault, "CT/1.2/r3-1.tar", b"x" * 100)
    with vault.warm("A00001") as volume:
        assert volume.members() == [MEMBER, "CT/1.2/r3-1.tar"]
    assert vault.volumes()[0].used_bytes == 400


def test_members_whose_line_is_lost_are_adopted_and_counted(store, bucket, vault):
    for number in (1, 2):
        put(vault, f"CT/1.2/r{number}-1.tar", b"x" * 300)
    for key in store.keys(bucket, "main/A00001/MEMBERS/"):
        store.client.delete_object(Bucket=bucket, Key=key)
    assert vault.volumes()[0].used_bytes == 600
    put(vault, "CT/1.2/r3-1.tar", b"x" * 100)
    with vault.warm("A00001") as volume:
        assert sorted(volume.members()) == [f"CT/1.2/r{number}-1.tar" for number in (1, 2, 3)]
    assert vault.volumes()[0].used_bytes == 700


def test_an_object_that_another_puts_there_meanwhile_is_not_replaced(store, bucket, vault):
    def write(file) -> None:
        store.client.put_object(Bucket=bucket, Key=KEY, Body=b"others")
        file.write(b"mine!!")

    with pytest.raises(MemberExists):
        vault.append(MEMBER, 6, write)
    assert get(vault) == b"others"
    assert store.uploads(bucket) == []


def test_a_store_without_conditional_writes_takes_members_all_the_same(store, bucket, tmp_path):
    def refuse(seen: Seen) -> int | None:
        return 501 if "if-none-match" in seen.headers else None

    with recorded(store.endpoint, refuse) as (endpoint, _):
        vault = opened(f"s3://{bucket}/main?endpoint={endpoint}&attempts=1", tmp_path)
        put(vault, MEMBER, b"bytes")
        with pytest.raises(MemberExists):
            put(vault, MEMBER, b"other")
        assert get(vault) == b"bytes"


def test_a_completion_whose_answer_was_lost_is_a_success(store, bucket, tmp_path):
    lost = []

    def lose(seen: Seen) -> int | None:
        """Let the store complete it, then break the connection."""
        if seen.method == "POST" and "uploadId" in seen.path and not lost:
            lost.append(seen)
            return -1
        return None

    with recorded(store.endpoint, lose) as (endpoint, _):
        vault = opened(f"s3://{bucket}/main?endpoint={endpoint}&attempts=1", tmp_path)
        assert put(vault, MEMBER, b"bytes") == "A00001"
        assert lost
        assert get(vault) == b"bytes"


# Reading


def test_a_reader_that_jumps_reads_little_and_one_that_goes_on_reads_ahead(
    store, bucket, vault, tmp_path
):
    content = unlike(3 * PART)
    put(vault, MEMBER, content)
    with recorded(store.endpoint) as (endpoint, seen):
        other = opened(f"s3://{bucket}/main?endpoint={endpoint}", tmp_path / "other")
        with other.warm("A00001") as volume, volume.open(MEMBER) as file:
            seen.clear()
            for place in (17_000_000, 9_000_000, 100):
                file.seek(place)
                assert file.read(512) == content[place : place + 512]
            assert len(seen) == 3
            assert sum(each.answered for each in seen) < 300_000
            seen.clear()
            file.seek(0)
            assert b"".join(iter(lambda: file.read(100_000), b"")) == content
            assert len(seen) < 20


def test_a_connection_that_breaks_in_the_middle_of_a_range_is_made_anew(
    store, bucket, vault, tmp_path
):
    content = unlike(PART)
    put(vault, MEMBER, content)
    broken = []

    def break_(seen: Seen) -> int | None:
        if "range" in seen.headers and len(broken) < 2:
            broken.append(seen)
            return -2
        return None

    with recorded(store.endpoint, break_) as (endpoint, _):
        other = opened(f"s3://{bucket}/main?endpoint={endpoint}", tmp_path / "other")
        assert get(other) == content
        assert len(broken) == 2


def test_an_object_that_is_replaced_under_a_reader_is_a_failed_medium(store, bucket, vault):
    put(vault, MEMBER, unlike(PART))
    with vault.warm("A00001") as volume, volume.open(MEMBER) as file:
        file.read(10)
        store.client.put_object(Bucket=bucket, Key=KEY, Body=bytes(PART))
        file.seek(PART // 2)
        with pytest.raises(MediumFailed, match="volume A00001 of cloud") as failed:
            file.read(10)
    assert (failed.value.vault, failed.value.label) == ("cloud", "A00001")


# Cold storage


@pytest.fixture
def slow_restores(store: ObjectStore) -> Iterator[None]:
    """Let a restore be under way until the store was looked at again."""
    set_transition(store, {"progression": "manual", "times": 1})
    yield
    set_transition(store, {"progression": "immediate"})


def set_transition(store: ObjectStore, transition: dict) -> None:
    address = urlsplit(store.endpoint)
    connection = HTTPConnection(address.hostname, address.port)
    body = json.dumps({"model_name": "s3::keyrestore", "transition": transition})
    connection.request("POST", "/moto-api/state-manager/set-transition", body)
    assert connection.getresponse().status == 201
    connection.close()


@pytest.fixture
def cold(store: ObjectStore, bucket: str, tmp_path: Path, slow_restores: None) -> Vault:
    return opened(
        f"s3://{bucket}/main?endpoint={store.endpoint}&storage_class=GLACIER&restore_days=2",
        tmp_path,
    )


def test_a_member_in_cold_storage_is_asked_for_and_readable_later(store, bucket, cold):
    put(cold, MEMBER, b"bytes")
    before = datetime.now(UTC)
    with cold.warm("A00001") as volume, pytest.raises(Thawing) as thawing:
        volume.open(MEMBER)
    assert thawing.value.retriable
    assert before + timedelta(hours=4) < thawing.value.until < before + timedelta(hours=6)
    assert later(lambda: get(cold)) == b"bytes"
    assert get(cold) == b"bytes"


def test_a_restore_is_asked_for_once(store, bucket, tmp_path, slow_restores):
    set_transition(store, {"progression": "manual", "times": 4})
    with recorded(store.endpoint) as (endpoint, seen):
        vault = opened(
            f"s3://{bucket}/main?endpoint={endpoint}&storage_class=DEEP_ARCHIVE&restore_tier=Bulk",
            tmp_path,
        )
        put(vault, MEMBER, b"bytes")
        expected = set()
        for _ in range(3):
            with vault.warm("A00001") as volume, pytest.raises(Thawing) as thawing:
                volume.open(MEMBER)
            expected.add(thawing.value.until)
        assert len(expected) == 1
        assert expected.pop() > datetime.now(UTC) + timedelta(hours=47)
        asked = [each for each in seen if each.path.endswith("?restore")]
        assert len(asked) == 1
        assert b"<Tier>Bulk</Tier>" in asked[0].body


def test_all_members_of_a_round_are_asked_for_at_once(store, bucket, tmp_path, slow_restores):
    with recorded(store.endpoint) as (endpoint, seen):
        vault = opened(f"s3://{bucket}/main?endpoint={endpoint}&storage_class=GLACIER", tmp_path)
        names = [f"CT/1.2/r{number}-1.tar" for number in range(3)]
        for name in names:
            put(vault, name, b"bytes")
        with vault.warm("A00001") as volume, pytest.raises(Thawing):
            volume.thaw(names)
        assert len([each for each in seen if each.path.endswith("?restore")]) == 3
        with vault.warm("A00001") as volume:
            later(lambda: volume.thaw(names))
        assert len([each for each in seen if each.path.endswith("?restore")]) == 3


def later(ask: Callable):
    """Ask again until the store has restored what was asked for: it does so as it is looked at."""
    for _ in range(10):
        try:
            return ask()
        except Thawing:
            pass
    raise AssertionError("never restored")


def test_what_a_cold_volume_holds_is_known_without_a_restore(store, bucket, cold):
    put(cold, MEMBER, b"bytes")
    assert cold.find(MEMBER) == "A00001"
    assert cold.volumes()[0].used_bytes == 5
    with cold.warm("A00001") as volume:
        assert (volume.members(), volume.size_of(MEMBER)) == ([MEMBER], 5)
        volume.settle(MEMBER)


# A store that is not there, or does not let us in


def test_a_store_that_does_not_answer_is_an_unavailable_vault(store, tmp_path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        with pytest.raises(VaultUnavailable, match="s3://b/"):
            opened(f"s3://b/?endpoint=http://127.0.0.1:{port}&attempts=1", tmp_path)


def test_a_store_that_keeps_silent_is_given_up(store, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(VaultUnavailable, match=r"[Tt]imed? ?out"):
            opened(f"s3://b/?endpoint=http://127.0.0.1:{port}&attempts=1&timeout_s=0.2", tmp_path)


def test_a_bucket_that_is_not_there_is_never_made(store, tmp_path):
    with pytest.raises(VaultUnavailable, match="NoSuchBucket"):
        opened(f"s3://no-such-bucket/main?endpoint={store.endpoint}", tmp_path)
    assert "no-such-bucket" not in [each["Name"] for each in store.client.list_buckets()["Buckets"]]


def test_a_store_that_refuses_us_says_so_and_shows_no_secret(store, bucket, tmp_path):
    with (
        recorded(store.endpoint, lambda seen: 403) as (endpoint, _),
        pytest.raises(VaultUnavailable) as refused,
    ):
        opened(f"s3://{bucket}/main?endpoint={endpoint}&attempts=1", tmp_path)
    assert "not a secret" not in str(refused.value)


def test_without_credentials_the_vault_is_unavailable(store, bucket, tmp_path, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(VaultUnavailable, match="credentials"):
        opened(f"s3://{bucket}/other?endpoint={store.endpoint}&region=eu-west-3", tmp_path)


def test_credentials_come_from_a_named_profile(store, bucket, tmp_path, monkeypatch):
    file = tmp_path / "credentials"
    file.write_text("[offsite]\naws_access_key_id = a\naws_secret_access_key = b\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    written = f"s3://{bucket}/main?endpoint={store.endpoint}"
    with recorded(store.endpoint) as (endpoint, seen):
        opened(f"s3://{bucket}/main?endpoint={endpoint}&profile=offsite", tmp_path)
        assert all("Credential=a/" in each.headers["authorization"] for each in seen)
    with pytest.raises(VaultUnavailable, match="nowhere"):
        opened(f"{written}&profile=nowhere", tmp_path)


# The setting


@pytest.mark.parametrize(
    "text",
    [
        "s3:bucket/main",
        "s3:///main",
        "s3://b/?endpoint=store.example",
        "s3://b/?part=1MB",
        "s3://b/?checksum=crc",
        "s3://b/?restore_tier=Slow",
        "s3://b/?restore_days=0",
        "s3://b/?style=both",
        "s3://b/?attempts=0",
        "s3://b/?drives=2",
    ],
)
def test_settings_that_make_no_sense_are_refused(tmp_path, text):
    with pytest.raises(BadSpec):
        options.read(read("cloud", text), VaultDefaults(2, 1000, tmp_path))


def test_every_option_of_the_setting_is_read(tmp_path):
    text = (
        "s3://b/p/q/?endpoint=https://store.example&region=fr-par&profile=x&style=virtual"
        "&storage_class=GLACIER&checksum=md5&part=8MB&uploads=2&timeout_s=5&attempts=2"
        "&restore_tier=Bulk&restore_days=7&volume=1TB"
    )
    got = options.read(read("cloud", text), VaultDefaults(2, 1000, tmp_path))
    assert got == options.Options(
        "b", "p/q/", "https://store.example", "fr-par", "x", "virtual", "GLACIER", "md5",
        8_000_000, 2, 5, 2, "Bulk", 7, 10**12,
    )  # fmt: skip
    assert Store(got).place == "s3://b/p/q/"
