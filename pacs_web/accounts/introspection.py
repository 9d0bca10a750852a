"""The nodes' question: whose is a token, and what does it grant?"""

from __future__ import annotations

import json

from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from pacs_common.errors import BadInput
from pacs_web.accounts import tokens
from pacs_web.accounts.guard import problem_response
from pacs_web.accounts.reach import reach_of

MAX_INTROSPECTION_BYTES = 8192


@csrf_exempt  # the nodes have no session here; what proves the caller's knowledge is the token
@require_POST
def introspect(request: HttpRequest) -> JsonResponse:
    """Tell a node whether a person's token is active, whose it is and what it grants there.

    A node knows no departments: whoever is limited to some, or to other nodes, is granted
    nothing there, and asks through the portal.
    """
    try:
        asked = json.loads(request.body[:MAX_INTROSPECTION_BYTES])
        secret, node = asked["token"], asked.get("node")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return problem_response(BadInput('send {"token": "...", "node": "..."}'))
    token = tokens.active(secret) if isinstance(secret, str) else None
    if token is None:
        return JsonResponse({"active": False})
    subject = token.owner.get_username()
    reach = reach_of(subject)
    free = reach.whole or (reach.departments is None and isinstance(node, str) and reach.asks(node))
    scopes = tokens.granted_scopes(token) if free else []
    return JsonResponse({"active": True, "subject": subject, "scopes": scopes})
