"""Patient IDs that name nobody (custody rule 12): they match nothing, not even each other."""

from __future__ import annotations

import re

PLACEHOLDERS = {
    "0", "UNKNOWN", "UNK", "INCONNU", "ANONYMOUS", "ANON", "NONE", "N/A", "NA", "NOID", "NO ID",
    "TEST", "PATIENT", "X", "XX", "XXX", "NC", "?",
}  # fmt: skip
_ONE_SIGN = re.compile(r"(.)\1{2,}\Z")


def is_placeholder(patient_id: str) -> bool:
    """Return whether an ID, without blanks around it, stands for none: a word, or one sign."""
    return patient_id.upper() in PLACEHOLDERS or bool(_ONE_SIGN.match(patient_id))
