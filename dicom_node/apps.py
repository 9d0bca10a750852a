"""The node as a Django application."""

import logging
import warnings

import pydicom.config
from django.apps import AppConfig
from django.core.checks import Error, register

from dicom_node.config import CONFIG


class DicomNodeConfig(AppConfig):
    name = "dicom_node"

    def ready(self) -> None:
        """Read what modalities really send: warnings on odd values help nobody here."""
        logging.getLogger("pydicom").setLevel(logging.ERROR)  # pydicom sets it at import
        warnings.filterwarnings("ignore", module="pydicom")
        pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
        pydicom.config.settings.writing_validation_mode = pydicom.config.IGNORE


@register
def data_folder_is_writable(app_configs: object, **kwargs: object) -> list[Error]:
    """Refuse to start where nothing can be stored."""
    probe = CONFIG.data_dir / ".writable"
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        return [
            Error(
                f"PACS_DATA_DIR {CONFIG.data_dir}: {error.strerror}",
                hint="Choose a folder that this user may write.",
                id="node.E001",
            )
        ]
    return []
