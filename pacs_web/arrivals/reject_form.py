"""What is rejected of an exam, and why: the four reasons of IHE IOCM."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from pacs_web.federation.study import Series

REASONS = [  # DCM, PS3.16 CID 7011
    ("113001", gettext_lazy("Bad quality")),
    ("113037", gettext_lazy("Patient safety: wrong patient, side or protocol")),
    ("113038", gettext_lazy("Wrong worklist entry")),
    ("113039", gettext_lazy("Kept long enough")),
]
MAX_COMMENT_CHARS = 1024


class RejectForm(forms.Form):
    """The whole exam, one of its series, or the image that was looked at."""

    what = forms.ChoiceField(
        label=gettext_lazy("What"), widget=forms.RadioSelect, initial="", required=False
    )
    reason = forms.ChoiceField(
        label=gettext_lazy("Why"), choices=[("", "—"), *REASONS], required=True
    )
    comment = forms.CharField(
        label=gettext_lazy("Comment"), max_length=MAX_COMMENT_CHARS, required=False
    )

    def __init__(
        self,
        *args: Any,
        series: Sequence[Series],
        image: tuple[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        choices = [("", _("The whole exam")), *((one.uid, _named(one)) for one in series)]
        if image:
            choices.insert(0, ("/".join(image), _("This image")))
            self.initial["what"] = "/".join(image)
        self.fields["what"].choices = choices
        self.fields["comment"].widget.attrs["autocomplete"] = "off"

    def clean_comment(self) -> str:
        """Return the comment as one line."""
        return " ".join(self.cleaned_data["comment"].split())


def _named(series: Series) -> str:
    number = f"{series.number} · " if series.number is not None else ""
    named = series.description or _("Series without description")
    return f"{number}{named} · {series.modality or '?'} · {series.instances}"
