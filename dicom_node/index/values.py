"""From the text of an element to what the index holds of it."""

from __future__ import annotations

import hashlib

MAX_INDEXED_CHARS = 255  # a row of a PostgreSQL B-tree holds 2,704 bytes


def is_number(text: str) -> bool:
    """True for ASCII digits only: `str.isdigit` takes "²", which `int` refuses."""
    return text.isascii() and text.isdigit()


def date_of(text: str) -> str:
    """Return YYYYMMDD of a DA value (also of ACR-NEMA's YYYY.MM.DD), "" where it is none."""
    digits = text.replace(".", "").replace("-", "").strip()
    return digits if len(digits) == 8 and is_number(digits) else ""


def time_of(text: str) -> str:
    """Return a TM value as HHMMSS.FFFFFF without its padding (also of HH:MM:SS), "" for none."""
    plain = text.replace(":", "").strip()
    whole, _, fraction = plain.partition(".")
    if not is_number(whole) or len(whole) not in (2, 4, 6):
        return ""
    if fraction and not is_number(fraction):
        return ""
    return f"{whole:0<6}.{fraction[:6]:0<6}"


def number_of(text: str) -> int | None:
    """Return an IS or US value as a number; None where it is absent or no number."""
    try:
        value = int(float(text.split("\\")[0]))
    except (ValueError, OverflowError):
        return None
    return value if -(2**31) <= value < 2**31 else None


def bounded(text: str) -> str:
    """Return an identifier as the index keeps it: what is over-long by its beginning and SHA-256.

    LO and SH allow 64 and 16 characters; two over-long ones stay two.
    """
    if len(text) <= MAX_INDEXED_CHARS:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{text[: MAX_INDEXED_CHARS - 65]}~{digest}"
