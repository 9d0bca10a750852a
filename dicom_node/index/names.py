"""Folding of names and free text, so that Lefèvre, LEFEVRE and "Le fèvre" meet."""

from __future__ import annotations

import unicodedata

_SPELLED = str.maketrans({"œ": "oe", "æ": "ae", "ø": "o", "ł": "l", "đ": "d", "ð": "d"})
# typographic apostrophes, hyphens and dashes too
_IGNORED_IN_NAMES = " -'`.,\u00b4\u02bc\u2018\u2019\u2010\u2011\u2012\u2013"


def fold_text(text: str) -> str:
    """Return text without case and accents; folding what is folded changes nothing."""
    folded = _without_accents(text.casefold()).casefold()  # "ẞ" and "ß" meet as "SS"
    return _without_accents(folded.translate(_SPELLED)).upper()


def fold_name(name: str) -> str:
    """Return one component group of a PN without case, accents, spaces, hyphens, apostrophes."""
    kept = "".join(c for c in name if c not in _IGNORED_IN_NAMES)
    kept = "".join(c for c in fold_text(kept) if c not in _IGNORED_IN_NAMES)
    return kept.rstrip("^")


def name_keys(name: str) -> tuple[str, str]:
    """Return (key of the first group, keys of the other groups) of a PN value.

    The others are wrapped in "=" each, so that one pattern can look into them:
    "YAMADA^TAROU" and "=山田^太郎=".
    """
    groups = [fold_name(group) for group in name.split("=")]
    others = [group for group in groups[1:] if group]
    return groups[0], f"={'='.join(others)}=" if others else ""


def _without_accents(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text)
    return "".join(c for c in plain if not unicodedata.combining(c))
