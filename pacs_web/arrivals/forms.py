"""What of the arrivals is shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from pacs_web.studies.forms import MODALITIES

HOURS = [("24", _("24 hours")), ("72", _("3 days")), ("168", _("7 days")), ("720", _("30 days"))]


class ArrivalsForm(forms.Form):
    """The filters: no patient's name stands in them, so they may stand in an address."""

    server = forms.ChoiceField(label=_("Server"), required=False)
    source = forms.CharField(label=_("Sent by"), max_length=16, required=False)
    modality = forms.ChoiceField(
        label=_("Modality"),
        choices=[("", _("All")), *((name, name) for name in MODALITIES)],
        required=False,
    )
    hours = forms.ChoiceField(label=_("Within"), choices=HOURS, required=False)

    def __init__(self, *args: Any, servers: Sequence[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = [(name, name) for name in servers]
        self.fields["server"].choices = [("", _("All")), *names]
        self.fields["source"].widget.attrs.update(
            autocomplete="off", placeholder=_("AE title"), list="sources", spellcheck="false"
        )

    def asked(self) -> dict[str, str]:
        """Return what a node is asked with; what makes no sense is left out."""
        said = self.cleaned_data if self.is_valid() else {}
        named = {key: said[key] for key in ("source", "modality") if said.get(key)}
        return {**named, "hours": said.get("hours") or HOURS[0][0]}

    def server_named(self) -> str:
        """Return the one server that is asked, "" for all."""
        return self.cleaned_data.get("server", "") if self.is_valid() else ""


class TransfersForm(ArrivalsForm):
    """The filters of the transfers."""

    show = forms.ChoiceField(
        label=_("Show"),
        choices=[("", _("With trouble")), ("all", _("All"))],
        required=False,
    )
    modality = None  # an association has none
    hours = None
    field_order = ["server", "source", "show"]

    def asked(self) -> dict[str, str]:
        """Return what a node is asked with."""
        said = self.cleaned_data if self.is_valid() else {}
        named = {"source": said["source"]} if said.get("source") else {}
        return named if said.get("show") == "all" else {**named, "troubled": "1"}
