from django.apps import AppConfig


class PortalConfig(AppConfig):
    name = "pacs_web"
    label = "portal"
