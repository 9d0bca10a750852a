"""What a session changes must come from our own pages (CSRF); a token proves itself."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware

from pacs_common.errors import Refused
from pacs_web.accounts import tokens


class _Check(CsrfViewMiddleware):
    """Django's own check, which tells its reason instead of answering a page."""

    def _reject(self, request: HttpRequest, reason: str) -> Any:
        return reason


def require_own_form(request: HttpRequest) -> None:
    """Raise Refused where a browser's session asks without the token of our own pages."""
    if tokens.given_in(request) is not None:
        return
    check = _Check(lambda _: HttpResponse())
    check.process_request(request)
    if reason := check.process_view(request, None, (), {}):
        raise Refused(f"this does not come from a page of ours: {reason}")
