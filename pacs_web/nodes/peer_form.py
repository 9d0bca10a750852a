"""The form by which IT says who may call a node by DICOM, and what the node's peer is made of."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

RIGHTS = [
    ("echo", gettext_lazy("test the connection (C-ECHO)")),
    ("store", gettext_lazy("send images (C-STORE)")),
    ("query", gettext_lazy("search (C-FIND)")),
    ("retrieve", gettext_lazy("fetch images (C-MOVE, C-GET)")),
    ("commit", gettext_lazy("ask for storage commitment")),
    ("reject", gettext_lazy("hide images by rejection notes")),
]
USUAL = ["echo", "store"]  # what a new modality needs
_SEPARATORS = re.compile(r"[,;\s]+")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class PeerForm(forms.Form):
    """A peer's name, addresses, certificate, rights and where it listens."""

    ae_title = forms.CharField(
        max_length=16,
        label=gettext_lazy("AE title"),
        help_text=gettext_lazy("As the other system calls itself: at most 16 characters."),
    )
    addresses = forms.CharField(
        required=False,
        label=gettext_lazy("Calls from"),
        help_text=gettext_lazy("IP addresses, networks or host names; * for anywhere."),
    )
    may = forms.MultipleChoiceField(
        required=False,
        choices=RIGHTS,
        label=gettext_lazy("It may"),
        widget=forms.CheckboxSelectMultiple,
    )
    host = forms.CharField(
        required=False,
        max_length=253,
        label=gettext_lazy("Listens at host"),
        help_text=gettext_lazy("Where it takes images; empty if it only calls."),
    )
    port = forms.IntegerField(
        required=False, min_value=1, max_value=65535, label=gettext_lazy("Port")
    )
    tls = forms.BooleanField(required=False, label=gettext_lazy("It listens with TLS"))
    sha256 = forms.CharField(
        required=False,
        label=gettext_lazy("Certificate (SHA-256)"),
        help_text=gettext_lazy("The only certificate that it may show; empty for any trusted one."),
    )
    every_destination = forms.BooleanField(
        required=False, label=gettext_lazy("It may let images be sent to every known peer")
    )
    destinations = forms.CharField(
        required=False,
        label=gettext_lazy("Only to these AE titles"),
        help_text=gettext_lazy("Separated by commas; empty for none."),
    )
    note = forms.CharField(required=False, max_length=200, label=gettext_lazy("Note"))

    def __init__(self, *args: Any, known: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, initial=_initial(known), **kwargs)
        self._known = known or {}
        if known is not None:
            self.fields["ae_title"].disabled = True
        for field in self.fields.values():
            field.widget.attrs.setdefault("autocomplete", "off")
            field.widget.attrs.setdefault("spellcheck", "false")

    def clean_sha256(self) -> str:
        """Return the digest as the node compares it: 64 small hexadecimal digits."""
        digest = self.cleaned_data["sha256"].replace(":", "").replace(" ", "").lower()
        if digest and not _SHA256.fullmatch(digest):
            raise ValidationError(_("A SHA-256 has 64 hexadecimal digits."))
        return digest

    def clean(self) -> dict[str, Any]:
        """Ask for host and port together."""
        said = self.cleaned_data
        if bool(said.get("host")) != bool(said.get("port")) and not self.errors:
            raise ValidationError(_("Name both the host and the port at which it listens."))
        return said

    def peer(self) -> dict[str, Any]:
        """Return the peer as the node reads it; what the form does not show stays as it was."""
        said = self.cleaned_data
        kept = {key: value for key, value in self._known.items() if key != "in_settings"}
        subject = (kept.get("certificate") or {}).get("subject", "")
        certificate = {"sha256": said["sha256"], "subject": subject}
        listens = {"host": said["host"], "port": said["port"], "tls": said["tls"]}
        titles = [one.strip() for one in said["destinations"].split(",")]
        return kept | {
            "ae_title": said["ae_title"],
            "addresses": [one for one in _SEPARATORS.split(said["addresses"]) if one],
            "may": said["may"],
            "certificate": certificate if any(certificate.values()) else None,
            "listens": listens if said["host"] else None,
            "destinations": None if said["every_destination"] else [one for one in titles if one],
            "note": said["note"],
        }


def _initial(known: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what the form shows first: a known peer's values, or a new modality's."""
    if known is None:
        return {"may": USUAL, "every_destination": True}
    listens, certificate = known["listens"] or {}, known["certificate"] or {}
    return {
        "ae_title": known["ae_title"],
        "addresses": ", ".join(known["addresses"]),
        "may": known["may"],
        "host": listens.get("host", ""),
        "port": listens.get("port"),
        "tls": listens.get("tls", False),
        "sha256": certificate.get("sha256", ""),
        "every_destination": known["destinations"] is None,
        "destinations": ", ".join(known["destinations"] or []),
        "note": known["note"],
    }
