"""What the operator fills in: a job by hand, a hold, a barcode."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from pacs_common.errors import BadInput
from pacs_common.uids import Uid
from pacs_web.archive.words import HOLD_KINDS

KINDS = [
    ("copy", _("Copy to a volume")),
    ("evict", _("Free the node's disk")),
    ("recall", _("Bring back")),
]
NO_HELP = {"autocomplete": "off", "spellcheck": "false"}


class StudyForm(forms.Form):
    """One study of one node."""

    node = forms.ChoiceField(label=_("Server"))
    study_uid = forms.CharField(
        label=_("Study Instance UID"), max_length=64, widget=forms.TextInput(attrs=NO_HELP)
    )

    def __init__(self, *args: Any, nodes: Sequence[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["node"].choices = [(name, name) for name in nodes]

    def clean_study_uid(self) -> Uid:
        """Refuse what is no UID."""
        try:
            return Uid.parse(self.cleaned_data["study_uid"], "Study Instance UID")
        except BadInput:
            raise ValidationError(_("A UID is digits and dots, at most 64 characters.")) from None


class JobForm(StudyForm):
    """What the operator starts by hand: one job for one study of one node."""

    kind = forms.ChoiceField(label=_("Job"), choices=KINDS)
    field_order = ("kind", "node", "study_uid")


class HoldForm(StudyForm):
    """Why a study must stay on its server."""

    kind = forms.ChoiceField(label=_("Kind of hold"), choices=list(HOLD_KINDS.items()))
    reason = forms.CharField(
        label=_("Reason"),
        max_length=200,
        help_text=_("Operators read it: no patient's name."),
        widget=forms.TextInput(attrs=NO_HELP),
    )
    field_order = ("kind", "node", "study_uid", "reason")


class BarcodeForm(forms.Form):
    """What a scanner read from a volume's label."""

    barcode = forms.CharField(
        label=_("Barcode"),
        max_length=64,
        widget=forms.TextInput(attrs={**NO_HELP, "autocapitalize": "characters"}),
    )
