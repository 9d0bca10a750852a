"""Logins, counted: how many succeed, fail, and meet a lock. Who tried is for the audit."""

from __future__ import annotations

from typing import Any

from axes.signals import user_locked_out
from django.contrib.auth.signals import user_logged_in, user_login_failed
from prometheus_client import Counter

LOGINS = Counter("argens_portal_logins_total", "Logins, by how they ended.", ["outcome"])


def listen() -> None:
    """Connect the signals; called once when Django starts."""
    for outcome in ("success", "failed", "locked"):
        LOGINS.labels(outcome)  # told as 0: an increase from nothing is none to Prometheus
    user_logged_in.connect(_logged_in, dispatch_uid="count-login")
    user_login_failed.connect(_failed, dispatch_uid="count-login-failed")
    user_locked_out.connect(_locked_out, dispatch_uid="count-locked-out")


def _logged_in(sender: Any, **kwargs: Any) -> None:
    LOGINS.labels("success").inc()


def _failed(sender: Any, **kwargs: Any) -> None:
    LOGINS.labels("failed").inc()


def _locked_out(sender: Any, **kwargs: Any) -> None:
    LOGINS.labels("locked").inc()
