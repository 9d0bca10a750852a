"""Rules in words, and the form that makes one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.template.defaultfilters import floatformat
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from pacs_web.archive.forms import NO_HELP
from pacs_web.archive.words import RULE_ACTIONS

MEGABYTE = 1_000_000
MOST_DAYS = 36_500
MOST_YEARS = 150
DIGEST_CHARS = 24
_LISTS = ("nodes", "modalities", "departments")
_NUMBERS = ("study_age_days", "unused_days", "patient_age_from", "patient_age_below")
_SIZES = {"least_mb": "least_bytes", "most_mb": "most_bytes"}


def in_words(conditions: Mapping[str, Any]) -> list[str]:
    """Return the conditions of a rule, each as a phrase; none of them: every exam."""
    either = str(_("or"))
    said = [
        _said_list(_("on %(names)s"), conditions.get("nodes"), either),
        _said_list(_("of %(names)s"), conditions.get("modalities"), either),
        _said_list(_("for %(names)s"), conditions.get("departments"), either),
    ]
    if text := conditions.get("description"):
        said.append(_("described as “%(text)s”") % {"text": text})
    said += [_said_days(name, conditions.get(name)) for name in ("study_age_days", "unused_days")]
    if size := conditions.get("least_bytes"):
        said.append(_("of %(size)s MB and more") % {"size": _megabytes(size)})
    if size := conditions.get("most_bytes"):
        said.append(_("of %(size)s MB at most") % {"size": _megabytes(size)})
    if age := conditions.get("patient_age_from"):
        said.append(_("of patients of %(age)s years and more") % {"age": age})
    if age := conditions.get("patient_age_below"):
        said.append(_("of patients below %(age)s years") % {"age": age})
    return [one for one in said if one]


def digest_of(rule: Mapping[str, Any]) -> str:
    """Return what stands for the content of a rule: what was tried is what is saved."""
    told = {name: rule.get(name) for name in ("action", "vault", "conditions")}
    return sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:DIGEST_CHARS]


class RuleForm(forms.Form):
    """A rule: what it does, and to which exams. What is left empty matches every exam."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=80)
    action = forms.ChoiceField(label=gettext_lazy("What it does"), choices=[*RULE_ACTIONS.items()])
    vault = forms.ChoiceField(
        label=gettext_lazy("Vault"), required=False, help_text=gettext_lazy("Of a copy alone.")
    )
    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=200,
        required=False,
        help_text=gettext_lazy("Of a hold: operators read it, no patient's name."),
    )
    enabled = forms.BooleanField(label=gettext_lazy("In force"), required=False, initial=True)
    nodes = forms.MultipleChoiceField(
        label=gettext_lazy("Servers"), required=False, widget=forms.CheckboxSelectMultiple
    )
    modalities = forms.CharField(
        label=gettext_lazy("Modalities"),
        max_length=200,
        required=False,
        help_text=gettext_lazy("CT, MR; empty for all."),
    )
    departments = forms.CharField(
        label=gettext_lazy("Departments"),
        max_length=400,
        required=False,
        help_text=gettext_lazy("Several by comma; case and accents do not count."),
    )
    description = forms.CharField(
        label=gettext_lazy("Description holds"),
        max_length=64,
        required=False,
        help_text=gettext_lazy("A part of the exam's description."),
    )
    study_age_days = forms.IntegerField(
        label=gettext_lazy("Older than (days)"), required=False, min_value=0, max_value=MOST_DAYS
    )
    unused_days = forms.IntegerField(
        label=gettext_lazy("Not looked at for (days)"),
        required=False,
        min_value=0,
        max_value=MOST_DAYS,
    )
    least_mb = forms.IntegerField(
        label=gettext_lazy("Smallest size (MB)"), required=False, min_value=0
    )
    most_mb = forms.IntegerField(
        label=gettext_lazy("Greatest size (MB)"), required=False, min_value=0
    )
    patient_age_from = forms.IntegerField(
        label=gettext_lazy("Patients from (years)"),
        required=False,
        min_value=0,
        max_value=MOST_YEARS,
    )
    patient_age_below = forms.IntegerField(
        label=gettext_lazy("Patients below (years)"),
        required=False,
        min_value=1,
        max_value=MOST_YEARS,
    )

    def __init__(
        self, *args: Any, nodes: Sequence[str], vaults: Sequence[str], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.fields["nodes"].choices = [(name, name) for name in nodes]
        self.fields["vault"].choices = [("", _("none")), *((name, name) for name in vaults)]
        for name, field in self.fields.items():
            if name not in {"nodes", "enabled", "action", "vault"}:
                field.widget.attrs.update(NO_HELP)

    def clean(self) -> dict[str, Any]:
        """Refuse a copy without its vault, a hold without its reason, and bounds that cross."""
        given = super().clean() or self.cleaned_data
        if given.get("action") == "copy" and not given.get("vault"):
            self.add_error("vault", ValidationError(_("Choose the vault of the copy.")))
        if given.get("action") == "hold" and not given.get("reason"):
            self.add_error("reason", ValidationError(_("Say why, for those who look later.")))
        for low, high in (("least_mb", "most_mb"), ("patient_age_from", "patient_age_below")):
            if given.get(low) and given.get(high) and given[low] >= given[high]:
                self.add_error(high, ValidationError(_("This must be greater than its beginning.")))
        return given

    def rule(self) -> dict[str, Any]:
        """Return the rule that was filled in; conditions that are empty are left out."""
        given = self.cleaned_data
        conditions: dict[str, Any] = {name: _split(given[name]) for name in _LISTS}
        conditions["modalities"] = [one.upper() for one in conditions["modalities"]]
        conditions["description"] = given["description"]
        conditions |= {name: given[name] for name in _NUMBERS}
        conditions |= {name: (given[mb] or 0) * MEGABYTE for mb, name in _SIZES.items()}
        return {
            "name": given["name"],
            "action": given["action"],
            "vault": given["vault"] if given["action"] == "copy" else "",
            "reason": given["reason"] if given["action"] == "hold" else "",
            "enabled": given["enabled"],
            "conditions": {name: value for name, value in conditions.items() if value},
        }


def filled(rule: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a saved rule puts into the form."""
    conditions = rule.get("conditions") or {}
    return {
        **{name: rule.get(name) for name in ("name", "action", "vault", "reason", "enabled")},
        **{name: conditions.get(name) for name in (*_NUMBERS, "nodes", "description")},
        **{name: ", ".join(conditions.get(name) or []) for name in ("modalities", "departments")},
        **{
            mb: round(conditions[name] / MEGABYTE) if conditions.get(name) else None
            for mb, name in _SIZES.items()
        },
    }


def _split(given: Any) -> list[str]:
    parts = given.split(",") if isinstance(given, str) else given or []
    return [part.strip() for part in parts if part.strip()]


def _said_list(phrase: str, names: Sequence[str] | None, either: str) -> str:
    return phrase % {"names": f" {either} ".join(names)} if names else ""


def _said_days(name: str, days: int | None) -> str:
    if not days:
        return ""
    if name == "study_age_days":
        return ngettext("older than %(n)s day", "older than %(n)s days", days) % {"n": days}
    said = ngettext("not looked at for %(n)s day", "not looked at for %(n)s days", days)
    return said % {"n": days}


def _megabytes(size_bytes: int) -> str:
    return str(floatformat(size_bytes / MEGABYTE, -1))
