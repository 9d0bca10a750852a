from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib.auth.forms import AuthenticationForm
from django.utils.translation import gettext_lazy as _

from pacs_web.accounts.tokens import DELETE, DICOMWEB, STORE


class LoginForm(AuthenticationForm):
    """Name and password; the same answer whichever of the two is wrong."""

    error_messages = {
        "invalid_login": _("This name and password do not match. Mind upper and lower case."),
        "inactive": _("This name and password do not match. Mind upper and lower case."),
    }

    username = forms.CharField(
        label=_("Name"),
        max_length=150,
        widget=forms.TextInput(
            attrs={"autofocus": True, "autocomplete": "username", "autocapitalize": "none"}
        ),
    )
    password = forms.CharField(
        label=_("Password"),
        strip=False,
        max_length=1024,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )


class CodeForm(forms.Form):
    """The second step: a code of the authenticator, or a recovery code."""

    code = forms.CharField(
        label=_("Code"),
        max_length=40,
        widget=forms.TextInput(
            attrs={
                "autofocus": True,
                "autocomplete": "one-time-code",
                "autocapitalize": "characters",
                "spellcheck": "false",
            }
        ),
    )


class NewTokenForm(forms.Form):
    """A program's token: what it is for, what it may do, and until when."""

    label = forms.CharField(label=_("For which program"), max_length=100)
    scopes = forms.MultipleChoiceField(
        label=_("It may"), widget=forms.CheckboxSelectMultiple, choices=[]
    )
    days = forms.TypedChoiceField(
        label=_("It expires"),
        coerce=int,
        choices=[(7, _("in a week")), (90, _("in 90 days")), (365, _("in a year"))],
        initial=90,
    )

    def __init__(self, *args: Any, scopes: Sequence[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["scopes"].choices = [(scope, SCOPE_WORDS[scope]) for scope in scopes]


SCOPE_WORDS = {
    DICOMWEB: _("Search and retrieve exams"),
    STORE: _("Store objects"),
    DELETE: _("Reject exams and images"),
}
