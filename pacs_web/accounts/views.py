"""The first of the six steps: who is it? And the nodes' question whose a token is."""

from __future__ import annotations

import json
from typing import Any

from django.contrib.auth.views import LoginView, LogoutView
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from pacs_common.errors import BadInput
from pacs_web.accounts import tokens
from pacs_web.accounts.forms import LoginForm
from pacs_web.accounts.guard import problem_response
from pacs_web.menu import entries

MAX_INTROSPECTION_BYTES = 8192


class Login(LoginView):
    """Logs a person in and opens the first page that this person may see."""

    template_name = "accounts/login.html"
    authentication_form = LoginForm
    redirect_authenticated_user = True

    def get_success_url(self) -> str:
        """Return the page that was asked for, else the first of the person's menu."""
        asked = self.get_redirect_url()
        pages = entries(self.request.user)
        if asked and asked not in {"/", reverse("login"), reverse("logout")}:
            return asked
        return pages[0]["url"] if pages else reverse("search")


class Logout(LogoutView):
    """Ends the session, and asks the browser to forget the pictures that it kept."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Log out; reading stations are shared, and Back must show nobody's images."""
        response = super().post(request, *args, **kwargs)
        response["Clear-Site-Data"] = '"cache"'
        return response


@csrf_exempt  # the nodes have no session here; what proves the caller's knowledge is the token
@require_POST
def introspect(request: HttpRequest) -> JsonResponse:
    """Tell a node whether a person's token is active, whose it is and what it grants."""
    try:
        secret = json.loads(request.body[:MAX_INTROSPECTION_BYTES])["token"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return problem_response(BadInput('send {"token": "..."}'))
    token = tokens.active(secret) if isinstance(secret, str) else None
    if token is None:
        return JsonResponse({"active": False})
    return JsonResponse(
        {
            "active": True,
            "subject": token.owner.get_username(),
            "scopes": tokens.granted_scopes(token),
        }
    )
