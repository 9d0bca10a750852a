"""Writes an audit row for each login, logout, failed login and refused access."""

from __future__ import annotations

from typing import Any

from axes.signals import user_locked_out
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed

from pacs_web.accounts.guard import access_refused
from pacs_web.audit.models import Action, AuditEvent
from pacs_web.audit.record import address_of, record


def listen() -> None:
    """Connect the signals; called once when Django starts."""
    user_logged_in.connect(_logged_in, dispatch_uid="audit-login")
    user_logged_out.connect(_logged_out, dispatch_uid="audit-logout")
    user_login_failed.connect(_failed, dispatch_uid="audit-login-failed")
    access_refused.connect(_refused, dispatch_uid="audit-refused")
    user_locked_out.connect(_locked_out, dispatch_uid="audit-locked-out")


def _write(action: Action, name: object, request: Any, **detail: object) -> None:
    AuditEvent.objects.create(
        who=str(name or "")[:150], action=action, address=address_of(request), detail=detail
    )


def _logged_in(sender: Any, request: Any, user: Any, **kwargs: Any) -> None:
    _write(Action.LOGIN, user.get_username(), request)


def _logged_out(sender: Any, request: Any, user: Any, **kwargs: Any) -> None:
    if user is not None:
        _write(Action.LOGOUT, user.get_username(), request)


def _failed(sender: Any, credentials: dict[str, Any], request: Any = None, **kwargs: Any) -> None:
    _write(Action.LOGIN_FAILED, credentials.get("username"), request)


def _locked_out(sender: Any, request: Any, username: Any, **kwargs: Any) -> None:
    _write(Action.LOGIN_FAILED, username, request, locked_out=True)


def _refused(sender: Any, request: Any, right: Any, study_uid: str, **kwargs: Any) -> None:
    record(request, Action.REFUSED, study_uid=study_uid, right=right.value)
