"""What the viewer asks of the node that holds a series."""

from __future__ import annotations

from django.http import HttpRequest

from pacs_common.errors import NotFound
from pacs_web import config
from pacs_web.federation.opening import OpenStudy, open_study
from pacs_web.federation.server import Server
from pacs_web.federation.study import Series
from pacs_web.nodes.registry import clients
from pacs_web.studies.views import clients_for


def opened(request: HttpRequest, study_uid: str) -> OpenStudy:
    """Return a study with its series; errors as `open_study`."""
    return open_study(clients_for(request), study_uid, config.NODE_TIMEOUT_S)


def node_of(request: HttpRequest, series: Series) -> Server:
    """Return a client of the node whose copy of the series is shown."""
    found = clients(request.user.get_username(), {series.node}, patient=True)
    if not found:
        raise NotFound(f"the server {series.node} is not registered any more")
    return found[0]
