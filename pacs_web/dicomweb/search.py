"""QIDO-RS over all nodes (PS3.18 10.6): one list, each entity once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from pacs_common.errors import BadQuery
from pacs_common.node_client.images import Answers
from pacs_common.uids import Uid
from pacs_web import config
from pacs_web.audit.models import Action
from pacs_web.audit.record import record
from pacs_web.dicomweb.addresses import base_of, readdressed
from pacs_web.dicomweb.forms import form_for, written
from pacs_web.federation import continuing
from pacs_web.federation.dicom_json import Attributes, text
from pacs_web.federation.fan_out import Failure, Gathered, fan_out
from pacs_web.federation.listing import FOREIGN_LIMIT, Listing, warnings_of
from pacs_web.federation.opening import holders
from pacs_web.federation.server import Server
from pacs_web.nodes.registry import clients
from pacs_web.studies.views import clients_for

QUERY = re.compile(
    r"(?:studies/(?P<study>[0-9.]+)/(?:series/[0-9.]+/(?=instances\Z))?(?!studies\Z))?"
    r"(?P<level>studies|series|instances)\Z"
)
_KEYS = {
    "studies": "StudyInstanceUID",
    "series": "SeriesInstanceUID",
    "instances": "SOPInstanceUID",
}
_NOT_PASSED = {"offset", "limit", "accept"}
LIMIT = 1000  # answers at once, whatever is asked for
MAX_OFFSET = 20_000  # where the page before was not asked for, nodes are read from the first
MAX_DIGITS = 9


@dataclass(frozen=True)
class _Found:
    """The answers of one page, how many there are in all (None: not known), and the warnings."""

    answers: list[Attributes]
    total: int | None
    warnings: list[str]
    more: bool


def answer(request: HttpRequest, path: str, level: str, study_uid: str | None) -> HttpResponseBase:
    """Return what all nodes find, in pages; a node that does not answer is named in a Warning."""
    form = form_for(request)
    params = {name: values for name, values in request.GET.lists() if name not in _NOT_PASSED}
    if "after" in params:
        raise BadQuery("pages are asked for by offset and limit")
    offset = _bound(request, "offset", 0)
    asked = _bound(request, "limit", LIMIT + 1)
    nodes = _asked(request, study_uid)
    size = min(asked, LIMIT)
    if path == "studies" and size:
        found = _studies(request.user.get_username(), nodes, params, offset, size)
    else:
        found = _all_of(nodes, path, level, params, offset, size)
    record(request, Action.SEARCH, study_uid=study_uid or "", query=dict(request.GET.lists()))
    response = written(readdressed(found.answers, base_of(request)), form)
    if found.total is not None:
        response["X-Total-Count"] = str(found.total)
    warnings = list(found.warnings)
    if asked > LIMIT and found.more:
        warnings.append(f"there are more than {LIMIT} results: ask for the rest by offset")
    if warnings:
        response["Warning"] = ", ".join(f'299 argens "{_quoted(text)}"' for text in warnings)
    return response


def _studies(
    subject: str, nodes: list[Server], params: Mapping[str, Any], offset: int, size: int
) -> _Found:
    """Return studies, merged as the pages show them; a page that follows one costs no more."""
    bookmark = continuing.recalled(subject, params, offset) if offset else None
    skipped = 0 if bookmark else _within(offset)
    listing = Listing(nodes, params, size=skipped + size, deadline_s=config.NODE_TIMEOUT_S)
    page = listing.page(bookmark)
    if refusal := Gathered(page.counts, page.failures).refusal():
        raise refusal
    rows = page.rows[skipped:]
    if page.following is not None:
        continuing.remember(subject, params, offset + len(rows), page.following)
    told_all = page.following is None and not page.failures and not page.cut
    return _Found(
        [next(iter(row.copies.values())) for row in rows],
        (offset if bookmark else 0) + len(page.rows) if told_all else None,
        [*_silence(page.failures), *_cuts(page.cut), *_told(page.warnings)],
        page.following is not None,
    )


def _all_of(
    nodes: list[Server],
    path: str,
    level: str,
    params: Mapping[str, Any],
    offset: int,
    size: int,
) -> _Found:
    """Return answers of any level; every node is asked from its first answer."""
    last = _within(offset) + size
    gathered = fan_out(
        nodes, lambda node: _first(node, path, params, last + 1), config.NODE_TIMEOUT_S
    )
    if refusal := gathered.refusal():
        raise refusal
    found = _once(gathered.answers, level)
    return _Found(
        found[offset:last],
        _total(gathered, len(found), last + 1),
        [
            *_silence(gathered.failures),
            *_told({name: warnings_of(each) for name, each in gathered.answers.items()}),
        ],
        len(found) > last,
    )


def _total(gathered: Gathered[list[Attributes]], found: int, most: int) -> int | None:
    """Return how many match in all; None where a node is silent or was not asked to its end."""
    if gathered.failures or any(len(each) >= most for each in gathered.answers.values()):
        return None
    return found


def _first(node: Server, path: str, params: Mapping[str, Any], count: int) -> Answers:
    """Return the first `count` answers of a node, asked for page by page."""
    found = Answers()
    while len(found) < count:
        size = min(LIMIT, count - len(found))
        page = node.qido(path, {**params, "offset": len(found), "limit": size})
        found = Answers([*found, *page], found.warnings or warnings_of(page))
        if len(page) < size:
            break
    return found


def _asked(request: HttpRequest, study_uid: str | None) -> list[Server]:
    if study_uid is None:
        return clients(request.user.get_username())
    return holders(
        clients_for(request), Uid.parse(study_uid, "StudyInstanceUID"), config.NODE_TIMEOUT_S
    )


def _once(answers: Mapping[str, list[Attributes]], level: str) -> list[Attributes]:
    """Return each entity once, as the first node that knows it describes it."""
    by_uid: dict[str, Attributes] = {}
    for found in answers.values():
        for attributes in found:
            by_uid.setdefault(text(attributes, _KEYS[level]), attributes)
    return list(by_uid.values())


def _bound(request: HttpRequest, name: str, default: int) -> int:
    given = request.GET.get(name, str(default))
    if not (given.isascii() and given.isdigit() and len(given) <= MAX_DIGITS):
        raise BadQuery(f"{name} must be a whole number, not {given[:20]!r}")
    return int(given)


def _within(offset: int) -> int:
    if offset > MAX_OFFSET:
        raise BadQuery(
            f"offset must not exceed {MAX_OFFSET}, except page after page: narrow the query"
        )
    return offset


def _silence(failures: list[Failure]) -> list[str]:
    names = ", ".join(failure.node for failure in failures)
    return [f"no answer from {names}: the result may be incomplete"] if failures else []


def _cuts(names: list[str]) -> list[str]:
    said = f"only {FOREIGN_LIMIT} of its studies were read: the result may be incomplete"
    return [f"{', '.join(names)}: {said}"] if names else []


def _told(warnings: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Return what servers warned of, once for all that say the same, after their names."""
    by_text: dict[str, list[str]] = {}
    for name, texts in warnings.items():
        for one in texts:
            by_text.setdefault(one, []).append(name)
    return [f"{', '.join(names)}: {one}" for one, names in by_text.items()]


def _quoted(text: str) -> str:
    plain = "".join(letter if " " <= letter <= "~" else "?" for letter in text)
    return plain.replace("\\", "\\\\").replace('"', '\\"')
