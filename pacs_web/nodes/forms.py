"""The forms by which IT registers servers, one for each kind."""

from __future__ import annotations

import ssl
from typing import Any
from urllib.parse import urlsplit

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from pacs_common.errors import ArgensError, BadInput
from pacs_web.nodes import registry
from pacs_web.nodes.addresses import checked_host, checked_url
from pacs_web.nodes.models import Authentication, Kind, Node
from pacs_web.nodes.sealing import sealed, unsealed
from pacs_web.nodes.servers.connection import context

WAIT_S = 5.0
PLAIN = {"autocomplete": "off", "spellcheck": "false"}
PEM = {**PLAIN, "rows": 4, "placeholder": "-----BEGIN CERTIFICATE-----"}


class ServerForm(forms.ModelForm):
    """What every kind has: a name and a site."""

    kind: Kind
    example = ""
    parts: list[tuple[Any, str]] = []  # titles, and the fields below each

    def sections(self) -> list[tuple[Any, list[forms.BoundField]]]:
        """Return the fields as the page groups them."""
        parts = self.parts or [("", " ".join(self.fields))]
        return [(title, [self[name] for name in names.split()]) for title, names in parts]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.instance.kind = self.kind
        for field in self.fields.values():
            field.widget.attrs.setdefault("autocomplete", "off")
        self.fields["name"].label = _("Name")
        self.fields["name"].help_text = _("Letters, digits, - and _; people see it in lists.")
        self.fields["site"].label = _("Site")
        self.fields["site"].help_text = _("Servers of one site stand together.")


