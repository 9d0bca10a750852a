"""What every vault promises (archive_node/vault/base.py), run on every kind."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from archive_node import vault_setting
from archive_node.vault import kinds
from archive_node.vault.base import MemberExists, TooLarge, Vault, VolumeState
from archive_node.vault_setting import BadSpec, VaultDefaults
from pacs_common import errors
from tests.support.tape_stand_ins.rig import Rig

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
VOLUME_BYTES = 50_000
MEMBER = "CT/1.2/r1-1.tar"


class Kind:
    """A kind of vault as tests make it; `written` is its setting, as in PACS_VAULTS."""

    is_held_alone = False  # a volume serves one caller at a time, readers too
    has_shelf = False

    def written(self, request: pytest.FixtureRequest, folder: Path) -> str:
        raise NotImplementedError


class Tape(Kind):
    is_held_alone = True
    has_shelf = True

    def written(self, request: pytest.FixtureRequest, folder: Path) -> str:
        return f"tape:{folder / 'vault'}?drives=2&volume={VOLUME_BYTES}"


class Disk(Kind):
    def written(self, request: pytest.FixtureRequest, folder: Path) -> str:
        return f"disk:{folder / 'vault'}?volume={VOLUME_BYTES}"


class S3(Kind):
    def written(self, request: pytest.FixtureRequest, folder: Path) -> str:
        store, bucket = (request.getfixturevalue(name) for name in ("store", "bucket"))
        return f"s3://{bucket}/archive/main?endpoint={store.endpoint}&volume={VOLUME_BYTES}"


class Library(Kind):
    """A real library, its programs stood in for; an operator fills it when asked."""

    is_held_alone = True
    has_shelf = True

    def __init__(self, mode: str) -> None:
        self._mode = mode

    def written(self, request: pytest.FixtureRequest, folder: Path) -> str:
        rig = Rig(folder / "vault", self._mode).filled(VOLUME_BYTES)
        return rig.written(volume=str(VOLUME_BYTES))


KINDS: dict[str, Kind] = {
    "tape": Tape(),
    "disk": Disk(),
    "s3": S3(),
    "library-tar": Library("tar"),
    "library-ltfs": Library("ltfs"),
}

MakeVault = Callable[[], Vault]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


@pytest.fixture
def written(kind: Kind, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return kind.written(request, tmp_path)


def opened(written: str, folder: Path) -> Vault:
    """Open the vault of this test, made where there is none, as another process would."""
    defaults = VaultDefaults(2, VOLUME_BYTES, folder / "state")
    return kinds.create(vault_setting.read("vault-1", written), defaults)


@pytest.fixture
def make_vault(written: str, tmp_path: Path) -> Iterator[MakeVault]:
    """Open the vault of this test: the same each time."""
    yield lambda: opened(written, tmp_path)
    Rig.end(tmp_path / "vault")


@pytest.fixture
def vault(make_vault: MakeVault) -> Vault:
    return make_vault()


def put(vault: Vault, member: str, content: bytes) -> str:
    return vault.append(member, len(content), lambda file: file.write(content))


def get(vault: Vault, label: str, member: str) -> bytes:
    with vault.warm(label) as mounted, mounted.open(member) as file:
        return file.read()


def members(vault: Vault, label: str) -> list[str]:
    with vault.warm(label) as mounted:
        return mounted.members()


def states(vault: Vault) -> list[str]:
    return [str(volume.state) for volume in vault.volumes()]


def test_a_new_vault_offers_one_scratch_volume(vault):
    (volume,) = vault.volumes()
    assert (volume.label, volume.state, volume.used_bytes) == ("A00001", VolumeState.SCRATCH, 0)
    assert volume.capacity_bytes == VOLUME_BYTES
    assert not volume.shelved


def test_it_is_called_what_the_settings_call_it(vault, written, tmp_path):
    assert vault.name == "vault-1"
    defaults = VaultDefaults(2, VOLUME_BYTES, tmp_path / "state")
    renamed = kinds.opened(vault_setting.read("onsite", written), defaults)
    assert (renamed.name, renamed.library_id) == ("onsite", vault.library_id)


def test_an_option_that_this_kind_does_not_have_is_refused(written, tmp_path):
    with pytest.raises(BadSpec, match=r"no option of .* is called 'colour'"):
        opened(written + "&colour=red", tmp_path)


def test_the_settings_that_the_page_shows_can_be_read():
    page = (ROOT / "docs" / "vaults.md").read_text()
    (line,) = re.findall(r"^PACS_VAULTS=(.+)$", page, re.MULTILINE)
    specs = [vault_setting.read(*each.split("=", 1)) for each in line.split(",")]
    assert [(spec.kind, spec.is_required) for spec in specs] == [
        ("tape", True),
        ("disk", False),
        ("s3", True),
    ]


def test_an_archive_without_an_object_store_does_not_hold_its_library(tmp_path):
    code = f"{OPEN}\nprint('boto3' in sys.modules)"
    writer = process(code, f"disk:{tmp_path / 'vault'}", tmp_path)
    assert writer.communicate(timeout=30)[0] == "False\n"


def test_what_was_appended_is_read_back(vault):
    label = put(vault, MEMBER, b"bytes" * 100)
    assert get(vault, label, MEMBER) == b"bytes" * 100
    assert vault.volumes()[0].state == VolumeState.FILLING
    assert vault.volumes()[0].used_bytes == 500


def test_a_reader_may_go_anywhere_in_a_member(vault):
    content = bytes(range(256)) * 100
    label = put(vault, MEMBER, content)
    with vault.warm(label) as mounted, mounted.open(MEMBER) as file:
        file.seek(20_000)
        assert (file.read(10), file.tell()) == (content[20_000:20_010], 20_010)
        file.seek(-5, 2)
        assert file.read(100) == content[-5:]
        file.seek(7)
        file.seek(3, 1)
        assert file.read(1) == content[10:11]
        assert file.seek(len(content) + 50) == len(content) + 50
        assert file.read(1) == b""


def test_a_member_without_bytes_is_a_member(vault):
    label = put(vault, MEMBER, b"")
    assert (vault.find(MEMBER), get(vault, label, MEMBER)) == (label, b"")
    put(vault, "CT/1.2/r2-1.tar", b"bytes")
    assert members(vault, label) == [MEMBER, "CT/1.2/r2-1.tar"]


def test_another_process_sees_the_same_vault(vault, make_vault):
    label = put(vault, MEMBER, b"bytes")
    other = make_vault()
    assert other.library_id == vault.library_id
    assert other.volumes()[0].used_bytes == 5
    assert get(other, label, MEMBER) == b"bytes"


def test_find_names_the_volume_that_holds_a_member(vault):
    assert vault.find(MEMBER) is None
    label = put(vault, MEMBER, b"bytes")
    assert vault.find(MEMBER) == label
    assert vault.find("CT/1.2/r1-10.tar") is None


def test_a_member_is_never_replaced(vault):
    label = put(vault, MEMBER, b"first")
    with pytest.raises(MemberExists):
        put(vault, MEMBER, b"other")
    assert get(vault, label, MEMBER) == b"first"


def test_a_member_of_a_closed_volume_is_never_written_again(vault):
    put(vault, MEMBER, b"x" * VOLUME_BYTES)
    put(vault, "CT/1.2/r2-1.tar", b"x")
    assert states(vault) == ["full", "filling"]
    with pytest.raises(MemberExists, match="A00001"):
        put(vault, MEMBER, b"other")


def test_a_write_that_fails_leaves_no_member(vault):
    def write(file):
        file.write(b"half")
        raise errors.Unavailable("the node went away")

    with pytest.raises(errors.Unavailable, match="the node went away"):
        vault.append(MEMBER, 8, write)
    assert vault.find(MEMBER) is None
    assert vault.volumes()[0].used_bytes == 0
    assert members(vault, "A00001") == []
    put(vault, MEMBER, b"complete")


@pytest.mark.parametrize("content", [b"four", b"more than eight"])
def test_a_write_of_another_size_than_announced_leaves_no_member(vault, content):
    with pytest.raises(ValueError, match="not 8"):
        vault.append(MEMBER, 8, lambda file: file.write(content))
    assert vault.find(MEMBER) is None


def test_a_full_volume_is_followed_by_the_next_and_never_exceeds_its_capacity(vault):
    labels = [put(vault, f"CT/1.2/r{number}-1.tar", b"x" * 20_000) for number in range(5)]
    assert labels == ["A00001", "A00001", "A00002", "A00002", "A00003"]
    assert states(vault) == ["full", "full", "filling"]
    assert all(volume.used_bytes <= volume.capacity_bytes for volume in vault.volumes())
    assert [volume.used_bytes for volume in vault.volumes()] == [40_000, 40_000, 20_000]


def test_a_volume_may_be_filled_to_its_last_byte(vault):
    assert put(vault, MEMBER, b"x" * VOLUME_BYTES) == "A00001"
    assert put(vault, "CT/1.2/r2-1.tar", b"x") == "A00002"


def test_more_than_a_volume_is_refused_and_fills_none(vault):
    with pytest.raises(TooLarge, match="do not fit"):
        put(vault, MEMBER, b"x" * (VOLUME_BYTES + 1))
    assert states(vault) == ["scratch"]


def test_members_are_listed_in_the_order_of_writing(vault, make_vault):
    names = [f"CT/1.2/r{number}-1.tar" for number in (7, 3, 12, 1, 5)]
    for name in names:
        put(vault, name, b"x" * 10)
    assert members(make_vault(), "A00001") == names


def test_a_closed_volume_keeps_the_order_of_its_members(vault, make_vault):
    names = [f"CT/1.2/r{number}-1.tar" for number in (7, 3, 12)]
    for name in names:
        put(vault, name, b"x" * 16_000)
    assert put(vault, "CT/1.2/r99-1.tar", b"x" * 16_000) == "A00002"
    assert states(vault) == ["full", "filling"]
    assert members(make_vault(), "A00001") == names


def test_sizes_are_those_of_the_members(vault):
    label = put(vault, MEMBER, b"x" * 321)
    with vault.warm(label) as mounted:
        assert mounted.size_of(MEMBER) == 321
        assert mounted.size_of("CT/1.2/r9-1.tar") is None


def test_nothing_of_a_volume_in_reach_has_to_be_thawed(vault):
    label = put(vault, MEMBER, b"bytes")
    with vault.warm(label) as mounted:
        mounted.thaw([MEMBER])
        with pytest.raises(errors.NotFound):
            mounted.thaw(["CT/1.2/r9-1.tar"])


def test_unknown_volumes_and_members_are_not_found(vault):
    with pytest.raises(errors.NotFound), vault.warm("A00009"):
        pass
    with pytest.raises(errors.NotFound), vault.warm("../state"):
        pass
    with vault.warm("A00001") as mounted, pytest.raises(errors.NotFound):
        mounted.open(MEMBER)


@pytest.mark.parametrize(
    "member",
    ["../x.tar", "/x.tar", "CT/../x.tar", "CT//x.tar", "", "LABEL", "x.tar", "CT/x", "CT/x.tar\n"],
)
def test_a_name_that_could_leave_its_volume_is_refused(vault, member):
    with pytest.raises(errors.BadInput):
        put(vault, member, b"bytes")
    with pytest.raises(errors.BadInput):
        vault.find(member)
    with vault.warm("A00001") as mounted, pytest.raises(errors.BadInput):
        mounted.open(member)


def test_only_a_member_that_is_there_can_be_settled(vault):
    label = put(vault, MEMBER, b"bytes")
    with vault.warm(label) as mounted:
        mounted.settle(MEMBER)
        with pytest.raises(errors.NotFound):
            mounted.settle("CT/1.2/r9-1.tar")


# What is decided of a volume


def test_nothing_is_appended_to_a_suspect_volume_but_it_is_read(vault, make_vault):
    put(vault, MEMBER, b"bytes")
    vault.mark("A00001", VolumeState.SUSPECT)
    assert states(make_vault())[0] == "suspect"
    assert put(vault, "CT/1.2/r2-1.tar", b"bytes") == "A00002"
    assert get(vault, "A00001", MEMBER) == b"bytes"
    assert vault.find(MEMBER) == "A00001"
    with pytest.raises(MemberExists):
        put(vault, MEMBER, b"bytes")


def test_a_mark_can_be_taken_back(vault):
    put(vault, MEMBER, b"bytes")
    vault.mark("A00001", VolumeState.SUSPECT)
    vault.mark("A00001", None)
    vault.mark("A00001", None)
    assert states(vault) == ["filling"]
    assert put(vault, "CT/1.2/r2-1.tar", b"bytes") == "A00001"


def test_a_retired_volume_is_neither_found_nor_warmed_nor_written(vault, make_vault):
    put(vault, MEMBER, b"bytes")
    vault.mark("A00001", VolumeState.RETIRED)
    other = make_vault()
    assert other.volumes()[0].state == VolumeState.RETIRED
    assert other.find(MEMBER) is None
    with pytest.raises(errors.NotFound, match="retired"), other.warm("A00001"):
        pass
    assert put(other, MEMBER, b"anew") == "A00002"
    assert get(other, "A00002", MEMBER) == b"anew"


@pytest.mark.parametrize("state", [VolumeState.FULL, VolumeState.EXPORTED, VolumeState.SCRATCH])
def test_only_suspect_and_retired_can_be_decided(vault, state):
    with pytest.raises(errors.BadInput):
        vault.mark("A00001", state)


def test_an_unknown_volume_cannot_be_marked(vault):
    with pytest.raises(errors.NotFound):
        vault.mark("A00009", VolumeState.SUSPECT)
    assert states(vault) == ["scratch"]


def test_a_kind_without_a_shelf_says_so(kind, vault):
    if kind.has_shelf:
        vault.shelve("A00001")
        vault.insert("A00001", "A00001")
        return
    with pytest.raises(errors.Unavailable, match="no shelf"):
        vault.shelve("A00001")
    with pytest.raises(errors.Unavailable, match="no shelf"):
        vault.insert("A00001", "A00001")
    assert states(vault) == ["scratch"]


# Several callers


def entered_beside(vault: Vault, other: Vault, hold: Callable, second: Callable) -> bool:
    """Return whether `second` gets through while `hold` lasts; it must once that has ended."""
    entered = threading.Event()

    def go() -> None:
        second(other)
        entered.set()

    thread = threading.Thread(target=go)
    with hold(vault):
        thread.start()
        beside = entered.wait(0.3)
    assert entered.wait(10)
    thread.join()
    return beside


def test_a_volume_serves_one_caller_at_a_time_or_any_reader(kind, vault, make_vault):
    put(vault, MEMBER, b"bytes")

    def read(other: Vault) -> None:
        get(other, "A00001", MEMBER)

    beside = entered_beside(vault, make_vault(), lambda each: each.warm("A00001"), read)
    assert beside is not kind.is_held_alone


def test_a_volume_has_one_writer_at_a_time(vault, make_vault):
    order = []
    inside, go_on = threading.Event(), threading.Event()

    def slow(file) -> None:
        inside.set()
        assert go_on.wait(10)
        file.write(b"first")
        order.append("first")

    def fast(file) -> None:
        file.write(b"other")
        order.append("other")

    first = threading.Thread(target=lambda: vault.append(MEMBER, 5, slow))
    other = threading.Thread(target=lambda: make_vault().append("CT/1.2/r2-1.tar", 5, fast))
    first.start()
    assert inside.wait(10)
    other.start()
    other.join(0.3)
    go_on.set()
    first.join(10)
    other.join(10)
    assert order == ["first", "other"]
    assert members(vault, "A00001") == [MEMBER, "CT/1.2/r2-1.tar"]


class Tired(Exception):
    pass


def give_up() -> None:
    raise Tired


def test_what_ends_the_wait_for_a_writer_leaves_the_vault_usable(vault, make_vault):
    def interrupted(file) -> None:
        with pytest.raises(Tired):
            make_vault().append("CT/1.3/r1-1.tar", 5, lambda inner: inner.write(b"bytes"), give_up)
        file.write(b"bytes")

    vault.append(MEMBER, 5, interrupted)
    assert vault.find("CT/1.3/r1-1.tar") is None
    put(vault, "CT/1.3/r1-1.tar", b"bytes")


def test_a_volume_that_becomes_suspect_while_a_writer_waits_for_it_is_not_written(
    vault, make_vault
):
    waits = threading.Event()
    labels = []

    def other() -> None:
        content = b"other"
        labels.append(
            make_vault().append(
                "CT/1.2/r2-1.tar", len(content), lambda file: file.write(content), waits.set
            )
        )

    thread = threading.Thread(target=other)

    def write(file) -> None:
        thread.start()
        assert waits.wait(10)
        vault.mark("A00001", VolumeState.SUSPECT)
        file.write(b"first")

    label = vault.append(MEMBER, 5, write)
    thread.join(60)
    assert label == ("A00002" if vault.spools else "A00001")  # spooled: nothing was written yet
    assert labels == ["A00002"]
    assert MEMBER in members(vault, label)
    assert "CT/1.2/r2-1.tar" not in members(vault, "A00001")


def test_many_writers_share_the_vault_without_loss(make_vault):
    def write(number: int) -> None:
        content = bytes([number]) * 9_000
        put(make_vault(), f"CT/1.{number}/r1-1.tar", content)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    vault = make_vault()
    for number in range(12):
        member = f"CT/1.{number}/r1-1.tar"
        assert get(vault, vault.find(member), member) == bytes([number]) * 9_000
    assert all(volume.used_bytes <= VOLUME_BYTES for volume in vault.volumes())
    assert sum(volume.used_bytes for volume in vault.volumes()) == 12 * 9_000


OPEN = """
import sys
from pathlib import Path
from tests.contract.test_vault import opened
vault = opened(sys.argv[1], Path(sys.argv[2]))
"""

WRITE_ON = f"""{OPEN}
import itertools
for number in itertools.count():
    name = f"CT/{{sys.argv[3]}}/r{{number}}-1.tar"
    vault.append(name, 700 + number, lambda file: file.write(name.encode().ljust(700 + number)))
    print(name, 700 + number, flush=True)
