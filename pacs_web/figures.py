"""How the portal is, for Prometheus: what the database knows, beside what the processes counted."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from prometheus_client.core import GaugeMetricFamily

from pacs_common import VERSION
from pacs_common.measures import kept_backups, shared_files
from pacs_web import config
from pacs_web.accounts.models import OpenSession
from pacs_web.audit.models import AuditEvent, AuditSource, AuditTarget
from pacs_web.nodes.models import Node

LOG = logging.getLogger(__name__)
Families = Iterable[GaugeMetricFamily]


def metrics(request: HttpRequest) -> HttpResponse:
    """Answer all that the portal's processes counted, and how it is at this moment."""
    return HttpResponse(shared_files.told([Figures()]), content_type=shared_files.CONTENT_TYPE)


class Figures:
    """Looked up when asked; a database that is away costs its own figures and no others."""

    def collect(self) -> Families:
        """Yield the gauges."""
        info = GaugeMetricFamily("argens_portal_info", "Version.", labels=["version"])
        info.add_metric([VERSION], 1)
        yield info
        yield from kept_backups.gauges(config.DATA_DIR)
        answers = True
        for family in (_counts, _audit):
            try:
                yield from list(family())
            except DatabaseError as error:
                LOG.warning("no figures: the database does not answer: %s", error)
                answers = False
        told = "Whether the database answers."
        yield GaugeMetricFamily("argens_portal_database_up", told, value=float(answers))


def _counts() -> Families:
    number = Node.objects.count()
    yield GaugeMetricFamily("argens_portal_nodes", "Registered nodes.", value=number)
    sessions = OpenSession.objects.count()
    yield GaugeMetricFamily("argens_portal_sessions", "Logins that are kept.", value=sessions)
    rows = AuditEvent.objects.order_by("-id").values_list("id", flat=True)
    last = rows.first() or 0  # counting would read all
    yield GaugeMetricFamily("argens_portal_audit_events", "Audit rows ever written.", value=last)
    silent = AuditSource.objects.exclude(problem="").count()
    yield GaugeMetricFamily("argens_portal_audit_silent", "Servers not collected.", value=silent)


def _audit() -> Families:
    lag = GaugeMetricFamily(
        "argens_portal_audit_lag_seconds",
        "Since when the audit of a server was not collected.",
        labels=["source"],
    )
    for source in AuditSource.objects.exclude(at=None):
        lag.add_metric([source.name], max(0.0, (timezone.now() - source.at).total_seconds()))
    yield lag
    unsent = GaugeMetricFamily(
        "argens_portal_audit_unsent", "Audit rows that a receiver has not got.", labels=["receiver"]
    )
    last = AuditEvent.objects.order_by("-id").values_list("id", flat=True).first() or 0
    for target in AuditTarget.objects.all():
        unsent.add_metric([target.name], max(0, last - target.row))
    yield unsent
