"""What `check --deploy` says of the portal's people, beside Django's own checks."""

from __future__ import annotations

from typing import Any

from django.core.checks import Tags, Warning, register

from pacs_web import config


@register(Tags.security, deploy=True)
def inside_is_named(app_configs: Any, **kwargs: Any) -> list[Warning]:
    """Warn where no network is named as the hospital's: nobody is then asked a second step."""
    if config.INSIDE_NETWORKS:
        return []
    said = "PACS_INSIDE_NETWORKS is empty: a login from anywhere counts as from inside."
    hint = "Name the hospital's networks; behind a reverse proxy, name it in PACS_TRUSTED_PROXIES."
    return [Warning(said, hint=hint, id="accounts.W001")]
