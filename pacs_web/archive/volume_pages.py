"""The volumes: their list, one of them with its copies, its label to print, and its life."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from pacs_common.archive_client import ArchiveClient
from pacs_common.errors import BadInput
from pacs_web.accounts.guard import requires
from pacs_web.accounts.rights import Right
from pacs_web.archive.asking import told
from pacs_web.archive.code39 import symbol_of
from pacs_web.archive.doing import done
from pacs_web.archive.forms import BarcodeForm
from pacs_web.archive.jobs import Pages, page_of
from pacs_web.archive.showing import Question, asked, live_page
from pacs_web.archive.telling import in_language
from pacs_web.archive.volumes import ACTIONS, DANGEROUS, copy_shown, happens, volume_shown
from pacs_web.archive.words import VOLUME_STATES
from pacs_web.audit.models import Action

VOLUMES_A_PAGE, COPIES_A_PAGE = 100, 100


@requires(Right.ARCHIVE, exam=False)
@require_safe
def volumes(request: HttpRequest) -> HttpResponse:
    """Show the volumes of all vaults that answer, and name those that do not."""
    wanted = {name: request.GET.get(name, "").strip() for name in ("vault", "state", "label")}
    page = page_of(request.GET)
    context = told(request, lambda archive: _listed(archive, wanted, page))
    query = urlencode({name: text for name, text in wanted.items() if text})
    more = {"wanted": wanted, "query": query, "states": VOLUME_STATES}
    return live_page(request, "volumes", {**context, **more})


@requires(Right.ARCHIVE, exam=False)
@require_safe
def volume(request: HttpRequest, vault: str, label: str) -> HttpResponse:
    """Show one volume, and the copies on it."""
    page = page_of(request.GET)
    page_asked = {"limit": COPIES_A_PAGE, "offset": (page - 1) * COPIES_A_PAGE}

    def gather(archive: ArchiveClient) -> dict[str, Any]:
        answer = archive.volume(vault, label, **page_asked)
        return {
            "volume": volume_shown(answer["volume"]),
            "copies": [_copy(one) for one in answer["copies"]],
            "total": answer["total"],
            "pages": Pages(page, COPIES_A_PAGE, answer["total"]),
        }

    context = {"vault": vault, "label": label, "form": BarcodeForm(), **told(request, gather)}
    return live_page(request, "volume", context)


@requires(Right.ARCHIVE, exam=False)
@require_safe
def label(request: HttpRequest, vault: str, label: str) -> HttpResponse:
    """Show a volume's label, to be printed: its bar code and its name."""
    context: dict[str, Any] = {"vault": vault, "label": label}
    try:
        context["symbol"] = symbol_of(label)
    except BadInput as error:
        context["problem"] = str(error)
    return render(request, "archive/label.html", context)


@requires(Right.ARCHIVE, exam=False)
@require_POST
def insert(request: HttpRequest, vault: str, label: str) -> HttpResponse:
    """Take a volume back from the shelf, whose barcode was read."""
    form = BarcodeForm(request.POST)
    if form.is_valid():
        barcode = form.cleaned_data["barcode"]
        done(
            request,
            Action.ARCHIVE,
            lambda archive: archive.insert_volume(vault, label, barcode),
            _("Volume %(label)s is in the library again.") % {"label": label},
            what="volume",
            act="insert",
            vault=vault,
            volume=label,
            barcode=barcode,
        )
    else:
        messages.error(request, _("Scan or type the barcode on the volume."))
    return redirect("archive-volume", vault, label)


@requires(Right.ARCHIVE, exam=False)
@require_http_methods(["GET", "HEAD", "POST"])
def act(request: HttpRequest, vault: str, label: str, volume_action: str) -> HttpResponse:
    """GET: say what an action does to a volume. POST: do it."""
    if volume_action not in ACTIONS:
        raise Http404
    page = reverse("archive-volume", args=[vault, label])
    if request.method != "POST":
        name = str(ACTIONS[volume_action]).rstrip("…")
        question = Question(
            _("%(action)s: volume %(label)s") % {"action": name, "label": label},
            happens(volume_action),
            name,
            action=reverse("archive-volume-act", args=[vault, label, volume_action]),
            back=page,
            danger=volume_action in DANGEROUS,
        )
        return asked(request, question)
    done(
        request,
        Action.ARCHIVE,
        lambda archive: archive.act_on_volume(vault, label, volume_action),
        _done(volume_action) % {"label": label},
        what="volume",
        act=volume_action,
        vault=vault,
        volume=label,
    )
    return redirect(page)


def _done(action: str) -> str:
    return {
        "scrub": _("Volume %(label)s will be checked: the job is queued."),
        "suspect": _("Volume %(label)s is marked as suspect."),
        "trust": _("Volume %(label)s is trusted again."),
        "shelve": _("Volume %(label)s is handed out: put it on the shelf."),
        "evacuate": _("Volume %(label)s will be evacuated: the job is queued."),
        "retire": _("Volume %(label)s is retired."),
    }[action]


def _listed(archive: ArchiveClient, wanted: Mapping[str, str], page: int) -> dict[str, Any]:
    answer = archive.volumes_and_missing()
    rows = [one for one in answer["volumes"] if _fits(one, wanted)]
    here = rows[(page - 1) * VOLUMES_A_PAGE : page * VOLUMES_A_PAGE]
    vaults = {one["vault"] for one in answer["volumes"]} | set(answer["missing"])
    return {
        "volumes": [volume_shown(one) for one in here],
        "missing": sorted(answer["missing"].items()),
        "vault_names": sorted(vaults),
        "pages": Pages(page, VOLUMES_A_PAGE, len(rows)),
        "counts": _counts(answer["volumes"]),
    }


def _fits(volume: Mapping[str, Any], wanted: Mapping[str, str]) -> bool:
    same = all(not wanted[name] or volume[name] == wanted[name] for name in ("vault", "state"))
    return same and wanted["label"].upper() in volume["label"].upper()


def _counts(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, Any, int]]:
    states = [row["state"] for row in rows]
    return [(name, text, states.count(name)) for name, text in VOLUME_STATES.items()]


def _copy(copy: Mapping[str, Any]) -> dict[str, Any]:
    return {**copy_shown(copy), "problem": in_language(copy.get("problem"))}
