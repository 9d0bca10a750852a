"""Serves the full viewer: its page, and the files of the installed release."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from django.http import FileResponse, HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe
from whitenoise import WhiteNoise
from whitenoise.middleware import WhiteNoiseMiddleware

from pacs_common.errors import NotFound
from pacs_web.accounts.guard import requires
from pacs_web.accounts.rights import Right
from pacs_web.full_viewer.policy import FILE_POLICY, PAGE_POLICY
from pacs_web.full_viewer.release import FILES, NAME, Release, installed_release


@requires(Right.VIEW)
@require_safe
def page(request: HttpRequest, place: str = "") -> HttpResponse:
    """Return the viewer's page, which reads in its own address what to show.

    `place` is one of its inner addresses (`viewer`, `segmentation`), never a file.
    """
    if "." in place:
        raise NotFound("the full viewer has no such file")
    if not place and not request.user.has_right(Right.UPLOAD):
        return redirect("search")  # its own list is where uploads begin; names stay in no address
    found = _release()
    get_token(request)  # sets the cookie that a script must repeat when it stores
    response = render(
        request,
        "full_viewer/page.html",
        {
            "script": f"{FILES}{found.script}",
            "style": f"{FILES}{found.style}",
            "files": FILES,
            "may_store": request.user.has_right(Right.STORE),
            "may_upload": request.user.has_right(Right.UPLOAD),
        },
    )
    response["Content-Security-Policy"] = PAGE_POLICY
    return response


@requires(Right.VIEW)
@require_safe
def file(request: HttpRequest, release: str, path: str) -> HttpResponse | FileResponse:
    """Return a file of the installed release, compressed as the browser takes it."""
    found = _served(_release().folder).files.get(f"{FILES}{path}") if release == NAME else None
    if found is None:
        raise NotFound("the full viewer has no such file")
    return WhiteNoiseMiddleware.serve(found, request)


@require_safe
def alive(request: HttpRequest) -> HttpResponse:
    """Answer 204 while the session lasts, 401 after it; asking does not make it last longer."""
    return HttpResponse(status=204 if request.user.is_authenticated else 401)


def _release() -> Release:
    found = installed_release()
    if found is None:
        raise NotFound("the full viewer is not installed here (manage.py web install-viewer)")
    return found


@lru_cache(maxsize=1)
def _served(folder: Path) -> WhiteNoise:
    """List a release's files once; a release never changes after it is installed."""
    return WhiteNoise(
        None,
        folder,
        FILES,
        allow_all_origins=False,
        immutable_file_test=lambda _path, _url: True,
        mimetypes={".wasm": "application/wasm"},
        add_headers_function=_secured,
    )


def _secured(headers: dict[str, str], _path: str, _url: str) -> None:
    headers["Content-Security-Policy"] = FILE_POLICY
