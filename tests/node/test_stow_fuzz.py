"""Whatever comes as a body: an answer that explains itself, and nothing half on the disk."""

from __future__ import annotations

import os

import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dicom_node.dicomweb.stow_body import media_type, read_parts
from dicom_node.dicomweb.stow_object import read_meta
from dicom_node.ingest import door
from dicom_node.models import Instance
from dicom_node.store.layout import Layout
from pacs_common.errors import BadInput, NotDicom
from tests.node.objects import ct
from tests.node.stow_bodies import BOUNDARY, KEPT, Post, as_file, body, poster, uids

EXAMPLES = 400 if os.environ.get("PACS_TEST_SOAK") else 60
WHOLE = body(map(as_file, [ct(1), ct(2), ct(3)]))
ON_A_NODE = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture
def post(layout: Layout, transactional_db: None, ticket) -> Post:
    """POST to the node with a ticket that may store."""
    token = ticket("dicomweb.store", lifetime_s=3600)
    yield poster(Client(headers={"Authorization": f"Bearer {token}"}))
    door.close()


class Collected:
    """A receiver that keeps what it is given."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.headers: list[dict[str, str]] = []

    def begin(self, headers: dict[str, str]) -> None:
        self.headers.append(headers)
        self.parts.append(b"")

    def write(self, chunk: memoryview) -> None:
        self.parts[-1] += bytes(chunk)

    def end(self) -> None:
        pass


def cut(content: bytes, places: list[int]) -> list[bytes]:
    """Return content in pieces that end at these places."""
    ends = sorted({place % (len(content) + 1) for place in places} | {len(content)})
    return [content[start:end] for start, end in zip([0, *ends], ends, strict=False)]


NEAR_BOUNDARIES = st.lists(
    st.sampled_from([b"\r\n", b"--", b"\r\n--" + BOUNDARY[:-1].encode(), b"\r", b"-", b"x", b"\0"]),
    max_size=8,
).map(b"".join)


@given(parts=st.lists(NEAR_BOUNDARIES, min_size=1, max_size=4), places=st.lists(st.integers(0)))
def test_parts_come_out_as_they_went_in_however_the_body_is_cut(parts, places):
    collected = Collected()
    read_parts(iter(cut(body(parts), places)), BOUNDARY, collected, 99)
    assert collected.parts == parts
    assert collected.headers == [{"content-type": "application/dicom"}] * len(parts)


@given(st.binary(max_size=400), st.text(max_size=90))
def test_any_bytes_are_parts_or_a_bad_request(content, boundary):
    try:
        read_parts(iter([content]), boundary, Collected(), 5)
    except BadInput:
        pass


@given(st.text(max_size=200))
def test_any_content_type_is_read_or_a_bad_request(text):
    try:
        found = media_type(text)
    except BadInput:
        return
    assert all(isinstance(value, str) for value in [found.name, *found.parameters.values()])


@given(st.binary(max_size=300), st.integers(0, 400))
def test_any_head_of_a_file_is_a_meta_group_no_dicom_or_too_short(noise, at):
    head = bytearray(as_file(ct(1))[:400])
    head[at : at + len(noise)] = noise
    try:
        found = read_meta(bytes(head))
    except NotDicom:
        return
    if found is not None:
        elements, start = found
        assert elements and 132 < start <= len(head)


CHANGES = st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), max_size=6)


@ON_A_NODE
@given(changes=CHANGES, end=st.integers(0, len(WHOLE)))
def test_a_damaged_body_stores_whole_objects_or_none(post, layout, changes, end):
    content = bytearray(WHOLE)
    for place, value in changes:
        content[place] = value
    before = set(Instance.objects.values_list("uid", flat=True))
    answer = post(bytes(content[:end]) or b"-")
    assert answer.status_code in (200, 202, 400, 409), answer.content
    assert not list(layout.objects.rglob("*.part"))
    known = set(Instance.objects.values_list("uid", flat=True))
    if answer.status_code in (200, 202):
        assert set(uids(answer, KEPT)) <= known
    else:
        assert known == before
