"""What can be asked for: the attributes of each level, and what is negotiated about matching."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields

from pydicom.charset import python_encoding
from pydicom.datadict import dictionary_description, tag_for_keyword

from dicom_node.dimse.scu import ask
from dicom_node.index import matching
from dicom_node.index.attributes import ATTRIBUTES, Attribute, Level, Match
from dicom_node.index.query import COSTLY
from dicom_node.index.semantics import Semantics, agree
from dicom_node.store.charsets import encodings_of
from docs.conformance.markdown import table
from pacs_common.errors import BadQuery

_SAMPLES = ("1", "20260102", "1530", "CT")
_HOW = {
    Match.UID: "",
    Match.TEXT: "as written; case counts",
    Match.LISTED: "any one of its values; case counts",
    Match.FOLDED: "without regard to case and accents",
    Match.NAME: "without regard to case, accents, hyphens, apostrophes, spaces; see below",
    Match.NAMES: "the same, any one of its values",
    Match.DATE: "",
    Match.TIME: "",
    Match.NUMBER: "as a number",
    Match.MODALITIES: "any one modality of the study",
    Match.CLASSES: "any one SOP class of the study",
    Match.NONE: "returned only",
}


def attributes_of(level: Level) -> str:
    """The attributes of a level, with the kinds of matching that the query engine really does."""
    rows = []
    for attribute in ATTRIBUTES.values():
        if attribute.level is level:
            comment = [_HOW[attribute.match]]
            comment += ["counted; answered where it is named"] * (attribute.column in COSTLY)
            rows.append(
                [
                    _described(attribute),
                    attribute.vr,
                    _kinds(attribute),
                    "; ".join(filter(None, comment)),
                ]
            )
    return table(["attribute", "VR", "matching", "comment"], rows)


def _described(attribute: Attribute) -> str:
    steps = [tag_for_keyword(step) or 0 for step in attribute.path.split(".")]
    return " > ".join(
        f"{dictionary_description(tag)} ({tag >> 16:04X},{tag & 0xFFFF:04X})" for tag in steps
    )


def _kinds(attribute: Attribute) -> str:
    """Return the terms of PS3.2 N.5.2.7 that fit, found by asking the matching itself."""
    found = ["SEQUENCE"] * bool(attribute.sequence and attribute.match is not Match.NONE)
    found += ["SINGLE_VALUE"] * any(_sql(attribute, sample) for sample in _SAMPLES)
    found += ["UID LIST"] * (" IN (" in _sql(attribute, "1.2\\1.3"))
    found += ["WILDCARD"] * ("GLOB" in _sql(attribute, "A?B*C"))
    found += ["RANGE"] * any(
        ">=" in _sql(attribute, key) and "<=" in _sql(attribute, key)
        for key in ("20260101-20260102", "1000-1100")
    )
    found += ["EMPTY"] * bool(_sql(attribute, matching.EMPTY, Semantics(empty=True)))
    found += ["MULTIPLE"] * (" AND " in _sql(attribute, "A\\B", Semantics(multiple=True)))
    found += ["FUZZY"] * ("_sound" in _sql(attribute, "A^B", Semantics(fuzzy=True)))
    return ", ".join([*found, "UNIVERSAL"])


def _sql(attribute: Attribute, value: str, semantics: Semantics = matching.PLAIN) -> str:
    try:
        return matching.condition(attribute, f'st."{attribute.column}"', value, semantics).sql
    except BadQuery:
        return ""


_BYTES = {
    "relational": ("relational queries", "keys of levels above may be left out"),
    "combined": ("combined date-time matching", "a date range and its time range are one range"),
    "fuzzy": ("fuzzy semantic matching of person names", "names are found by their sound too"),
    "timezone": (
        "timezone query adjustment",
        "times are asked for and told at the request's Timezone Offset From UTC (0008,0201)",
    ),
    "multiframe": ("query or retrieve of enhanced multi-frame images", "not supported"),
    "empty": ("empty value matching", 'a key of two quotation marks (`""`) finds absent values'),
    "multiple": ("multiple value matching", "each of several values must be there"),
}


def extended_negotiation() -> str:
    """The bytes of the Service-class-application-information, asked of the negotiation itself."""
    agreed = agree("", bytes([1] * len(fields(Semantics))))
    rows = [
        [number, *_BYTES[one.name][:1], agreed[number - 1], _BYTES[one.name][1]]
        for number, one in enumerate(fields(Semantics), start=1)
    ]
    return table(["byte", "asked for", "answer to 1", "effect"], rows)


def charsets() -> str:
    """The defined terms of Specific Character Set that are read and written."""
    terms = sorted(term for term in python_encoding if term and encodings_of(term))
    return ", ".join(f"`{term}`" for term in terms if term.startswith(("ISO", "GB")))


def asked_keys() -> str:
    """The return keys that the node asks for as SCU where the caller names none."""
    rows = []
    for level, keywords in ask.ANSWERED.items():
        tags = [tag_for_keyword(keyword) or 0 for keyword in keywords.split()]
        rows.append([level.value, ", ".join(map(dictionary_description, tags))])
    return table(["level", "return keys"], rows)


TABLES: dict[str, Callable[[], str]] = {
    "patient attributes": lambda: attributes_of(Level.PATIENT),
    "study attributes": lambda: attributes_of(Level.STUDY),
    "series attributes": lambda: attributes_of(Level.SERIES),
    "image attributes": lambda: attributes_of(Level.IMAGE),
    "extended negotiation": extended_negotiation,
    "asked keys": asked_keys,
    "charsets": charsets,
}
