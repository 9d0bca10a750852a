"""The last lines of the node's log, for IT: `/api/log`."""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_GET

from dicom_node.api.guard import allowed
from dicom_node.config import CONFIG
from dicom_node.store.layout import Layout
from pacs_common.recent_log import answered


@require_GET
@allowed("log.read")
def lines(request: HttpRequest) -> JsonResponse:
    """Answer the newest lines of a level and above, with some words in them."""
    return JsonResponse(answered(Layout(CONFIG.data_dir).log, request.GET.dict()))
