"""How the archive is, for monitors: no ticket is asked for, and nothing tells of patients."""

from __future__ import annotations

import os

from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse

from archive_node import library
from archive_node.api.guard import monitored
from archive_node.models import Job


@monitored
def healthz(request: HttpRequest) -> JsonResponse:
    """Say that the process lives."""
    return JsonResponse({"status": "ok"})


@monitored
def readyz(request: HttpRequest) -> JsonResponse:
    """Say whether the archive can work, and why not."""
    checks = {"database": _database, "vault": _vault, "broker": _broker}
    reasons = {name: reason for name, check in checks.items() if (reason := check())}
    word = "not ready" if reasons else "ready"
    return JsonResponse({"status": word, "reasons": reasons}, status=503 if reasons else 200)


def _database() -> str:
    try:
        connection.ensure_connection()
        Job.objects.exists()
    except DatabaseError as error:
        return f"the database does not answer: {error}"
    return ""


def _vault() -> str:
    try:
        _, missing = library.answering()
    except DatabaseError:
        return "the database does not say which vaults there are"
    return "; ".join(f"{name}: {why}" for name, why in missing.items())


def _broker() -> str:
    config = settings.ARCHIVE
    if not config.broker_url.startswith("filesystem"):
        return ""
    messages = config.broker_dir / "messages"
    return "" if os.access(messages, os.W_OK | os.X_OK) else f"{messages} is not writable"
