"""Whoever keeps the system running sees no patient: checked for a group and for a person."""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from pacs_web.accounts.models import Account
from pacs_web.accounts.rights import MAINTENANCE, PATIENT_DATA, Right


def rights_of(groups: Iterable[Group]) -> set[Right]:
    """Return the rights that these groups hold together."""
    names = {right.value for right in Right}
    held = {
        permission.codename
        for group in groups
        for permission in group.permissions.filter(content_type__app_label="accounts")
    }
    return {Right(name) for name in held & names}


def require_separate(rights: set[Right]) -> None:
    """Raise ValidationError where patient data and maintenance would be in one hand."""
    if rights & PATIENT_DATA and rights & MAINTENANCE:
        raise ValidationError(
            _("Rights to patient data and rights of IT may not be in one hand: choose one kind.")
        )


def require_separate_members(group: Group, rights: set[Right]) -> None:
    """Raise ValidationError where a member of `group` would hold both with these new rights."""
    for member in Account.objects.filter(groups=group):
        others = member.groups.exclude(pk=group.pk)
        try:
            require_separate(rights | rights_of(others))
        except ValidationError:
            said = _("%(name)s would hold rights to patient data and rights of IT together.")
            raise ValidationError(said % {"name": member.get_username()}) from None
