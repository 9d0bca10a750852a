from django.apps import AppConfig


class StudiesConfig(AppConfig):
    name = "pacs_web.studies"
    label = "studies"
