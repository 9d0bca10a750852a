"""The archive as a Django application."""

import os
from pathlib import Path

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import Error, register


class ArchiveNodeConfig(AppConfig):
    name = "archive_node"


@register
def folders_are_writable(app_configs: object, **kwargs: object) -> list[Error]:
    """Refuse to start where nothing can be kept."""
    config = settings.ARCHIVE
    wanted = {"PACS_DATA_DIR": config.data_dir}
    if not config.vaults_written:
        wanted["PACS_VAULT_DIR"] = config.vault_dir
    return [
        Error(
            f"{name} {folder}: this user cannot write there",
            hint="Choose a folder that this user may write.",
            id="archive.E001",
        )
        for name, folder in wanted.items()
        if not os.access(_nearest_existing(folder), os.W_OK | os.X_OK)
    ]


def _nearest_existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder
