"""Whether a file is a whole, readable PDF: what can be told without rendering it (ISO 32000)."""

from __future__ import annotations

import re

from django.utils.translation import gettext as _

from pacs_common.errors import BadInput, TooLarge

MOST_BYTES = 32 << 20
_TAIL_BYTES = 1024  # within which readers look for the end of the file
_HEADER = re.compile(rb"%PDF-[12]\.[0-9]")
_START = re.compile(rb"startxref\s+([0-9]{1,10})\s+%%EOF\s*\Z")
_TABLE = re.compile(rb"\s*(xref\b|[0-9]{1,10}\s+[0-9]{1,5}\s+obj\b)")
_ENCRYPTED = re.compile(rb"/Encrypt\s*(?:[0-9]{1,10}\s+[0-9]{1,5}\s+R\b|<<)")


def check(content: bytes) -> None:
    """Raise BadInput with what is wrong with a PDF, TooLarge where it is over MOST_BYTES."""
    if len(content) > MOST_BYTES:
        raise TooLarge(_("a document has at most %(n)d MB") % {"n": MOST_BYTES >> 20})
    if not _HEADER.match(content):
        raise BadInput(_("this file is not a PDF"))
    start = _START.search(content[-_TAIL_BYTES:].rstrip(b"\0"))
    if start is None or not _TABLE.match(content, int(start[1])):
        raise BadInput(_("this PDF is cut off or damaged: its end is missing"))
    if _ENCRYPTED.search(content):
        raise BadInput(_("this PDF is encrypted: save it without a password first"))
