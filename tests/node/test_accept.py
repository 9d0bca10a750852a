"""The Accept grammar: which representation a caller gets (RFC 9110 12.5.1, PS3.18 8.7.4)."""

from __future__ import annotations

import pytest
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st

from dicom_node.dicomweb.accept import ANY, MAX_CHARS, MAX_RANGES, Offer, accepted, best
from pacs_common.errors import BadInput, NotAcceptable

JSON, XML = Offer("application/dicom+json"), Offer("application/dicom+xml", multipart=True)
JPEG, PNG, PDF = Offer("image/jpeg"), Offer("image/png"), Offer("application/pdf")
JLS = "1.2.840.10008.1.2.4.80"


def asking(header: str | None = None, query: str = ""):
    headers = {} if header is None else {"HTTP_ACCEPT": header}
    return RequestFactory().get(f"/dicom-web/studies?{query}", **headers)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, JPEG),
        ("", JPEG),
        (" , ", JPEG),
        ("*/*", JPEG),
        ("image/*", JPEG),
        ("image/png", PNG),
        ("IMAGE/PNG", PNG),
        ("image/png, image/jpeg", PNG),
        ("image/png;q=0.5, image/jpeg", JPEG),
        ("image/png;q=0.5, image/jpeg;Q=0.6", JPEG),
        ("*/*, image/png", PNG),
        ("image/*, image/png", PNG),
        ("*/*;q=0.9, image/jpeg;q=0.1", PNG),
        ("*/*, image/jpeg;q=0", PNG),
        ("image/*, image/jpeg;q=0.0, application/pdf;q=0.9", PNG),
        ("*/*, image/*;q=0", PDF),
        ("image/*;q=0, image/png;q=0.2", PNG),
        ("text/html, image/png;q=0.2", PNG),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", JPEG),
        ("image/png; charset=utf-8; level", PNG),
        ('image/png; note="a, b; q=0"', PNG),
        (r'image/png; note="a \", image/jpeg; q=0"', PNG),
        ("image/png;q=nonsense, image/jpeg;q=0.9", PNG),
        ("image/png;q=.3, image/jpeg;q=0.2", PNG),
        ('image/png;q="0.1", image/jpeg;q=0.2', JPEG),
        ("image, image/png", PNG),
        ("image/jpeg/x, im age/jpeg, image/png", PNG),
        (";;;, image/png", PNG),
    ],
)
def test_quality_and_specificity_decide(header, expected):
    assert best(asking(header), [JPEG, PNG, PDF]) == expected


@pytest.mark.parametrize(
    "header",
    [
        "text/html",
        "image/png;q=0",
        "*/*;q=0",
        "*/*, */*;q=0",
        "image/*, image/png;q=0, image/jpeg;q=0",
        "*/*, image/*;q=0, application/pdf;q=0",
        "image",
        ";;;",
        'multipart/related; type="image/png"',
        'text/html; a="unclosed, image/png',
    ],
)
def test_what_is_not_wanted_is_refused_and_the_refusal_names_what_there_is(header):
    with pytest.raises(NotAcceptable, match="image/jpeg, image/png, application/pdf"):
        best(asking(header), [JPEG, PNG, PDF])


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("*/*", JSON),
        ("application/dicom+json", JSON),
        ("application/*", JSON),
        ('multipart/related; type="application/dicom+xml"', XML),
        ("multipart/related; type=application/dicom+xml", XML),
        (r'multipart/related; type="application\/dicom+xml"', XML),
        ('Multipart/Related; TYPE="Application/DICOM+XML"', XML),
        ("multipart/related", XML),
        ("multipart/*", XML),
        ('multipart/related; type="application/*"', XML),
        ("multipart/related, application/dicom+json;q=0.5", XML),
        ('*/*, multipart/related; type="application/dicom+xml"; q=0', JSON),
    ],
)
def test_multipart_is_a_representation_of_its_own(header, expected):
    assert best(asking(header), [JSON, XML]) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("accept=image/png", PNG),
        ("accept=image%2Fpng", PNG),
        ("accept=text/html,image/png", PNG),
        ("accept=text/html&accept=image/png", PNG),
        ("accept=", JPEG),
        ("accept=application/dicom+json", JSON),
        ("accept=application/dicom%2Bjson", JSON),
    ],
)
def test_accept_in_the_query_wins_and_may_hold_a_bare_plus(query, expected):
    assert best(asking("image/jpeg", query), [JPEG, PNG, JSON]) == expected


