"""IT's page of the last lines of every role's log, newest first, without going to the machines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from pacs_common.recent_log import MOST_WORDS, answered
from pacs_web import config
from pacs_web.accounts.guard import requires
from pacs_web.accounts.rights import Right
from pacs_web.federation.fan_out import fan_out
from pacs_web.nodes.registry import own_nodes, registered_archive, state_clients

PORTAL = "portal"
LINES_OF_EACH = 200
LEVELS = [("", _("Warnings and errors")), ("ERROR", _("Errors")), ("INFO", _("Everything"))]
SHOWN = {"at", "level", "logger", "message"}


class LogForm(forms.Form):
    """What is shown: no patient stands in a log, so it may stand in an address."""

    server = forms.ChoiceField(label=_("Server"), required=False)
    level = forms.ChoiceField(label=_("Show"), choices=LEVELS, required=False)
    words = forms.CharField(label=_("With the words"), max_length=MOST_WORDS, required=False)

    def __init__(self, *args: Any, servers: Sequence[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = [(name, name) for name in servers]
        self.fields["server"].choices = [("", _("All")), *names]
        self.fields["words"].widget.attrs.update(autocomplete="off", spellcheck="false")


@dataclass(frozen=True)
class Line:
    """One line of one role."""

    server: str
    at: datetime
    level: str
    logger: str
    message: str
    more: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Own:
    """The portal itself, which reads its own file."""

    name: str = PORTAL

    def log(self, **asked: str | int) -> list[dict[str, Any]]:
        """Return the newest lines of the portal's log."""
        told = {name: str(value) for name, value in asked.items()}
        return answered(config.DATA_DIR / "log", told)["lines"]


@requires(Right.MANAGE_NODES)
@require_safe
def log(request: HttpRequest) -> HttpResponse:
    """Show the last lines of every log."""
    return render(request, "nodes/log.html", _gathered(request))


@requires(Right.MANAGE_NODES)
@require_safe
def log_live(request: HttpRequest) -> HttpResponse:
    """Show what changes by itself: the page asks for it every three seconds."""
    return render(request, "nodes/log_live.html", _gathered(request))


def _gathered(request: HttpRequest) -> dict[str, Any]:
    rows = [*own_nodes(), *registered_archive()]
    sources = [*state_clients(request.user.get_username(), rows), Own()]
    form = LogForm(request.GET, servers=[one.name for one in sources])
    said = form.cleaned_data if form.is_valid() else {}
    chosen = [one for one in sources if said.get("server", "") in ("", one.name)]
    asked = {
        "level": said.get("level") or "WARNING",
        "words": said.get("words", ""),
        "limit": LINES_OF_EACH,
    }
    gathered = fan_out(chosen, lambda one: one.log(**asked), config.NODE_TIMEOUT_S)
    lines = [
        line for name, told in gathered.answers.items() for line in _lines(name, told)
    ]  # fmt: skip
    lines.sort(key=lambda line: line.at, reverse=True)
    shown = lines[:LINES_OF_EACH]
    return {"form": form, "lines": shown, "failures": gathered.failures}


def _lines(server: str, told: Sequence[Mapping[str, Any]]) -> Iterator[Line]:
    for one in told:
        with suppress(ValueError, TypeError):  # another version's, or nobody's
            at = datetime.fromisoformat(str(one.get("at")))
            yield Line(
                server,
                at if at.tzinfo else at.replace(tzinfo=UTC),
                str(one.get("level", "")),
                str(one.get("logger", "")),
                str(one.get("message", "")),
                [(name, str(value)) for name, value in one.items() if name not in SHOWN],
            )