class AddressForm(ServerForm):
    """A server of our own: where it is."""

    kind = Kind.OWN
    example = "http://10.0.0.5:8101"

    class Meta:
        model = Node
        fields = ["name", "site", "url"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["url"].label = _("Address")
        self.fields["url"].required = True
        self.fields["url"].widget.attrs["placeholder"] = self.example
        self.fields["url"].widget.attrs["inputmode"] = "url"

    def clean_url(self) -> str:
        """Refuse what may not be asked."""
        try:
            return checked_url(self.cleaned_data["url"])
        except BadInput as error:
            raise ValidationError(str(error)) from None


class OwnForm(AddressForm):
    """A node of our own."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name"].help_text = _("As in the node's PACS_NODE_NAME.")


class ArchiveForm(AddressForm):
    """The archive."""

    kind = Kind.ARCHIVE
    example = "http://10.0.0.6:8200"


class WebForm(AddressForm):
    """A DICOMweb server of another maker."""

    kind = Kind.DICOMWEB
    example = "https://pacs.hospital:8443/dicom-web"
    parts = [
        ("", "name site url issuer"),
        (_("Login"), "authentication user secret"),
        (_("TLS"), "authority certificate key"),
        (_("Services"), "qido_path wado_path stow_path answers_at_once stores"),
    ]
    secret = forms.CharField(
        label=_("Token or password"),
        max_length=4000,
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
    key = forms.CharField(
        label=_("Private key of the client certificate (PEM, without passphrase)"),
        max_length=20_000,
        required=False,
        widget=forms.Textarea(attrs={**PEM, "placeholder": "-----BEGIN PRIVATE KEY-----"}),
    )

    class Meta:
        model = Node
        fields = [
            *("name", "site", "url", "issuer", "qido_path", "wado_path", "stow_path"),
            *("answers_at_once", "stores", "authentication", "user", "certificate", "authority"),
        ]
        widgets = {
            "certificate": forms.Textarea(attrs=PEM),
            "authority": forms.Textarea(attrs=PEM),
        }
        labels = {
            "issuer": _("Issuer of its Patient IDs"),
            "qido_path": _("Path of QIDO-RS below the address"),
            "wado_path": _("Path of WADO-RS"),
            "stow_path": _("Path of STOW-RS"),
            "answers_at_once": _("Most answers that it gives at once"),
            "stores": _("Takes uploads from the portal"),
            "authentication": _("How the portal logs in"),
            "user": _("User name"),
            "certificate": _("Client certificate (PEM)"),
            "authority": _("Authority that signed its certificate (PEM)"),
        }
        help_texts = {
            "issuer": _("Its patients are other people than ours with the same ID."),
            "qido_path": _("Empty where it is the address itself."),
            "answers_at_once": _("0 where it has no limit."),
            "authority": _("Empty: the authorities that this machine trusts."),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.before = Node.objects.filter(pk=self.instance.pk).first()
        self.fields["issuer"].required = True
        for name, kept in (("secret", "sealed_secret"), ("key", "sealed_key")):
            if getattr(self.instance, kept):
                self.fields[name].help_text = _("Kept. Leave empty to go on with it.")

    def clean(self) -> dict[str, Any]:
        """Refuse what is missing, and papers that do not fit each other."""
        cleaned = super().clean() or {}
        self._require_secret(cleaned)
        if "url" in cleaned:
            self._require_papers(cleaned)
        return cleaned

    def save(self, commit: bool = True) -> Node:
        """Encrypt the secrets; what is not used any more is forgotten."""
        said, row = self.cleaned_data, self.instance
        if said["authentication"] == Authentication.NONE:
            row.sealed_secret = ""
        elif said["secret"]:
            row.sealed_secret = sealed(said["secret"])
        if not said["certificate"]:
            row.sealed_key = ""
        elif said["key"]:
            row.sealed_key = sealed(said["key"])
        return super().save(commit)

    def _require_secret(self, said: dict[str, Any]) -> None:
        if said.get("authentication") == Authentication.BASIC and not said.get("user"):
            self.add_error("user", _("A user name is needed."))
        wanted = said.get("authentication") not in (None, Authentication.NONE)
        if not wanted or said.get("secret"):
            return
        if self.before is None or not self.before.sealed_secret:
            self.add_error("secret", _("It is needed for this login."))
        elif _moved(self.before.url, said.get("url", "")):
            self.add_error("secret", _("The address has changed: enter it again."))

    def _require_papers(self, said: dict[str, Any]) -> None:
        key, certificate = said.get("key", ""), said.get("certificate", "")
        if certificate and not key:
            if self.before is None or not self.before.sealed_key:
                self.add_error("key", _("The certificate needs its key."))
                return
            try:
                key = unsealed(self.before.sealed_key, self.before.name)
            except ArgensError as error:
                self.add_error("key", str(error))
                return
        try:
            context(said.get("authority", ""), certificate, key)
        except (ssl.SSLError, ValueError, OSError) as error:
            named = "certificate" if certificate else "authority"
            self.add_error(named, _("These papers cannot be used: %(why)s") % {"why": error})


def _moved(before: str, after: str) -> bool:
    """Whether a secret would be shown to another server than the one it was given for."""
    one, other = urlsplit(before), urlsplit(after)
    return (one.scheme, one.netloc) != (other.scheme, other.netloc)


class DimseForm(ServerForm):
    """A PACS that speaks only DIMSE, and the node of ours that queries it and takes its images."""

    kind = Kind.DIMSE

    class Meta:
        model = Node
        fields = ["name", "site", "through", "ae_title", "host", "port"]
        labels = {
            "through": _("Node that queries it and takes its images"),
            "ae_title": _("AE title"),
            "host": _("Host"),
            "port": _("DICOM port"),
        }
        help_texts = {
            "through": _("Its patients count as those of this node's PACS_DEFAULT_ISSUER."),
            "ae_title": _("The PACS must know the node as a move destination."),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["through"].queryset = Node.objects.filter(kind=Kind.OWN)
        for name in ("through", "ae_title", "host"):
            self.fields[name].required = True

    def clean_host(self) -> str:
        """Refuse what may not be asked."""
        try:
            return checked_host(self.cleaned_data["host"].strip())
        except BadInput as error:
            raise ValidationError(str(error)) from None

    def clean_through(self) -> Node:
        """Take the issuer that the node gives to what lands there (custody rule 12)."""
        through = self.cleaned_data["through"]
        try:
            told = registry.own_client(through, "registry", WAIT_S).status()
        except ArgensError as error:
            why = _("This node must answer, to say whose patients these are: %(why)s")
            raise ValidationError(why % {"why": error}) from None
        self.instance.issuer = str(told.get("default_issuer", ""))
        if not self.instance.issuer:
            raise ValidationError(_("This node does not tell its issuer: bring it up to date."))
        return through


FORMS: dict[str, type[ServerForm]] = {
    one.kind: one for one in (OwnForm, WebForm, DimseForm, ArchiveForm)
}
