"""Writes an audit row for each login, logout, failed login, refused access and broken glass."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any

from axes.signals import user_locked_out
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed

from pacs_web.accounts.signals import access_refused, account_changed, glass_broken
from pacs_web.audit.models import Action
from pacs_web.audit.record import record, write

LOG = logging.getLogger(__name__)


def listen() -> None:
    """Connect the signals; called once when Django starts."""
    user_logged_in.connect(_logged_in, dispatch_uid="audit-login")
    user_logged_out.connect(_logged_out, dispatch_uid="audit-logout")
    user_login_failed.connect(_failed, dispatch_uid="audit-login-failed")
    access_refused.connect(_refused, dispatch_uid="audit-refused")
    glass_broken.connect(_glass_broken, dispatch_uid="audit-glass-broken")
    account_changed.connect(_account_changed, dispatch_uid="audit-account-changed")
    user_locked_out.connect(_locked_out, dispatch_uid="audit-locked-out")


def _logged_in(sender: Any, request: Any, user: Any, **kwargs: Any) -> None:
    write(user.get_username(), Action.LOGIN, request)


def _logged_out(sender: Any, request: Any, user: Any, **kwargs: Any) -> None:
    if user is not None:
        write(user.get_username(), Action.LOGOUT, request)


def _failed(sender: Any, credentials: dict[str, Any], request: Any = None, **kwargs: Any) -> None:
    write(credentials.get("username") or "", Action.LOGIN_FAILED, request)


def _locked_out(sender: Any, request: Any, username: Any, **kwargs: Any) -> None:
    write(username or "", Action.LOGIN_FAILED, request, locked_out=True)


def _refused(sender: Any, request: Any, right: Any, study_uid: str, **kwargs: Any) -> None:
    record(request, Action.REFUSED, study_uid=study_uid, right=right.value)


def _glass_broken(
    sender: Any, request: Any, study_uid: str, reason: str, until: datetime, **kwargs: Any
) -> None:
    until_when = until.isoformat(timespec="seconds")
    record(request, Action.GLASS, study_uid=study_uid, reason=reason, until=until_when)
    LOG.warning("the glass was broken", extra={"who": str(request.user), "study_uid": study_uid})


def _account_changed(sender: Any, request: Any, whose: str, what: str, **kwargs: Any) -> None:
    record(request, Action.ACCOUNT, whose=whose, what=what)
