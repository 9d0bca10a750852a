"""Nonsense on the DICOM port: the node never dies, never grows, never answers success wrongly."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import struct
import time
import zlib
from collections.abc import Callable, Iterator

import pytest

from tests.support import raw_association as raw
from tests.support import roles
from tests.support.data_sets import ct, encoded
from tests.support.node_under_fault import (
    SOAK,
    data_set_digest,
    indexed,
    left_overs,
    objects,
    quarantined,
    scp_processes,
    serving,
    small_object,
    store,
    wait_until,
)
from tests.support.process_tree import peak_rss_bytes, pss_bytes
from tests.support.raw_association import CT_IMAGE, EXPLICIT, Ended, RawAssociation

FUZZ_S = 600.0 if SOAK else 30.0
GROWTH_BYTES = 64 << 20
PEAK_BYTES = 200 << 20  # of one process
WARM_UP = 300  # cases before memory is first looked at
DEFLATED = "1.2.840.10008.1.2.1.99"
IMPLICIT = raw.IMPLICIT
CONTEXTS = ((1, CT_IMAGE, (EXPLICIT,)), (3, raw.VERIFICATION, (IMPLICIT,)),
            (5, CT_IMAGE, (DEFLATED,)), (7, CT_IMAGE, (IMPLICIT,)))  # fmt: skip
UID = "1.2.826.0.1.99.9"

Case = Callable[[random.Random], list[bytes]]


class Fuzzer:
    """One node, one seed, and what was answered with success."""

    def __init__(self, node: roles.Role, seed: int) -> None:
        self.node = node
        self.chance = random.Random(seed)
        self.succeeded: dict[str, bytes] = {}
        self.number = 0

    def connect(self) -> RawAssociation:
        """Open a connection, from one of many addresses as no limit is tried here."""
        source = f"127.0.0.{self.chance.randint(2, 250)}"
        return RawAssociation(self.node.dicom_port, 5, source)

    def throw(self, pdus: list[bytes], *, associated: bool) -> None:
        """Send PDUs, read a little of what comes back, and go."""
        with self.connect() as association, contextlib.suppress(OSError, Ended):
            if associated:
                association.associate(*CONTEXTS)
            for one in pdus:
                association.send(one)
            association.socket.settimeout(self.chance.choice((0.001, 0.01, 0.05)))
            association.socket.recv(4096)
            if self.chance.random() < 0.3:
                association.reset()

    def store_mutated(self) -> None:
        """Send a mutated object as a whole C-STORE, and remember what was answered."""
        self.number += 1
        uid, data_set = small_object(self.number, f"{UID}.1")
        mutated = mutate(self.chance, data_set)
        with self.connect() as association, contextlib.suppress(OSError, Ended):
            association.associate(*CONTEXTS)
            context = self.chance.choice((1, 1, 1, 5, 7))
            if association.store(uid, mutated, context).status == 0:
                self.succeeded[uid] = mutated


def mutate(chance: random.Random, data: bytes) -> bytes:
    """Return data with some bytes changed, cut out, doubled or replaced by what tends to hurt."""
    mutated = bytearray(data)
    for _ in range(chance.randint(1, 8)):
        at = chance.randrange(len(mutated) + 1)
        kind = chance.randrange(5)
        if kind == 0:
            mutated[at : at + 1] = chance.randbytes(1)
        elif kind == 1:
            del mutated[at : at + chance.randint(1, 40)]
        elif kind == 2:
            mutated[at:at] = mutated[at : at + chance.randint(1, 40)]
        elif kind == 3:
            mutated[at : at + 4] = chance.choice(HURTING)
        else:
            mutated[at:at] = chance.randbytes(chance.randint(1, 40))
    return bytes(mutated)


HURTING = (b"\xff\xff\xff\xff", b"\xfe\xff\xff\xff", b"\x00\x00\x00\x80", bytes(4),
           b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0", b"\x01\x00\x00\x00")  # fmt: skip


def random_bytes(chance: random.Random) -> list[bytes]:
    return [chance.randbytes(chance.randint(1, 400))]


def random_pdus(chance: random.Random) -> list[bytes]:
    return [
        raw.pdu(chance.randrange(256), chance.randbytes(chance.randint(0, 100)))
        for _ in range(chance.randint(1, 5))
    ]


def lying_lengths(chance: random.Random) -> list[bytes]:
    length = chance.choice((0, 1, 3, 2**16, 2**24, 2**31, 2**32 - 1))
    return [raw.pdu(chance.randint(1, 7), chance.randbytes(50), length=length)]


def mutated_requests(chance: random.Random) -> list[bytes]:
    return [mutate(chance, raw.associate_rq(CONTEXTS, more=user_items(chance)))]


def hostile_requests(chance: random.Random) -> list[bytes]:
    """A-ASSOCIATE-RQs of good form and bad content."""
    contexts = [
        (chance.choice((0, 1, 2, 255, n % 256)), CT_IMAGE, (EXPLICIT,) * chance.randint(0, 20))
        for n in range(chance.randint(0, 300))
    ]
    called = chance.choice((b"", b"\xff" * 16, b"A\\B", b"../../etc/passwd"))
    return [raw.associate_rq(contexts, called=called, max_pdu=chance.choice((0, 1, 6, 2**32 - 1)))]


def user_items(chance: random.Random) -> bytes:
    return b"".join(
        raw.item(chance.choice((0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x99)),
                 chance.randbytes(chance.randint(0, 60)))
        for _ in range(chance.randint(0, 4))
    )  # fmt: skip


def values_out_of_place(chance: random.Random) -> list[bytes]:
    """P-DATA-TFs that break PS3.8 9.3.5 or the order of PS3.7 9.3."""
    data = raw.p_data(1, chance.randbytes(30), command=False, last=True)
    command = raw.p_data(1, raw.c_store_rq(UID), command=True, last=True)
    return chance.choice(
        (
            [data],  # a data set without its command
            [command, command],  # a command where the data set is due
            [command, raw.p_data(99, b"x", command=False, last=True)],  # an unknown context
            [command, raw.p_data(3, b"x" * 8, command=False, last=True)],  # another one
            [raw.pdu(raw.P_DATA, raw.pdv(1, b"abc", command=False, last=True, length=2**31))],
            [raw.pdu(raw.P_DATA, raw.pdv(1, b"", command=True, last=True, length=1))],
            [raw.pdu(raw.P_DATA, raw.pdv(1, b"", command=False, last=False))] * 50,
            [raw.pdu(raw.P_DATA)],  # no value at all
            [raw.p_data(1, b"\0" * 9000, command=True, last=False)] * 40,  # a command without end
            [command, raw.pdu(raw.RELEASE_RQ, bytes(4))],
            [raw.associate_rq(CONTEXTS)],  # a second request
        )
    )


def command_sets(chance: random.Random) -> list[bytes]:
    """Command sets with what is missing, doubled, oversized or of another service."""
    elements = [
        raw.element(0x0002, raw.ui(CT_IMAGE)),
        raw.element(0x0100, raw.us(chance.choice((1, 1, 0x20, 0x21, 0x10, 0x30, 0x8001, 0x999)))),
        raw.element(0x0110, raw.us(7)),
        raw.element(0x0700, raw.us(0)),
        raw.element(0x0800, raw.us(chance.choice((0, 0x0101, 0x7777)))),
        raw.element(0x1000, raw.ui(chance.choice(BAD_UIDS))),
    ]
    chance.choice((elements.pop, lambda: elements.append(elements[0]), elements.reverse))()
    if chance.random() < 0.3:
        elements.append(raw.element(0x0902, bytes(chance.choice((0, 3, 64_000)))))
    if chance.random() < 0.3:
        elements.append(raw.element(0x0500, b"x" * 9, length=2**31))
    if chance.random() < 0.3:
        chance.shuffle(elements)
    group_length = chance.choice((None, 0, 2**32 - 1))
    command = raw.command_set(*elements, group_length=group_length)
    context = chance.choice((1, 3, 5))
    data = raw.p_data(context, chance.randbytes(40), command=False, last=True)
    return [raw.p_data(context, command, command=True, last=True), data]


def cancels(chance: random.Random) -> list[bytes]:
    cancel = raw.command_set(
        raw.element(0x0100, raw.us(raw.C_CANCEL_RQ)),
        raw.element(0x0120, raw.us(chance.randrange(65536))),
        raw.element(0x0800, raw.us(raw.NO_DATA)),
    )
    one = raw.p_data(chance.choice((1, 3)), cancel, command=True, last=True)
    return [one] * chance.randint(1, 5)


def cut_transfers(chance: random.Random) -> list[bytes]:
    """A good object that stops somewhere."""
    _, data_set = small_object(1, f"{UID}.2")
    pdus = [raw.p_data(1, raw.c_store_rq(f"{UID}.2.1.1"), command=True, last=True)]
    pdus += raw.data_pdus(1, [data_set[: chance.randrange(len(data_set))]])
    whole = b"".join(pdus)
    return [whole[: chance.randrange(len(whole) - 2)]]


BAD_UIDS = (
    "../../x",
    "1." * 33 + "1",
    "1.2\0.3",
    "",
    "1..2",
    "a.b",
    "/etc/passwd",
    "1.2.3/..",
    ".",
)
BEFORE: list[Case] = [random_bytes, random_pdus, lying_lengths, mutated_requests, hostile_requests]
WITHIN: list[Case] = [
    random_bytes, random_pdus, lying_lengths, values_out_of_place, command_sets, cancels,
    cut_transfers,
]  # fmt: skip


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    settings = {"PACS_DICOM_IDLE_S": "5", "PACS_DICOM_ARTIM_S": "5"}
    with serving(tmp_path_factory.mktemp("fuzz"), **settings) as node:
        yield node


def assert_unharmed(node: roles.Role, processes: list[int], number: int) -> None:
    """The same processes live, and take a good object."""
    assert scp_processes(node) == processes, node.log[-3000:]
    uid, data_set = small_object(number, f"{UID}.3")
    assert store(node, uid, data_set).status == 0
    assert indexed(node)[uid] == hashlib.sha256(data_set).hexdigest()
    before, traceback, after = node.log.partition("Traceback")
    assert not traceback, before[-1500:] + traceback + after[:4000]


def assert_true_successes(node: roles.Role, succeeded: dict[str, bytes]) -> None:
    """Whatever was answered with success is found, under some digest, and whole."""
    rows, files, aside = indexed(node), objects(node), quarantined(node)
    for uid, sent in succeeded.items():
        digest = hashlib.sha256(sent).hexdigest()
        if rows.get(uid) == digest:
            assert data_set_digest(files[uid]) == digest
        else:
            assert (uid, digest) in aside, f"{uid} was answered with success and is not found"


@pytest.mark.slow
@pytest.mark.timeout(FUZZ_S + 120)
def test_nonsense_neither_kills_nor_swells_nor_deceives_the_node(node):
    seed = int(os.environ.get("PACS_TEST_SEED", random.randrange(2**32)))
    print(f"seed {seed} (repeat with PACS_TEST_SEED={seed})")
    fuzzer = Fuzzer(node, seed)
    processes = scp_processes(node)
    deadline = time.monotonic() + FUZZ_S
    cases = 0
    before = None
    while time.monotonic() < deadline:
        kind = fuzzer.chance.randrange(3)
        if kind == 0:
            case = fuzzer.chance.choice(BEFORE)
            fuzzer.throw(case(fuzzer.chance), associated=False)
        elif kind == 1:
            case = fuzzer.chance.choice(WITHIN)
            fuzzer.throw(case(fuzzer.chance), associated=True)
        else:
            fuzzer.store_mutated()
        cases += 1
        if cases == WARM_UP:
            before = memory(node)
        if cases % 200 == 0:
            assert_unharmed(node, processes, cases)
    assert before is not None, f"only {cases} cases: the test shows nothing"
    assert_unharmed(node, processes, cases + 1)
    wait_until(lambda: not left_overs(node), lambda: f"left: {left_overs(node)}")
    assert_true_successes(node, fuzzer.succeeded)
    grown = memory(node) - before
    assert grown < GROWTH_BYTES, f"{cases} cases, {grown >> 20} MB grown"
    print(f"{cases} cases, {len(fuzzer.succeeded)} mutated objects stored, {grown >> 20} MB grown")


def memory(node: roles.Role) -> int:
    assert node.process is not None
    return pss_bytes(node.process.pid)


def hostile_data_sets() -> Iterator[tuple[str, int, bytes]]:
    """Yield (name, context, data set) of objects that are made to hurt; the UID is UID.4.1.1."""
    base = ct(1, study=f"{UID}.4", series=f"{UID}.4.1")
    whole = encoded(base)
    pixels = whole.index(b"\xe0\x7f\x10\x00")
    header = whole[:pixels]
    open_item, open_sequence = (
        b"\xfe\xff\x00\xe0" + b"\xff" * 4,
        b"\x08\x00\x40\x11SQ\0\0" + b"\xff" * 4,
    )
    at = header.index(b"\x08\x00\x60\x00")
    nested = (open_sequence + open_item) * 1000
    yield "sequences nested 1,000 deep", 1, header[:at] + nested + header[at:]
    yield "sequences nested 100,000 deep", 1, header[:at] + nested * 100
    yield "a deflate bomb", 5, deflated(header, 2 << 30)
    yield "a deflate bomb of pixels", 5, deflated(header + pixel_element(2 << 30), 2 << 30)
    yield "a deflated stream that is none", 5, b"\xff" * 5000
    yield "a length of 4 GB", 1, header[:at] + b"\x09\x00\x01\x10UN\0\0\xfe\xff\xff\xff" + b"x" * 99
    yield "an odd, huge text", 1, header[:at] + b"\x08\x00\x81\x00ST\xff\xff" + b"x" * 65535
    yield (
        "thousands of empty items",
        1,
        (header[:at] + open_sequence + b"\xfe\xff\x00\xe0\0\0\0\0" * 200_000 + header[at:]),
    )
    yield "fifty thousand private elements", 1, private_elements(header, 50_000)


def private_elements(header: bytes, count: int) -> bytes:
    """Put private elements in front of the pixels."""
    block = [header]
    for number in range(count):
        block.append(struct.pack("<HH2sH", 0x7001 + 2 * (number >> 16), number & 0xFFFF, b"LO", 2))
        block.append(b"xy")
    return b"".join(block)


def pixel_element(size: int) -> bytes:
    return struct.pack("<HH2sHL", 0x7FE0, 0x0010, b"OW", 0, size)


def deflated(start: bytes, zeros: int) -> bytes:
    """Return a small stream that inflates to `start` and then gigabytes of nothing."""
    engine = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    parts = [engine.compress(start)]
    chunk = bytes(16 << 20)
    parts += [engine.compress(chunk) for _ in range(zeros // len(chunk) // (1 if SOAK else 4))]
    return b"".join([*parts, engine.flush()])


@pytest.mark.slow
def test_objects_made_to_hurt_are_refused_or_kept_whole(node):
    processes = scp_processes(node)
    uid = f"{UID}.4.1.1"
    for name, context, data_set in hostile_data_sets():
        with RawAssociation(node.dicom_port, 60).associate(*CONTEXTS) as association:
            status = association.store(uid, data_set, context).status
            association.release()
        assert scp_processes(node) == processes, f"{name}: {node.log[-3000:]}"
        if status == 0:
            assert_true_successes(node, {uid: data_set})
        else:
            assert status in range(0xA700, 0xD000), f"{name}: 0x{status:04X}"
        peak = max(peak_rss_bytes(pid) for pid in processes)
        assert peak < PEAK_BYTES, f"{name}: {peak >> 20} MB in one process"
    assert_unharmed(node, processes, 31_000)


@pytest.mark.slow
@pytest.mark.parametrize("uid", BAD_UIDS)
def test_a_uid_that_is_no_uid_is_refused_and_makes_no_path(node, uid):
    study = f"{UID}.5"
    ds = ct(1, study=study, series=f"{study}.1")
    padded = uid.encode() + b"\0" * (len(uid) % 2)
    plain = encoded(ds)
    own = str(ds.SOPInstanceUID).encode()
    own += b"\0" * (len(own) % 2)
    old = struct.pack("<HH2sH", 8, 0x18, b"UI", len(own)) + own
    assert old in plain
    data_set = plain.replace(old, struct.pack("<HH2sH", 8, 0x18, b"UI", len(padded)) + padded)
    before = set(objects(node).values())
    with RawAssociation(node.dicom_port).associate() as association:
        answer = association.store(uid, data_set)
        assert answer.status in range(0xA700, 0xD000), hex(answer.status)
        assert association.echo() == 0
        association.release()
    assert set(objects(node).values()) == before