@pytest.mark.parametrize(
    ("header", "syntaxes"),
    [
        ("multipart/related; type=application/dicom", [None]),
        ('multipart/related; type=application/dicom; transfer-syntax="*"', [ANY]),
        (f"multipart/related; Transfer-Syntax={JLS}; type=application/dicom", [JLS]),
        (
            f"multipart/related; type=application/dicom; transfer-syntax=*; q=0.1, "
            f'multipart/related; type="application/dicom"; transfer-syntax="{JLS}"',
            [JLS, ANY],
        ),
    ],
)
def test_transfer_syntaxes_come_in_the_order_of_their_quality(header, syntaxes):
    assert [one.transfer_syntax for one in accepted(asking(header))] == syntaxes


@pytest.mark.parametrize(
    ("refused", "taken"),
    [
        (f"transfer-syntax={JLS}; q=0", False),
        ("q=0", False),
        ("transfer-syntax=*; q=0.1", False),  # the narrower range decides
        (f"transfer-syntax={JLS}; q=0.1", False),
        ("transfer-syntax=1.2.840.10008.1.2.4.70; q=0.1", True),
        ("transfer-syntax=1.2.840.10008.1.2.4.70; q=0", True),
    ],
)
def test_a_narrower_range_decides_over_one_syntax_of_all(refused, taken):
    part = "multipart/related; type=application/dicom"
    (first, *_) = accepted(asking(f"multipart/related; transfer-syntax=*, {part}; {refused}"))
    assert first.takes("application/dicom", JLS) is taken


@pytest.mark.parametrize("text", ["a/b," * (MAX_RANGES + 1), "a/b;" + "x" * MAX_CHARS])
def test_hostile_lengths_are_a_400(text):
    with pytest.raises(BadInput):
        accepted(asking(text))


TEXTS = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=200)
PIECES = st.lists(
    st.sampled_from(
        [
            *("*", "/", ";", ",", "=", '"', "\\", " ", "\t", "image/png", "multipart/related"),
            *("type=", "q=", "0", "1", ".5", "nan", "transfer-syntax=", "1.2.840.10008.1.2.1"),
            *("application/dicom", "\0", "é"),
        ]
    ),
    max_size=30,
).map("".join)


@given(TEXTS | PIECES)
def test_any_header_is_read_and_only_ranges_of_some_quality_are_left(text):
    found = accepted(asking(text))
    assert all(0 < one.quality <= 1 for one in found)
    assert [one.quality for one in found] == sorted((one.quality for one in found), reverse=True)


@given(PIECES)
def test_nonsense_beside_a_good_range_does_not_hide_it(text):
    assert best(asking(f"application/pdf, {text}, image/png"), [PDF, PNG]) in (PDF, PNG)


QUALITY = st.integers(0, 10)


@given(QUALITY, QUALITY, QUALITY, QUALITY)
def test_the_chosen_one_has_the_highest_quality_of_its_most_specific_range(
    everything, images, a, b
):
    header = ", ".join(
        f"{name};q={q / 10}"
        for name, q in {"*/*": everything, "image/*": images, "image/png": a, "a/b": b}.items()
    )
    expected = {JPEG: images, PNG: a, PDF: everything, Offer("a/b"): b}
    if not any(expected.values()):
        with pytest.raises(NotAcceptable):
            best(asking(header), expected)
        return
    assert expected[best(asking(header), expected)] == max(expected.values())
