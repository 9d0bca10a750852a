"""A server as a limited person sees it: its answers hold only the exams open to the person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pacs_common.node_client.images import Answers
from pacs_web.accounts.policy import Reach
from pacs_web.federation.departments import FIELDS, departments_in, tells
from pacs_web.federation.dicom_json import Attributes, text
from pacs_web.federation.server import Abilities, Server

LEVELS = {"studies", "series", "instances"}
PAGE = 500
MOST_ASKED = 40  # pages of a server's answers that are looked through for one question


class LimitedServer:
    """Stands before a server's client: whatever is searched through it passes the policy.

    What is asked of one study by its address was decided by the guard of the page already.
    """

    def __init__(self, server: Server, reach: Reach) -> None:
        self.name = server.name
        self._server = server
        self._reach = reach

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # copying asks for some before there is a server
            raise AttributeError(name)
        return getattr(self._server, name)

    @property
    def abilities(self) -> Abilities:
        """What the server can do, and that it does not show all that it holds."""
        return replace(self._server.abilities, whole=False)

    def qido(self, path: str, params: Mapping[str, Any]) -> list[Attributes]:
        """Return what the server answers, without what is closed; pages count what is open.

        What the server warned of goes with it.
        """
        if path not in LEVELS:
            return self._server.qido(path, params)
        first = int(params.get("offset", 0))
        last = first + int(params.get("limit", PAGE))
        found: list[Attributes] = []
        warned: dict[str, None] = {}
        for number in range(MOST_ASKED):
            page = self._server.qido(path, self._asked(params, number * PAGE))
            found += [one for one in page if self._is_open(one, path)]
            warned |= dict.fromkeys(getattr(page, "warnings", ()))
            if len(found) >= last or len(page) < PAGE:
                break
        return Answers(found[first:last], tuple(warned))

    def _asked(self, params: Mapping[str, Any], offset: int) -> dict[str, Any]:
        given = params.get("includefield", [])
        fields = [given] if isinstance(given, str) else list(given)
        asked = {**params, "includefield": [*fields, *FIELDS], "offset": offset, "limit": PAGE}
        if not self._reach.asks(self.name) and "StudyInstanceUID" not in params:
            asked["StudyInstanceUID"] = ",".join(sorted(self._reach.granted))
        return asked

    def _is_open(self, answer: Attributes, level: str) -> bool:
        uid = text(answer, "StudyInstanceUID")
        if uid not in self._reach.granted and level != "studies" and not tells(answer):
            return self._reach.departments is None and self._reach.asks(self.name)
        return self._reach.sees(self.name, uid, departments_in(answer))
