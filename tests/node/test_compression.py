"""JSON and XML leave compressed as the caller takes them, pictures and streams of lines do not."""

from __future__ import annotations

import gzip

import brotli
import pytest
from django.http import HttpResponse, StreamingHttpResponse
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st

from dicom_node.dicomweb.compression import MIN_BYTES, CompressAnswers, preferred
from tests.node.web_answers import whole

TEXT = b'{"00100010": "Lef"}' * 100
JSON = "application/dicom+json"


def sent(answer, accepted="br, gzip"):
    headers = {"Accept-Encoding": accepted}
    return CompressAnswers(lambda _: answer)(RequestFactory().get("/", headers=headers))


@pytest.mark.parametrize(
    ("header", "coding"),
    [
        ("", ""),
        ("identity", ""),
        ("gzip", "gzip"),
        ("br", "br"),
        ("gzip, deflate, br, zstd", "br"),
        ("gzip;q=1.0, br;q=0.5", "gzip"),
        ("BR;Q=0.5, x-gzip;q=0.4", "br"),
        ("*", "br"),
        ("br;q=0, *", "gzip"),
        ("gzip;q=0, br;q=0", ""),
        ("identity;q=1, gzip;q=0.5", ""),
        ("gzip;q=nonsense", ""),
        ("deflate", ""),
    ],
)
def test_the_best_liked_coding_is_chosen(header, coding):
    assert preferred(header, ("br", "gzip")) == coding


@given(st.text(max_size=60))
def test_any_header_gives_an_offered_coding_or_none(header):
    assert preferred(header, ("br", "gzip")) in ("", "br", "gzip")


@pytest.mark.parametrize("type_", [JSON, "application/json", "application/problem+json"])
@pytest.mark.parametrize(
    ("coding", "decompress"), [("gzip", gzip.decompress), ("br", brotli.decompress)]
)
def test_text_is_compressed_and_says_so(type_, coding, decompress):
    answer = sent(HttpResponse(TEXT, content_type=type_), coding)
    assert answer["Content-Encoding"] == coding
    assert decompress(answer.content) == TEXT
    assert answer["Content-Length"] == str(len(answer.content))
    assert "Accept-Encoding" in answer["Vary"]


def test_a_stream_stays_one():
    pulled = []

    def pieces():
        for number in range(50):
            pulled.append(number)
            yield TEXT

    answer = sent(StreamingHttpResponse(pieces(), content_type=JSON), "gzip")
    assert answer.streaming
    assert pulled == []
    assert gzip.decompress(whole(answer)) == TEXT * 50


def test_xml_of_several_instances_is_compressed():
    kind = 'multipart/related; type="application/dicom+xml"; boundary=x'
    assert sent(StreamingHttpResponse([TEXT], content_type=kind)).has_header("Content-Encoding")


@pytest.mark.parametrize(
    "kind",
    ["image/jpeg", "application/dicom", "application/x-ndjson", "application/octet-stream",
     'multipart/related; type="application/dicom"; boundary=x'],
)  # fmt: skip
def test_what_is_no_text_stays_as_it_is(kind):
    answer = sent(HttpResponse(TEXT, content_type=kind))
    assert not answer.has_header("Content-Encoding")
    assert answer.content == TEXT


def test_what_is_small_partial_or_coded_already_stays_as_it_is():
    assert sent(HttpResponse(TEXT[: MIN_BYTES - 1], content_type=JSON)).content != b""
    for answer in (
        HttpResponse(TEXT[: MIN_BYTES - 1], content_type=JSON),
        HttpResponse(TEXT, content_type=JSON, status=206),
        HttpResponse(status=304, content_type=JSON),
        HttpResponse(TEXT, content_type=JSON, headers={"Cache-Control": "no-transform"}),
    ):
        assert not sent(answer).has_header("Content-Encoding")
    coded = HttpResponse(TEXT, content_type=JSON, headers={"Content-Encoding": "gzip"})
    assert sent(coded).content == TEXT


def test_the_tag_of_a_compressed_form_is_strong_and_its_own():
    tags = set()
    for accepted in ("identity", "gzip", "br"):
        answer = HttpResponse(TEXT, content_type=JSON, headers={"ETag": '"abc"'})
        tags.add(sent(answer, accepted)["ETag"])
    assert tags == {'"abc"', '"abc-gzip"', '"abc-br"'}


def test_an_answer_without_a_body_stays_without_one():
    request = RequestFactory().head("/", headers={"Accept-Encoding": "gzip"})
    answer = StreamingHttpResponse((), content_type=JSON)
    assert whole(CompressAnswers(lambda _: answer)(request)) == b""
