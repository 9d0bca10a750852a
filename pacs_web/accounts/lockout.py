"""The lock after failed logins: of a name at an address, of an address, and of a name."""

from __future__ import annotations

from typing import Any

from axes.attempts import get_cool_off_threshold
from axes.handlers.database import AxesDatabaseHandler
from axes.helpers import get_client_ip_address, get_client_username, get_failure_limit
from axes.models import AccessAttempt
from django.db.models import Sum
from django.http import HttpRequest

from pacs_web import config


class BroadHandler(AxesDatabaseHandler):
    """Locks, beside axes' own name at an address, whoever tries many names or from everywhere.

    The broad limits are higher: a ward shares an address, and nobody should lock out a colleague
    by a few wrong passwords.
    """

    def get_failures(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> int:
        """Return the failures that count, the limit itself where a broad limit is reached."""
        failures: int = super().get_failures(request, credentials)
        limit = get_failure_limit(request, credentials)
        if failures >= limit or not self._is_broadly_locked(request, credentials):
            return failures
        return limit

    def _is_broadly_locked(self, request: HttpRequest, credentials: dict[str, Any] | None) -> bool:
        lately = AccessAttempt.objects.filter(attempt_time__gte=get_cool_off_threshold(request))
        counted = [
            (lately.filter(ip_address=get_client_ip_address(request)), config.ADDRESS_FAILURES),
            (
                lately.filter(username=get_client_username(request, credentials)),
                config.ACCOUNT_FAILURES,
            ),
        ]
        return any(
            (attempts.aggregate(n=Sum("failures_since_start"))["n"] or 0) >= most
            for attempts, most in counted
        )
