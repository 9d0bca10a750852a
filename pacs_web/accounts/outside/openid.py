"""Logging in at the hospital's OpenID Connect provider (Core 1.0: code flow, with PKCE)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import cache
from typing import Any

from authlib.common.errors import AuthlibBaseError
from authlib.integrations.django_client import OAuth
from django.contrib.auth.signals import user_login_failed
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe
from joserfc.errors import JoseError
from requests import RequestException

from pacs_common.errors import Refused
from pacs_web import config
from pacs_web.accounts.login import admit, failed, wanted_page
from pacs_web.accounts.outside.person import Person, account_of

LOG = logging.getLogger(__name__)
NEXT = "openid_next"
SECOND_STEPS = {"mfa", "otp", "hwk", "sc", "swk"}  # RFC 8176: how the provider proved it
BACKEND = "django.contrib.auth.backends.ModelBackend"
SIGNATURES = {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"}
TIMEOUT_S = 10
# What a provider that is away, or whose answer is not what it should be, raises.
_FAILURES = (AuthlibBaseError, JoseError, RequestException, LookupError, TypeError, ValueError)


@require_safe
def begin(request: HttpRequest) -> HttpResponse:
    """Send the person to the provider."""
    if not config.OPENID_ISSUER:
        return redirect("login")
    request.session[NEXT] = wanted_page(request)
    try:
        return provider().authorize_redirect(request, _return_address(request))
    except _FAILURES as error:
        LOG.warning("the OpenID provider does not answer: %s", type(error).__name__)
        said = _("%(name)s does not answer. Log in with a password, or try again.")
        return failed(request, said % {"name": config.OPENID_NAME}, status=502)


@require_safe
def finish(request: HttpRequest) -> HttpResponse:
    """Take what the provider says of the person, once its signature and audience are proven."""
    if not config.OPENID_ISSUER:
        return redirect("login")
    try:
        claims = provider().authorize_access_token(request)["userinfo"]
        person = _person(claims)
    except _FAILURES as error:
        LOG.warning("a login by OpenID failed: %s", error)
        said = _("%(name)s did not confirm who you are. Please try again.")
        return failed(request, said % {"name": config.OPENID_NAME})
    try:
        account = account_of(person)
    except Refused as error:
        LOG.warning("a login by OpenID was refused: %s", error)
        told = {"username": person.login[:150]}
        user_login_failed.send(sender=__name__, credentials=told, request=request)
        return failed(request, _("This login cannot be used here; IT can tell why."), status=403)
    proven = config.OPENID_SECOND_STEP or bool(SECOND_STEPS & set(claims.get("amr") or ()))
    account.backend = BACKEND
    return admit(request, account, request.session.pop(NEXT, ""), second_step_done=proven)


def provider() -> Any:
    """Return the provider's client; its addresses and keys are asked for at the first use.

    Raises LookupError where its own account of itself is another's, or offers no signature that
    a key of its own makes.
    """
    client = _client(config.OPENID_ISSUER, config.OPENID_CLIENT_ID, config.OPENID_CLIENT_SECRET)
    told = client.load_server_metadata()
    if str(told.get("issuer", "")).rstrip("/") != config.OPENID_ISSUER.rstrip("/"):
        raise LookupError("the provider says that it is another one")
    offered = set(told.get("id_token_signing_alg_values_supported") or SIGNATURES)
    if not offered & SIGNATURES:
        raise LookupError("the provider signs in no way that is taken here")
    told["id_token_signing_alg_values_supported"] = sorted(offered & SIGNATURES)
    return client


@cache
def _client(issuer: str, client_id: str, secret: str) -> Any:
    found = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
    wanted = {
        "scope": "openid profile email",
        "code_challenge_method": "S256",
        "default_timeout": TIMEOUT_S,
    }
    return OAuth().register(
        "hospital",
        client_id=client_id,
        client_secret=secret or None,
        server_metadata_url=found,
        client_kwargs=wanted,
    )


def _return_address(request: HttpRequest) -> str:
    return request.build_absolute_uri(reverse("openid-back"))


def _person(claims: Mapping[str, Any]) -> Person:
    groups = claims.get(config.OPENID_GROUPS_CLAIM) or ()
    return Person(
        keeper="openid",
        login=str(claims[config.OPENID_LOGIN_CLAIM]),
        first_name=str(claims.get("given_name") or ""),
        last_name=str(claims.get("family_name") or ""),
        email=str(claims.get("email") or ""),
        groups=frozenset([groups] if isinstance(groups, str) else map(str, groups)),
    )
