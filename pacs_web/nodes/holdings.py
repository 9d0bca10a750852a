"""Which nodes hold a study, and which departments their copies name: the policy decides by it."""

from __future__ import annotations

from pacs_common.errors import ArgensError, PeerUnreachable
from pacs_web import config
from pacs_web.accounts.policy import Holding
from pacs_web.federation.departments import FIELDS, departments_in
from pacs_web.federation.fan_out import fan_out
from pacs_web.federation.server import Server
from pacs_web.nodes.registry import unlimited_clients


def holdings(study_uid: str, subject: str) -> tuple[list[Holding], ArgensError | None]:
    """Ask every node for one study; beside the holdings, the error that hides more of them."""
    asked = unlimited_clients(subject)
    gathered = fan_out(asked, lambda node: _at(node, study_uid), config.NODE_TIMEOUT_S)
    found = [holding for answer in gathered.answers.values() for holding in answer]
    if not gathered.failures:
        return found, None
    names = ", ".join(failure.node for failure in gathered.failures)
    return found, PeerUnreachable(f"the exam may lie on {names}, which cannot be asked now")


def _at(node: Server, study_uid: str) -> list[Holding]:
    asked = {"StudyInstanceUID": study_uid, "includefield": ",".join(FIELDS)}
    return [Holding(node.name, departments_in(one)) for one in node.qido("studies", asked)]
