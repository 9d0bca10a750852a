"""Pages that belong to no area: designed errors, and the probes of a role."""

from __future__ import annotations

from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.translation import gettext as _

from pacs_common import VERSION


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Say which right is missing, and where this person may go instead."""
    return render(request, "pages/403.html", status=403)


def broken(request: HttpRequest) -> HttpResponse:
    """Say that the fault is ours; the page asks the database for nothing."""
    return HttpResponse(render_to_string("pages/500.html"), status=500)


def stale_form(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Say that a form was open too long, or came from elsewhere (CSRF)."""
    return render(request, "pages/stale_form.html", status=403)


def healthz(request: HttpRequest) -> JsonResponse:
    """Answer that the process lives."""
    return JsonResponse({"status": "ok", "version": VERSION})


def readyz(request: HttpRequest) -> JsonResponse:
    """Answer 200 where the database can be asked and is migrated, else 503 with the reasons."""
    reasons = _not_ready()
    return JsonResponse({"ready": not reasons, "reasons": reasons}, status=503 if reasons else 200)


def _not_ready() -> list[str]:
    try:
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            return [_("the database is not migrated")]
    except DatabaseError as error:
        return [_("the database does not answer: %(error)s") % {"error": error}]
    return []
