"""The addresses of the rescue page, and its one style sheet."""

from __future__ import annotations

from pathlib import Path

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import path

from dicom_node.rescue import login, looking, search
from dicom_node.rescue.door import page

_STYLE = (Path(__file__).parent / "rescue.css").read_bytes()
_SERIES = "rescue/studies/<str:study_uid>/series/<str:series_uid>/"
_IMAGE = f"{_SERIES}instances/<str:sop_uid>/"


@page("GET", is_open=True)
def style(request: HttpRequest) -> HttpResponseBase:
    """Answer the style sheet."""
    return HttpResponse(_STYLE, content_type="text/css; charset=utf-8")


addresses = [
    path("rescue/", search.search, name="rescue"),
    path("rescue/login/", login.login, name="rescue-login"),
    path("rescue/logout/", login.logout, name="rescue-logout"),
    path("rescue/rescue.css", style, name="rescue-style"),
    path("rescue/studies/<str:study_uid>/", search.study, name="rescue-study"),
    path(_SERIES, search.series, name="rescue-series"),
    path(f"{_SERIES}thumbnail", looking.thumbnail),
    path(_IMAGE, looking.image, name="rescue-image"),
    path(f"{_IMAGE}picture", looking.picture, name="rescue-picture"),
    path(f"{_IMAGE}thumbnail", looking.thumbnail),
    path(f"{_IMAGE}header/", looking.header, name="rescue-header"),
]
