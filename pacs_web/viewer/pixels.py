"""Pictures on their way from a node to the browser; a designed placeholder where there is none."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.template.loader import render_to_string
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from pacs_common.errors import ArgensError
from pacs_common.resources import resource_path
from pacs_web import config
from pacs_web.accounts.guard import requires
from pacs_web.accounts.rights import Right
from pacs_web.audit.models import Action
from pacs_web.audit.record import record_once
from pacs_web.federation.handing_over import handed_over
from pacs_web.federation.opening import holders
from pacs_web.federation.passing import passed_from
from pacs_web.nodes.registry import clients
from pacs_web.studies.views import clients_for

PARAMETERS = ("window", "viewport", "quality", "presentation")
THUMBNAIL = {"viewport": "256,256"}
KEPT_S = 300  # an address that names no revision may mean another picture tomorrow
KEPT_FOR_EVER = "private, max-age=31536000, immutable"
REASONS = {
    404: _("No picture"),
    406: _("No picture"),
    502: _("Server does not answer"),
    503: _("In the archive"),
}


@requires(Right.VIEW)
@require_safe
def rendered(
    request: HttpRequest, study_uid: str, series_uid: str, instance_uid: str, frame: int = 0
) -> HttpResponse | StreamingHttpResponse:
    """Pass on an 8-bit windowed picture of an instance or one of its frames."""
    path = resource_path(study_uid, series_uid, instance_uid)
    path += f"/frames/{frame}/rendered" if frame else "/rendered"
    params = {name: request.GET[name] for name in PARAMETERS if name in request.GET}
    return _picture(request, study_uid, path, params)


@requires(Right.VIEW)
@require_safe
def thumbnail(
    request: HttpRequest, study_uid: str, series_uid: str, instance_uid: str = ""
) -> HttpResponse | StreamingHttpResponse:
    """Pass on the small picture of a series or an instance."""
    path = f"{resource_path(study_uid, series_uid, instance_uid)}/thumbnail"
    return _picture(request, study_uid, path, THUMBNAIL)


def _picture(
    request: HttpRequest, study_uid: str, path: str, params: dict[str, str]
) -> HttpResponse | StreamingHttpResponse:
    record_once(request, Action.IMAGES, study_uid=study_uid)
    try:
        found = holders(clients_for(request), study_uid, config.NODE_TIMEOUT_S)
        names = {node.name for node in found}
        nodes = clients(request.user.get_username(), names, patient=True)
        asked = {"path": path, "params": params, "headers": {"Accept": "image/jpeg"}}
        response = handed_over(request, nodes, study=study_uid, **asked)
        if response is None:
            response = passed_from(nodes, **asked)
    except ArgensError as error:
        return placeholder(error.http_status)
    if response.status_code >= 400:
        response.close()
        return placeholder(response.status_code)
    response["Cache-Control"] = (
        KEPT_FOR_EVER if request.GET.get("revision") else f"private, max-age={KEPT_S}"
    )
    patch_vary_headers(response, ["Cookie"])  # what one person's browser kept is not the next one's
    return response


def placeholder(status: int) -> HttpResponse:
    """Return the picture that stands for a missing one, with the status that says why."""
    content = render_to_string(
        "viewer/placeholder.svg", {"reason": REASONS.get(status, _("Cannot be shown"))}
    )
    return HttpResponse(content, status=status, content_type="image/svg+xml")
