"""The way to one node: its address, the tickets that it is shown, its account of itself."""

from __future__ import annotations

from typing import Any

from pacs_common.authorities import of_roles
from pacs_common.http import HttpClient
from pacs_common.tickets import TicketIssuer

SCU_READ_S = 120.0  # the node's own patience with its peer (60 s, PACS_PEER_RESPONSE_S) ends first


class NodeConnection:
    """Speaks to the node `name` at `base_url` with tickets of `issuer`, on behalf of `subject`."""

    def __init__(
        self,
        name: str,
        base_url: str,
        issuer: TicketIssuer,
        *,
        subject: str,
        connect_s: float = 2.0,
        read_s: float = 30.0,
        retries: int = 0,
        scu_read_s: float = SCU_READ_S,
    ) -> None:
        self.name = name
        self._scu_read_s = scu_read_s
        self.subject = subject
        self.http = HttpClient(
            base_url,
            name=name,
            connect_s=connect_s,
            read_s=read_s,
            retries=retries,
            tls=of_roles(),
        )
        self._issuer = issuer

    def status(self) -> dict[str, Any]:
        """Return the node's own account: name, AE title, disk, counts, last arrival."""
        return self.http.json("GET", "/api/node", token=self._ticket("status"))

    def chores(self) -> dict[str, Any]:
        """Return what the node does by itself: {"running": true, "chores": [...]}."""
        return self.http.json("GET", "/api/chores", token=self._ticket("status"))

    def log(self, **asked: str | int) -> list[dict[str, Any]]:
        """Return the newest lines of the node's log; `asked` are level, words and limit."""
        answer = self.http.json("GET", "/api/log", params=asked, token=self._ticket("log.read"))
        return answer["lines"]

    def _ticket(self, scope: str, *, study: str | None = None, plan: str | None = None) -> str:
        return self._issuer.issue(self.name, [scope], subject=self.subject, study=study, plan=plan)
