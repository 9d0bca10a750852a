"""Ranges of bytes (RFC 9110 14): one, several, none that fit, and under a condition."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime

import pytest
from django.test import RequestFactory
from django.utils.http import http_date
from hypothesis import example, given
from hypothesis import strategies as st

from dicom_node.dicomweb.ranges import MAX_RANGES, Extract, asked, ranged
from tests.node.web_answers import whole

CONTENT = bytes(range(200))
ETAG = '"abc"'
MOMENT = datetime(2026, 11, 21, 10, 0, 0, 500_000, UTC)


def get(header="", *, content=CONTENT, stretches=None, **headers):
    request = RequestFactory().get("/", headers={"Range": header, **headers} if header else headers)
    extract = Extract(io.BytesIO(content), stretches or [(0, len(content))])
    return ranged(request, extract, "video/mp4", etag=ETAG, last_modified=MOMENT)


def test_without_a_range_the_whole_comes_and_says_that_ranges_work():
    answer = get()
    assert (answer.status_code, whole(answer)) == (200, CONTENT)
    assert answer["Content-Length"] == "200"
    assert answer["Accept-Ranges"] == "bytes"
    assert answer["Content-Type"] == "video/mp4"
    assert answer["ETag"] == ETAG


@pytest.mark.parametrize(
    ("header", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-", 0, 200),
        ("bytes=10-19", 10, 20),
        ("bytes=190-999", 190, 200),
        ("bytes=-5", 195, 200),
        ("bytes=-999", 0, 200),
        ("Bytes = 3-4 ", 3, 5),
        ("bytes=,3-4,", 3, 5),
        ("bytes=3-4,500-600", 3, 5),
    ],
)
def test_one_range_is_206_with_its_place(header, start, stop):
    answer = get(header)
    assert (answer.status_code, whole(answer)) == (206, CONTENT[start:stop])
    assert answer["Content-Range"] == f"bytes {start}-{stop - 1}/200"
    assert answer["Content-Length"] == str(stop - start)


@pytest.mark.parametrize(
    "header",
    [
        *("bytes=", "bytes=x", "bytes=5-3", "bytes=-", "bytes 1-2", "items=1-2", "bytes=1-2-3"),
        *("bytes=\u0661-2", "bytes=1-2;q=1", "bytes=1 -2"),
        "bytes=0-10,5-20",
        "bytes=" + ",".join(f"{n}-{n}" for n in range(MAX_RANGES + 1)),
    ],
)
def test_a_header_without_sense_or_with_too_much_brings_the_whole(header):
    answer = get(header)
    assert (answer.status_code, whole(answer)) == (200, CONTENT)


@pytest.mark.parametrize("header", ["bytes=200-", "bytes=300-400", "bytes=-0", "bytes=200-,-0"])
def test_ranges_beyond_the_end_are_416_with_the_size(header):
    answer = get(header)
    require_problem_416(answer)
    assert answer["Content-Range"] == "bytes */200"


def require_problem_416(answer):
    assert answer.status_code == 416
    assert answer["Content-Type"] == "application/problem+json"


def test_nothing_has_no_ranges():
    assert whole(get(content=b"")) == b""
    require_problem_416(get("bytes=0-", content=b""))


def test_several_ranges_are_multipart_byteranges_of_the_told_length():
    answer = get("bytes=10-19, -5, 0-0")
    assert answer.status_code == 206
    body = whole(answer)
    assert int(answer["Content-Length"]) == len(body)
    boundary = re.fullmatch("multipart/byteranges; boundary=(.+)", answer["Content-Type"])[1]
    opening, *parts, closing = (b"\r\n" + body).split(b"\r\n--" + boundary.encode())
    assert (opening, closing) == (b"", b"--\r\n")
    heads, bodies = zip(*(part.split(b"\r\n\r\n", 1) for part in parts), strict=True)
    assert list(bodies) == [CONTENT[10:20], CONTENT[195:], CONTENT[:1]]
    assert b"Content-Range: bytes 195-199/200" in heads[1]
    assert all(b"Content-Type: video/mp4" in head for head in heads)


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        (ETAG, 206),
        ('"other"', 200),
        (f"W/{ETAG}", 200),
        (http_date(MOMENT.timestamp()), 206),
        (http_date(MOMENT.timestamp() + 60), 200),
        (http_date(MOMENT.timestamp() - 60), 200),
        ("nonsense", 200),
    ],
)
def test_if_range_lets_a_range_through_for_the_same_content_only(condition, status):
    assert get("bytes=0-9", **{"If-Range": condition}).status_code == status


def test_a_head_request_knows_no_range():
    request = RequestFactory().head("/", headers={"Range": "bytes=0-9"})
    answer = ranged(request, Extract(io.BytesIO(CONTENT), [(0, 200)]), "video/mp4")
    assert (answer.status_code, answer["Content-Length"]) == (200, "200")


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 20)), min_size=1, max_size=6),
    st.integers(0, 130),
    st.integers(0, 130),
)
def test_stretches_of_a_file_read_as_one(stretches, start, stop):
    joined = b"".join(CONTENT[offset : offset + length] for offset, length in stretches)
    extract = Extract(io.BytesIO(CONTENT), stretches)
    assert extract.size_bytes == len(joined)
    assert b"".join(extract.read(start, stop)) == joined[start : max(start, stop)]


@given(st.text(max_size=30) | st.from_regex(r"bytes=([0-9-]{0,4},?){0,5}"), st.integers(0, 50))
@example("bytes=" + "9" * 400, 50)
def test_any_header_gives_ranges_within_the_content(header, size):
    found = asked(header, size)
    for start, stop in found or []:
        assert 0 <= start < stop <= size


def test_the_file_is_closed_whether_its_bytes_were_sent_or_not():
    for header in ("", "bytes=0-1", "bytes=900-", "bytes=0-1,4-5"):
        file = io.BytesIO(CONTENT)
        request = RequestFactory().get("/", headers={"Range": header})
        ranged(request, Extract(file, [(0, 200)]), "video/mp4").close()
        assert file.closed


def test_a_file_that_shrank_breaks_the_answer_off():
    answer = get(stretches=[(0, 300)])
    with pytest.raises(EOFError):
        whole(answer)
