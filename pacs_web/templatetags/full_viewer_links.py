"""Where a page links to the full viewer: nowhere, while it is not installed."""

from __future__ import annotations

from django import template

from pacs_web import full_viewer

register = template.Library()


@register.simple_tag
def full_viewer_of(*study_uids: str) -> str:
    """Return the address at which the full viewer shows these studies ("" without one)."""
    return full_viewer.address(study_uids) if full_viewer.installed() else ""


@register.simple_tag
def full_viewer_here() -> bool:
    """Return whether exams can be chosen to be opened together in the full viewer."""
    return full_viewer.installed()
