"""Conditional requests: 304 for what the caller has, in any coding."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.http import HttpResponse
from django.test import RequestFactory
from django.utils.http import http_date

from dicom_node.dicomweb.conditional import coded, not_modified, stamped, tag

ETAG = tag("series", 1)
MOMENT = datetime(2026, 11, 21, 10, 0, 0, 500_000, UTC)
LATER, EARLIER = MOMENT + timedelta(minutes=1), MOMENT - timedelta(minutes=1)


def answer_to(**headers):
    return not_modified(RequestFactory().get("/", headers=headers), ETAG, MOMENT)


def test_a_tag_is_strong_and_differs_with_each_part():
    assert ETAG.startswith('"')
    assert len({tag("a", "bc"), tag("ab", "c"), tag("abc"), tag("abc", "")}) == 4


@pytest.mark.parametrize(
    "shown", [ETAG, f"W/{ETAG}", f'"x", {ETAG}', "*", coded(ETAG, "gzip"), coded(ETAG, "br")]
)
def test_a_known_tag_is_304_without_a_body(shown):
    answer = answer_to(**{"If-None-Match": shown})
    assert (answer.status_code, answer.content) == (304, b"")
    assert answer["Cache-Control"] == "private, no-cache"
    assert "Authorization" in answer["Vary"]


@pytest.mark.parametrize("shown", [f"W/{ETAG}", ETAG])
def test_a_weak_tag_of_ours_is_known_too(shown):
    request = RequestFactory().get("/", headers={"If-None-Match": shown})
    answer = not_modified(request, f"W/{ETAG}")
    assert (answer.status_code, answer["ETag"]) == (304, f"W/{ETAG}")


def test_the_304_names_the_form_that_the_caller_has():
    assert answer_to(**{"If-None-Match": coded(ETAG, "br")})["ETag"] == coded(ETAG, "br")


@pytest.mark.parametrize("shown", ['"other"', "nonsense", "", ETAG[1:-1]])
def test_an_unknown_tag_brings_the_content_whatever_the_date(shown):
    later = http_date(LATER.timestamp())
    assert answer_to(**{"If-None-Match": shown, "If-Modified-Since": later}) is None


def test_a_date_counts_where_no_tag_is_shown():
    def since(moment):
        return answer_to(**{"If-Modified-Since": http_date(moment.timestamp())})

    assert since(LATER).status_code == since(MOMENT).status_code == 304
    assert since(EARLIER) is None
    assert answer_to(**{"If-Modified-Since": "nonsense"}) is None


def test_answers_are_private_and_vary_with_what_the_caller_takes():
    answer = stamped(HttpResponse(b"x"), ETAG, MOMENT, max_age_s=60)
    assert answer["ETag"] == ETAG
    assert answer["Last-Modified"] == http_date(MOMENT.timestamp())
    assert set(answer["Cache-Control"].split(", ")) == {"private", "max-age=60"}
    assert answer["Vary"] == "Accept, Accept-Encoding, Authorization"


def test_a_coded_form_has_a_tag_of_its_own():
    assert len({ETAG, coded(ETAG, "gzip"), coded(ETAG, "br")}) == 3
    assert coded('W/"x"', "gzip") == 'W/"x"'
