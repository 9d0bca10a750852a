from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from pacs_common.errors import BadInput
from pacs_common.uids import Uid

KINDS = [
    ("copy", _("Copy to a volume")),
    ("evict", _("Free the node's disk")),
    ("recall", _("Bring back")),
]


class JobForm(forms.Form):
    """What the operator starts by hand: one job for one study of one node."""

    kind = forms.ChoiceField(label=_("Job"), choices=KINDS)
    node = forms.ChoiceField(label=_("Server"))
    study_uid = forms.CharField(
        label=_("Study Instance UID"),
        max_length=64,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
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
