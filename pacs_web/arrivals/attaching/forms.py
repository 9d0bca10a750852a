"""What a person says of a document that is attached to an exam."""

from __future__ import annotations

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from pacs_common.errors import ArgensError
from pacs_web.arrivals.attaching import pdf
from pacs_web.arrivals.attaching.encapsulated import Document

MAX_TITLE_CHARS = 64  # it is the series' description too (LO)
KINDS = [
    ("18748-4", gettext_lazy("Report of an imaging exam")),
    ("57133-1", gettext_lazy("Referral")),
    ("18842-5", gettext_lazy("Discharge summary")),
    ("59284-0", gettext_lazy("Consent")),
    ("34109-9", gettext_lazy("Other note")),
]
ORIGINS = [
    ("SD", gettext_lazy("Scanned from paper")),  # PS3.3 C.8.6.1: Scanned Document
    ("WSD", gettext_lazy("Written on a computer")),  # Workstation
]


class AttachForm(forms.Form):
    """The file, its title, what it is, where it comes from, and whether it names the patient."""

    file = forms.FileField(
        label=gettext_lazy("PDF file"),
        widget=forms.FileInput(attrs={"accept": "application/pdf,.pdf"}),
        error_messages={"required": gettext_lazy("Choose a file.")},
    )
    title = forms.CharField(label=gettext_lazy("Title"), max_length=MAX_TITLE_CHARS)
    kind = forms.ChoiceField(label=gettext_lazy("What it is"), choices=KINDS)
    origin = forms.ChoiceField(label=gettext_lazy("Where it comes from"), choices=ORIGINS)
    names_patient = forms.BooleanField(
        label=gettext_lazy("The patient's name stands on its pages"), required=False, initial=True
    )

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.fields["title"].widget.attrs["autocomplete"] = "off"

    def clean_file(self) -> bytes:
        """Return the file's bytes; a file that is no whole PDF is refused."""
        given: UploadedFile = self.cleaned_data["file"]
        try:
            content = given.read(pdf.MOST_BYTES + 1)
            pdf.check(content)
        except ArgensError as error:
            raise forms.ValidationError(str(error)) from None
        return content

    def clean_title(self) -> str:
        """Return the title as one line that a description can hold (PS3.5 6.2)."""
        title = " ".join(self.cleaned_data["title"].split())
        if "\\" in title or not title.isprintable():
            raise forms.ValidationError(_("a title has no backslash and no control character"))
        return title

    def document(self) -> Document:
        """Return what was said, once the form is valid."""
        said = self.cleaned_data
        return Document(
            said["file"], said["title"], said["kind"], said["origin"], said["names_patient"]
        )
