"""API tokens: made once, shown once, found again by their SHA-256."""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone

from pacs_web.accounts.models import Account, ApiToken
from pacs_web.accounts.rights import Right

DICOMWEB = "dicomweb"
STORE = "dicomweb.store"
DELETE = "dicomweb.delete"
SCOPE_NEEDS = {DICOMWEB: Right.VIEW, STORE: Right.UPLOAD, DELETE: Right.REJECT}
USE_NOTED_EVERY = timedelta(minutes=1)


def create(
    owner: Account, scopes: Iterable[str], *, label: str = "", expires_at: datetime | None = None
) -> str:
    """Make a token for `owner` and return it; it cannot be read again."""
    secret = secrets.token_urlsafe(32)
    ApiToken.objects.create(
        digest=digest_of(secret),
        owner=owner,
        scopes=sorted(scopes),
        label=label,
        expires_at=expires_at,
    )
    return secret


def digest_of(secret: str) -> str:
    """Return what is stored of a token; 256 random bits need no slow hash."""
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()


def active(secret: str) -> ApiToken | None:
    """Return the token if it may be used now, and note the use.

    It is looked up by its digest, so the time taken says nothing about a stored token.
    """
    now = timezone.now()
    token = (
        ApiToken.objects.select_related("owner")
        .filter(Q(expires_at=None) | Q(expires_at__gt=now), owner__is_active=True)
        .filter(digest=digest_of(secret))
        .first()
    )
    if token and (token.last_used_at is None or now - token.last_used_at > USE_NOTED_EVERY):
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
    return token


def granted_scopes(token: ApiToken) -> list[str]:
    """Return the token's scopes that its owner still has the right to."""
    return [
        scope
        for scope in token.scopes
        if scope in SCOPE_NEEDS and token.owner.has_right(SCOPE_NEEDS[scope])
    ]


def given_in(request: HttpRequest) -> str | None:
    """Return the token of `Authorization: Bearer`, or of Basic as the password."""
    scheme, _space, value = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return None
