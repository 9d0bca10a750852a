"""Requests that nobody meant: any method, path, query, headers and body, for any address."""

from __future__ import annotations

import json
import os
import re
from typing import Any
from urllib.parse import quote

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

EXAMPLES = 400 if os.environ.get("PACS_TEST_SOAK") else 6
EACH_ADDRESS = settings(
    max_examples=EXAMPLES,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # a failure is told, not made small
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
METHODS = st.sampled_from(
    ["GET", "GET", "GET", "POST", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "BREW"]
)
HOSTILE = [
    *("", "0", "1", "-1", "99999999999999999999", "1e999", "nan", "\u0661", "true", "null", "[]"),
    *("1.2.3", "1..2", "../../etc/passwd", "%00", "\0", "a\r\nb: c", "\ud7ff\U0001f4a9", "\xff"),
    *("*", "?", "\\", "a\\b", "'; --", "<b>", "{{ 7 }}", "%(x)s", "x" * 5000, "9" * 5000),
    *("20261121", "2026-11-21", "0000-00-00", "99991231-", "-", "2026-11-21T08:00:00+99:99"),
]  # fmt: skip
TEXTS = st.sampled_from(HOSTILE) | st.text(max_size=12)
_VISIBLE = st.characters(max_codepoint=255, exclude_characters="\r\n\0")
HEADER_VALUES = st.text(_VISIBLE, max_size=20) | st.sampled_from(
    [
        *("*/*", "text/html", "application/dicom+json", "application/json;q=1e9", "a/b;q", ";"),
        *("bytes=0-", "bytes=-", "bytes=9-1", "bytes=" + "0-0," * 999, "bytes=-9" + "9" * 50),
        *('"', "W/", "*", "gzip;q=0, br;q=x", "Mon, 99 Foo 2026 99:99:99 GMT", "=?utf-8?b?/w==?="),
        *("application/json; charset=nonsense", "multipart/form-data", "multipart/related"),
        *("multipart/form-data; boundary=b", "text/plain; charset=utf-7", "x/y; boundary=", "null"),
        *("a" * 9000, "a/b," * 2000, "https://evil.example", "127.0.0.1, ::1", "[::1", "..", "1,2"),
    ]
)  # fmt: skip
_HEADERS = [
    *("Accept", "Accept-Charset", "Accept-Encoding", "Accept-Language", "Authorization", "Cookie"),
    *("Content-Encoding", "Content-Type", "Host", "HX-Request", "If-Match", "If-Modified-Since"),
    *("If-None-Match", "If-Range", "Origin", "Prefer", "Range", "Referer", "X-Forwarded-For"),
    *("X-Forwarded-Proto", "X-HTTP-Method-Override", "X-Request-Id", "X-CSRFToken", "User-Agent"),
]
_NUMBERS = st.integers() | st.floats() | st.just(10**400)
_JSON = st.recursive(
    st.none() | st.booleans() | _NUMBERS | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(HOSTILE[:8]), inner, max_size=3)
    ),
    max_leaves=6,
)
NOISE = st.sampled_from([b"", b"{", b"[" * 100_000, b"\xff\xfe", b'"\\ud800"', b"{}", b"[]", b"0"])


def headers(*kept: str) -> st.SearchStrategy[dict[str, str]]:
    """Return some headers, none of them among those that the caller keeps for itself."""
    names = [name for name in _HEADERS if name not in kept]
    return st.dictionaries(st.sampled_from(names), HEADER_VALUES, max_size=3)


def queries(names: list[str]) -> st.SearchStrategy[str]:
    """Return query strings of known and unknown names; some of their bytes are no text."""
    value = TEXTS.map(lambda text: text.encode("utf-8", "replace")) | st.binary(max_size=6)
    pair = st.tuples(st.sampled_from(names) | TEXTS, value)
    return st.lists(pair, max_size=3).map(
        lambda pairs: "&".join(f"{quote(name[:99])}={quote(value)}" for name, value in pairs)
    )


def json_bodies(names: list[str], like: Any) -> st.SearchStrategy[bytes]:
    """Return JSON objects of known names with values of any kind, some of them right, and noise."""
    values = _JSON | st.sampled_from(like)
    told = st.dictionaries(st.sampled_from(names), values, max_size=5).map(_dumped)
    return told | told | _JSON.map(_dumped) | NOISE | st.binary(max_size=40)


def _dumped(told: Any) -> bytes:
    return json.dumps(told).encode()


def paths(route: str, held: dict[str, str]) -> st.SearchStrategy[str]:
    """Return paths of a route as WSGI tells them: what it names is there, or is anything."""
    names = re.findall(r"<(?:\w+:)?(\w+)>", route)
    values = st.tuples(
        *(st.just(held.get(name, "1")) | st.just(held.get(name, "1")) | TEXTS for name in names)
    )
    pieces = re.split(r"<[^>]+>", route)

    def joined(given: tuple[str, ...]) -> str:
        path = "".join(a + b for a, b in zip(pieces, [*given, ""], strict=True))
        return f"/{path}".encode("utf-8", "replace").decode("latin-1")

    return values.map(joined)
