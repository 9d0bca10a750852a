"""Which exams a request names, and what the policy says of each."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from django.core.cache import cache
from django.http import HttpRequest

from pacs_common.errors import ArgensError
from pacs_web.accounts.policy import Decision, Holding, Reach, decide
from pacs_web.accounts.reach import reach_of
from pacs_web.accounts.rights import Right

KNOWN_S = 120  # a picture must not ask every node where its study lies
MOST_NAMED = 100
_IN_PATH = re.compile(r"studies/(?P<uid>[0-9.]{1,64})(?![^/])")
_IN_QUERY = ("study", "studyUID", "StudyInstanceUIDs", "StudyInstanceUID")
_SEVERAL = re.compile(r"[,\\]")

# Asks the nodes who holds a study: the holdings, and the error of one that may hold it unsaid.
Source = Callable[[str, str], tuple[list[Holding], ArgensError | None]]
_SOURCES: list[Source] = []


def learn_from(source: Source) -> None:
    """Let `source` tell where studies lie; the layer that knows the nodes calls this once."""
    _SOURCES[:] = [source]


def named_in(request: HttpRequest, asked: dict[str, Any]) -> list[str]:
    """Return the studies that a request names, in its address or its query, each once."""
    named = [str(asked["study_uid"])] if asked.get("study_uid") else []
    if found := _IN_PATH.search(str(asked.get("path", ""))):
        named.append(found["uid"])
    for name in _IN_QUERY:
        for value in request.GET.getlist(name):
            named += [one for one in _SEVERAL.split(value) if re.fullmatch("[0-9.]{1,64}", one)]
    return list(dict.fromkeys(named))[:MOST_NAMED]


def first_closed(
    request: HttpRequest, right: Right, studies: Iterable[str]
) -> tuple[str, Decision] | None:
    """Return the first study that is closed to the person and whether glass can be broken."""
    reach = reach_of(request.user.get_username())
    if reach.whole:
        return None
    for study_uid in studies:
        decision = decision_on(request, right, reach, study_uid)
        if decision is not Decision.ALLOWED:
            return study_uid, decision
    return None


def decision_on(request: HttpRequest, right: Right, reach: Reach, study_uid: str) -> Decision:
    """Return what the policy says of one study.

    Raises PeerUnreachable where no node that answers opens it and a silent one might.
    """
    user = request.user
    rights = {one for one in (right, Right.BREAK_GLASS) if user.has_right(one)}
    key = f"holdings:{study_uid}"
    held = cache.get(key)
    silent = None
    if held is None:
        held, silent = _SOURCES[0](study_uid, user.get_username())
        if held and silent is None:
            cache.set(key, held, KNOWN_S)
    if silent is not None and not held:
        raise silent
    return decide(rights, right, reach, study_uid, held)
