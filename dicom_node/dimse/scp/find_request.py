"""A C-FIND request as the query engine takes it: its identifier read and checked (PS3.4 C.4.1)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from dicom_node.dimse.association import identifiers
from dicom_node.dimse.association.conversation import Conversation
from dicom_node.dimse.association.messages import Message
from dicom_node.dimse.association.offers import FIND
from dicom_node.dimse.association.status import PENDING, PENDING_KEYS_IGNORED
from dicom_node.index.attributes import ATTRIBUTES, UNIQUE_KEY
from dicom_node.index.query import MOMENTS, Query, known, require_hierarchy, unmatched
from dicom_node.index.semantics import Semantics
from dicom_node.store import part10
from dicom_node.store.charsets import DEFAULT_FALLBACK, decode
from pacs_common.errors import BadQuery

_NOT_KEYS = {"QueryRetrieveLevel", "SpecificCharacterSet", "TimezoneOffsetFromUTC"}
_ALWAYS_ANSWERED = {"RetrieveAETitle", "InstanceAvailability"}


@dataclass(frozen=True)
class Request:
    """A C-FIND request as the query engine takes it."""

    query: Query
    charset: str
    ignored: frozenset[str] = field(default_factory=frozenset)

    @cached_property
    def pending(self) -> int:
        """The status of its answers: whether all its optional keys are supported (C.4.1.1.4)."""
        is_ignored = self.ignored or unmatched(self.query)
        return PENDING_KEYS_IGNORED if is_ignored else PENDING


def request_of(conversation: Conversation, message: Message) -> Request:
    """Read a C-FIND request; raises BadQuery with one line."""
    context = message.context
    ds = identifiers.parsed(conversation.data(message), context.transfer_syntax)
    level = identifiers.level_of(ds, FIND[context.abstract_syntax])
    charset = _raw(ds, 0x00080005).decode("latin_1").strip(" \0")
    fallback = getattr(conversation.grant, "fallback_charset", DEFAULT_FALLBACK)
    keys = dict(_keys(ds, charset, fallback))
    semantics = Semantics.of(conversation.extended.get(context.abstract_syntax, b""))
    paths = keys.keys() - _NOT_KEYS
    query = Query(
        level,
        {path: keys[path] for path in paths},
        semantics,
        asked=frozenset({*paths, UNIQUE_KEY[level], *_of_the_zone(semantics, keys)}),
        offset_from_utc=keys.get("TimezoneOffsetFromUTC", ""),
    )
    if not semantics.relational:
        require_hierarchy(query)
    ignored = {path for path in paths - _ALWAYS_ANSWERED if known(path, level) is None}
    return Request(query, charset, frozenset(ignored))


def _of_the_zone(semantics: Semantics, keys: dict[str, str]) -> set[str]:
    """Return what is read besides, so that times can be told in the request's zone."""
    if not semantics.timezone or not keys.get("TimezoneOffsetFromUTC"):
        return set()
    moments = {path for pair in MOMENTS.items() if keys.keys() & set(pair) for path in pair}
    return {"TimezoneOffsetFromUTC", *moments}


def _keys(ds: Dataset, charset: str, fallback: str, above: str = "") -> Iterator[tuple[str, str]]:
    """Yield (path, value) of each element; an empty sequence asks for all that the index holds."""
    for tag in ds.keys():
        path = f"{above}{keyword_for_tag(tag) or f'{int(tag):08X}'}"
        if _vr(ds, tag) == "SQ":
            yield from _inside(ds, tag, path, charset, fallback)
        else:
            yield path, _text(ds, tag, charset, fallback)


def _inside(
    ds: Dataset, tag: int, path: str, charset: str, fallback: str
) -> Iterator[tuple[str, str]]:
    try:
        items = list(ds[tag].value or [])
    except part10.UNREADABLE as error:
        raise BadQuery(f"{path} cannot be read: {error}") from None
    if items and len(items[0]):
        yield from _keys(items[0], charset, fallback, f"{path}.")
        return
    held = [known for known, attribute in ATTRIBUTES.items() if attribute.sequence == path]
    yield from ((each, "") for each in held or [path])


def _text(ds: Dataset, tag: int, charset: str, fallback: str) -> str:
    if _vr(ds, tag) in _INTEGERS:
        return _integers(ds, tag)
    text, _ = decode(_raw(ds, tag), charset, fallback)
    return text.strip(" \0")


def _integers(ds: Dataset, tag: int) -> str:
    try:
        value = ds[tag].value
    except part10.UNREADABLE as error:
        raise BadQuery(f"{keyword_for_tag(tag) or tag} cannot be read: {error}") from None
    numbers = value if isinstance(value, MultiValue | list) else [value]
    return "\\".join(str(number) for number in numbers if isinstance(number, int))


def _raw(ds: Dataset, tag: int) -> bytes:
    """Return an element's bytes as they came, empty where it is absent or a number in binary."""
    value = getattr(ds.get_item(tag), "value", None) if tag in ds else None
    return value if isinstance(value, bytes) and _vr(ds, tag) not in _BINARY else b""


def _vr(ds: Dataset, tag: int) -> str:
    said = getattr(ds.get_item(tag), "VR", None)
    if said and said != "UN":
        return str(said)
    try:
        return dictionary_VR(tag).split(" ")[0]
    except KeyError:
        return "UN"


_INTEGERS = {"US", "SS", "UL", "SL", "UV", "SV"}
_BINARY = {*_INTEGERS, "FL", "FD", "OB", "OW", "OF", "OD", "OL", "AT"}
