"""When jobs may run: windows as a week's grid, and the form that makes one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy
from django.views.decorators.http import require_http_methods

from pacs_common.archive_client import ArchiveClient
from pacs_web.accounts.guard import requires
from pacs_web.accounts.rights import Right
from pacs_web.archive.asking import told
from pacs_web.archive.doing import done, tried
from pacs_web.archive.showing import Question, asked
from pacs_web.archive.telling import refusal
from pacs_web.archive.week import DAY_MINUTES, lanes_of, spans_of
from pacs_web.archive.words import JOB_KINDS, WEEKDAYS, said
from pacs_web.audit.models import Action

MEGABYTE = 1_000_000
UNPROCESSABLE = 422
LANE = 10  # height of a lane in the grid's units; a minute is one unit across
EVERY = gettext_lazy("every one")


class WindowForm(forms.Form):
    """A time in which jobs may run: for which jobs, on which days, how fast."""

    kind = forms.ChoiceField(
        label=gettext_lazy("Jobs"), required=False, choices=[("", EVERY), *JOB_KINDS.items()]
    )
    vault = forms.ChoiceField(label=gettext_lazy("Vault"), required=False)
    node = forms.ChoiceField(label=gettext_lazy("Server"), required=False)
    weekdays = forms.MultipleChoiceField(
        label=gettext_lazy("Days on which it begins"),
        choices=[(str(day), name) for day, name in enumerate(WEEKDAYS)],
        widget=forms.CheckboxSelectMultiple,
        initial=list("0123456"),
    )
    begins = forms.TimeField(
        label=pgettext_lazy("hours", "From"),
        widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M"),
    )
    ends = forms.TimeField(
        label=pgettext_lazy("hours", "To"),
        widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M"),
        help_text=gettext_lazy("Before its beginning: on the next day."),
    )
    mb_per_s = forms.FloatField(
        label=gettext_lazy("Fastest (MB/s)"),
        required=False,
        min_value=0.1,
        help_text=gettext_lazy("Of each job; empty: as fast as it goes."),
    )
    enabled = forms.BooleanField(label=gettext_lazy("In force"), required=False, initial=True)

    def __init__(
        self, *args: Any, nodes: Sequence[str], vaults: Sequence[str], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        for name, known in (("node", nodes), ("vault", vaults)):
            self.fields[name].choices = [("", EVERY), *((one, one) for one in known)]

    def window(self) -> dict[str, Any]:
        """Return the window that was filled in."""
        given = self.cleaned_data
        speed = given["mb_per_s"]
        return {
            **{name: given[name] for name in ("kind", "vault", "node", "enabled")},
            "weekdays": "".join(sorted(given["weekdays"])),
            "begins": given["begins"].strftime("%H:%M"),
            "ends": given["ends"].strftime("%H:%M"),
            "bytes_per_s": round(speed * MEGABYTE) if speed else None,
        }


@requires(Right.ARCHIVE, exam=False)
@require_http_methods(["GET", "HEAD", "POST"])
def schedule(request: HttpRequest, window_id: int = 0) -> HttpResponse:
    """Show the windows, and a form for a new one or the one that is named; POST saves it."""
    context = told(request, _shown)
    if "problem" in context:
        return render(request, "archive/schedule.html", context)
    known = [one for one in context["windows"] if one["id"] == window_id] if window_id else []
    if window_id and not known:
        raise Http404
    form = WindowForm(
        request.POST if request.method == "POST" else None,
        initial=_filled(known[0]) if known else None,
        nodes=context["node_names"],
        vaults=context["vault_names"],
    )
    if form.is_bound and form.is_valid() and _save(request, form.window(), window_id):
        return redirect("archive-schedule")
    status = UNPROCESSABLE if form.is_bound else 200
    context |= {"form": form, "window_id": window_id}
    return render(request, "archive/schedule.html", context, status=status)


@requires(Right.ARCHIVE, exam=False)
@require_http_methods(["GET", "HEAD", "POST"])
def remove(request: HttpRequest, window_id: int) -> HttpResponse:
    """GET: say what a removal does. POST: remove the window."""
    if request.method != "POST":
        question = Question(
            _("Remove this window?"),
            [_("Jobs that no other window speaks of may then run at any time.")],
            _("Remove"),
            action=reverse("archive-window-remove", args=[window_id]),
            back=reverse("archive-schedule"),
            danger=True,
        )
        return asked(request, question)
    about = {"what": "archive window", "act": "remove", "window": window_id}
    text = _("The window is removed.")
    done(request, Action.CONFIGURE, lambda one: one.remove_window(window_id), text, **about)
    return redirect("archive-schedule")


def _shown(archive: ArchiveClient) -> dict[str, Any]:
    status, windows = archive.status(), archive.windows()
    in_force = [one for one in windows if one["enabled"]]
    lanes = lanes_of(in_force)
    height = LANE * (max(lanes, default=0) + 1)
    return {
        "windows": [window_shown(one) for one in windows],
        "rows": [
            {"name": name, "boxes": _boxes(day, in_force, lanes), "height": height}
            for day, name in enumerate(WEEKDAYS)
        ],
        "hours": [{"name": f"{hour:02d}", "x": hour * 60} for hour in range(0, 24, 3)],
        "day_minutes": DAY_MINUTES,
        "node_names": [one["name"] for one in status["nodes"]],
        "vault_names": [one["name"] for one in status["vaults"]],
    }


def _boxes(
    day: int, windows: Sequence[Mapping[str, Any]], lanes: Sequence[int]
) -> list[dict[str, Any]]:
    return [
        {
            "kind": window["kind"] or "every",
            "x": span.begins,
            "width": span.ends - span.begins,
            "y": lane * LANE + 1,
            "height": LANE - 2,
            "title": _("%(jobs)s, %(begins)s to %(ends)s")
            % {
                "jobs": said(JOB_KINDS, window["kind"]) or _("All jobs"),
                "begins": window["begins"][:5],
                "ends": window["ends"][:5],
            },
        }
        for window, lane in zip(windows, lanes, strict=True)
        for span in spans_of(window)
        if span.day == day
    ]


def window_shown(window: Mapping[str, Any]) -> dict[str, Any]:
    """Return a window with its jobs and its days in words."""
    days = sorted(set(window["weekdays"]))
    return {
        **window,
        "kind_text": said(JOB_KINDS, window["kind"]) if window["kind"] else _("All jobs"),
        "begins": window["begins"][:5],
        "ends": window["ends"][:5],
        "over_midnight": window["ends"] <= window["begins"],
        "days_text": _("every day")
        if len(days) == len(WEEKDAYS)
        else ", ".join(str(WEEKDAYS[int(day)]) for day in days),
    }


def _filled(window: Mapping[str, Any]) -> dict[str, Any]:
    speed = window.get("bytes_per_s")
    return {
        **window,
        "weekdays": list(window["weekdays"]),
        "mb_per_s": round(speed / MEGABYTE, 3) if speed else None,
    }


def _save(request: HttpRequest, window: dict[str, Any], window_id: int) -> bool:
    _answer, error = tried(
        request,
        Action.CONFIGURE,
        lambda archive: (
            archive.change_window(window_id, window) if window_id else archive.draw_window(window)
        ),
        what="archive window",
        act="change" if window_id else "add",
        **window,
    )
    if error is None:
        messages.success(request, _("The window is saved."))
    else:
        messages.error(request, refusal(error))
    return error is None
