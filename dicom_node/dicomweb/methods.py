"""The methods of a DICOMweb resource, as the table of addresses names them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponseBase, HttpResponseNotAllowed

from dicom_node.dicomweb import capabilities

View = Callable[..., HttpResponseBase]


def by_method(**views: View) -> View:
    """Return the view of a resource that has one view for each method.

    HEAD is answered as GET (its body is taken out at the edge), OPTIONS with the capabilities
    (PS3.18 8.9), any other method with 405.
    """

    def resource(request: HttpRequest, **named: Any) -> HttpResponseBase:
        if request.method == "OPTIONS":
            return capabilities.answer(request, allow(views))
        if request.method == "HEAD":
            request.method = "GET"
        view = views.get(request.method or "")
        return view(request, **named) if view else HttpResponseNotAllowed(allow(views))

    resource.views = views
    return resource


def allow(views: dict[str, View]) -> list[str]:
    """Return every method that a resource answers."""
    with_head = ["HEAD"] if "GET" in views else []
    return [*views, *with_head, "OPTIONS"]
