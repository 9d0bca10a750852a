"""The limits of a person or a group, as a form's fields and as rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib.auth.models import Group
from django.utils.translation import gettext_lazy as _

from pacs_web.accounts.models import Account, Limit

MOST_DEPARTMENTS = 100
LONGEST = 64


class LimitFields(forms.Form):
    """Servers and departments; nothing chosen is no limit of that kind."""

    servers = forms.MultipleChoiceField(
        label=_("Limited to these servers"), required=False, widget=forms.CheckboxSelectMultiple
    )
    departments = forms.CharField(
        label=_("Limited to these departments, one on a line"),
        required=False,
        max_length=MOST_DEPARTMENTS * (LONGEST + 1),
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}),
    )

    def __init__(self, *args: Any, servers: Sequence[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["servers"].choices = [(name, name) for name in servers]

    def clean_departments(self) -> list[str]:
        """Return the departments, each once."""
        typed = [" ".join(line.split()) for line in self.cleaned_data["departments"].splitlines()]
        named = list(dict.fromkeys(filter(None, typed)))
        if len(named) > MOST_DEPARTMENTS or any(len(one) > LONGEST for one in named):
            raise forms.ValidationError(_("A department's name has at most 64 characters."))
        return named

    def limits(self) -> list[tuple[str, str]]:
        """Return the (server, department) of each limit of a valid form."""
        said = self.cleaned_data
        servers = [(name, "") for name in said["servers"]]
        return servers + [("", name) for name in said["departments"]]


def as_typed(whose: Account | Group) -> dict[str, Any]:
    """Return the limits as the form shows them."""
    rows = list(whose.limits.order_by("pk").values_list("node", "department"))
    return {
        "servers": [node for node, _department in rows if node],
        "departments": "\n".join(department for _node, department in rows if department),
    }


def replace(whose: Account | Group, limits: Sequence[tuple[str, str]]) -> None:
    """Put limits in the place of the present ones."""
    holder = {"account": whose} if isinstance(whose, Account) else {"group": whose}
    whose.limits.all().delete()
    Limit.objects.bulk_create(
        Limit(node=node, department=department, **holder) for node, department in limits
    )


def words(limits: Sequence[tuple[str, str]]) -> str:
    """Return limits in one line, for the audit."""
    return ", ".join(node or department for node, department in limits) or "none"
