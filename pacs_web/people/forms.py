"""What IT fills in for a person and for a group."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.models import Group
from django.contrib.auth.validators import UnicodeUsernameValidator
from django.utils.translation import gettext_lazy as _

from pacs_web.accounts.models import Account
from pacs_web.accounts.rights import GROUPS, Right
from pacs_web.people.limits import LimitFields
from pacs_web.people.separation import require_separate, require_separate_members, rights_of

LINK, PASSWORD = "link", "password"


class PersonForm(LimitFields):
    """Name, groups, reach and second step of a person."""

    first_name = forms.CharField(label=_("First name"), max_length=150, required=False)
    last_name = forms.CharField(label=_("Family name"), max_length=150, required=False)
    email = forms.EmailField(label=_("E-mail"), max_length=254, required=False)
    groups = forms.ModelMultipleChoiceField(
        label=_("Groups"),
        queryset=Group.objects.order_by("name"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )
    needs_two_steps = forms.BooleanField(label=_("Must use a second step"), required=False)

    def clean_groups(self) -> list[Group]:
        """Refuse groups that would put patient data and maintenance in one hand."""
        chosen = list(self.cleaned_data["groups"])
        require_separate(rights_of(chosen))
        return chosen


class NewPersonForm(PersonForm):
    """The same for somebody new: the name to log in with, and how the first login goes."""

    username = forms.CharField(
        label=_("Name to log in with"),
        max_length=150,
        validators=[UnicodeUsernameValidator()],
        widget=forms.TextInput(attrs={"autocapitalize": "none", "spellcheck": "false"}),
    )
    first_login = forms.ChoiceField(
        label=_("First login"),
        choices=[
            (LINK, _("by a one-time link, to choose a password")),
            (PASSWORD, _("with an initial password, to be changed at once")),
        ],
    )
    field_order = ["username", "first_name", "last_name", "email", "first_login"]

    def clean_username(self) -> str:
        """Refuse a name that is taken, in capitals or not."""
        name = self.cleaned_data["username"]
        if Account.objects.filter(username__iexact=name).exists():
            raise forms.ValidationError(_("This name is taken."))
        return str(name)


class GroupForm(LimitFields):
    """Rights, reach and second step of a group; the built-in ones keep their rights."""

    name = forms.CharField(label=_("Name"), max_length=150)
    rights = forms.MultipleChoiceField(
        label=_("Rights"), required=False, widget=forms.CheckboxSelectMultiple
    )
    needs_two_steps = forms.BooleanField(label=_("Must use a second step"), required=False)

    def __init__(self, *args: Any, group: Group | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.group = group
        words = dict(Account._meta.permissions)
        self.fields["rights"].choices = [(right.value, words[right.value]) for right in Right]
        if group is not None and group.name in GROUPS:
            self.fields["name"].disabled = self.fields["rights"].disabled = True

    def clean_name(self) -> str:
        """Refuse a name that is taken, and one that an address cannot hold."""
        name = str(self.cleaned_data["name"]).strip()
        if "/" in name or name == "new":
            raise forms.ValidationError(_("This cannot be the name of a group."))
        taken = Group.objects.filter(name__iexact=name)
        if self.group is not None:
            taken = taken.exclude(pk=self.group.pk)
        if taken.exists():
            raise forms.ValidationError(_("This name is taken."))
        return name

    def clean_rights(self) -> list[str]:
        """Refuse rights that would put patient data and maintenance in one hand."""
        rights = {Right(name) for name in self.cleaned_data["rights"]}
        require_separate(rights)
        if self.group is not None:
            require_separate_members(self.group, rights)
        return sorted(rights)