"""

WRITE_MANY = f"""{OPEN}
for number in range(4):
    content = sys.argv[3].encode() * 9_000
    vault.append(f"CT/{{sys.argv[3]}}/r{{number}}-1.tar", 9_000, lambda file: file.write(content))
"""


def process(code: str, *words: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, words)],
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_many_writers_in_processes_share_the_vault_without_loss(vault, written, tmp_path):
    writers = [process(WRITE_MANY, written, tmp_path, number) for number in range(3)]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    for writer in writers:
        writer.stdout.close()
    for who in range(3):
        for number in range(4):
            member = f"CT/{who}/r{number}-1.tar"
            assert get(vault, vault.find(member), member) == str(who).encode() * 9_000
    assert sum(volume.used_bytes for volume in vault.volumes()) == 12 * 9_000
    listed = [name for volume in vault.volumes() for name in members(vault, volume.label)]
    assert len(listed) == len(set(listed)) == 12


STOP_IN_MID_MEMBER = f"""{OPEN}
import time
def write(file):
    file.write(b"half" * 1000)
    file.flush()
    print("half", flush=True)
    time.sleep(60)
vault.append("CT/1.2/r1-1.tar", 8000, write)
"""


def test_a_writer_that_is_killed_in_mid_member_leaves_nothing_visible(vault, written, tmp_path):
    put(vault, "CT/1.1/r1-1.tar", b"before")
    writer = process(STOP_IN_MID_MEMBER, written, tmp_path)
    assert writer.stdout.readline() == "half\n"
    writer.send_signal(signal.SIGKILL)
    writer.wait(10)
    writer.stdout.close()
    assert vault.find(MEMBER) is None
    assert vault.volumes()[0].used_bytes == 6
    assert members(vault, "A00001") == ["CT/1.1/r1-1.tar"]
    assert put(vault, MEMBER, b"complete") == "A00001"
    assert members(vault, "A00001") == ["CT/1.1/r1-1.tar", MEMBER]
    assert vault.volumes()[0].used_bytes == 14


KILLS = 4


@pytest.mark.slow
def test_killed_at_any_moment_what_was_answered_is_there_and_counted(vault, written, tmp_path):
    seed = int(os.environ.get("PACS_TEST_SEED", random.randrange(2**32)))
    print(f"seed {seed} (repeat with PACS_TEST_SEED={seed})")
    moments = random.Random(seed)
    answered: dict[str, int] = {}
    for run in range(KILLS):
        writer = process(WRITE_ON, written, tmp_path, run)
        lines = [writer.stdout.readline() for _ in range(moments.randrange(1, 6))]
        time.sleep(moments.random() * 0.02)  # to hit the next one anywhere
        writer.kill()
        rest, _ = writer.communicate(timeout=10)
        lines += [line for line in rest.splitlines(keepends=True) if line.endswith("\n")]
        answered |= {name: int(size) for name, size in map(str.split, lines)}
        time.sleep(0.2)  # a store may still finish what it was sent
        check_listed(vault, answered)
    put(vault, MEMBER, b"bytes")
    check_listed(vault, {**answered, MEMBER: 5})
    for name, size in answered.items():
        assert get(vault, vault.find(name), name) == name.encode().ljust(size)


def check_listed(vault: Vault, answered: dict[str, int]) -> None:
    """What was answered is there; what is there is listed once, and counted."""
    listed: list[str] = []
    for volume in vault.volumes():
        with vault.warm(volume.label) as mounted:
            names = mounted.members()
            sizes = [mounted.size_of(name) or 0 for name in names]
        assert volume.used_bytes == sum(sizes) <= volume.capacity_bytes
        listed += names
    assert len(listed) == len(set(listed))
    assert answered.keys() <= set(listed)
    assert len(listed) <= len(answered) + KILLS  # what was named, and killed before its answer
