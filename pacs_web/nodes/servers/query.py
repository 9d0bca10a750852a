"""Query parameters as every server reads them: not all decode what need not have been encoded."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from urllib.parse import quote, urlencode

_KEPT = "*?,:/@!$'()~"  # of RFC 3986 3.4: Orthanc 1.10 takes "%2A" and "%2C" for three letters
_UNSAFE = re.compile(rf"[^A-Za-z0-9._\-{re.escape(_KEPT)}]+")


def with_query(path: str, params: Mapping[str, Sequence[str]]) -> str:
    """Return an address with its parameters."""
    written = urlencode(params, doseq=True, quote_via=quote, safe=_KEPT)
    return f"{path}?{written}" if written else path


def widened(pattern: str) -> str:
    """Return a pattern whose blanks, carets and accents are wildcards; other values as they are.

    Servers write accents in ways of their own, and find with them only what they wrote alike.
    """
    return re.sub(r"\*+", "*", _UNSAFE.sub("*", pattern)) if "*" in pattern else pattern
