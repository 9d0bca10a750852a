"""Keeps the groups of `rights.GROUPS` in the database after each migration."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Group, Permission

from pacs_web.accounts.rights import GROUPS


def ensure_groups(sender: Any, **kwargs: Any) -> None:
    """Create the groups that are missing and give each the rights it must have."""
    create_permissions(sender, verbosity=0, using=kwargs["using"], apps=kwargs["apps"])
    permissions = {
        permission.codename: permission
        for permission in Permission.objects.filter(content_type__app_label="accounts")
    }
    for name, rights in GROUPS.items():
        group, _created = Group.objects.get_or_create(name=name)
        group.permissions.add(*(permissions[right] for right in rights))
