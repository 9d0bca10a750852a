"""How long the session lasts: told to the person before it ends."""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from pacs_web.accounts.sessions import ends_at


@require_http_methods(["GET", "HEAD", "POST"])
def left(request: HttpRequest) -> JsonResponse:
    """Tell the seconds that are left; a POST is an act, which puts the end off where it can."""
    if request.open_session is None:
        return JsonResponse({"left_s": 0, "stays": False}, status=401)
    end, stays = ends_at(request)
    return JsonResponse({"left_s": int((end - timezone.now()).total_seconds()), "stays": stays})
