from django.apps import AppConfig


class PortalConfig(AppConfig):
    name = "pacs_web"
    label = "portal"

    def ready(self) -> None:
        import pydicom.config

        # What files say is read and passed on as it is; nothing here judges its form.
        pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
        pydicom.config.settings.writing_validation_mode = pydicom.config.IGNORE
