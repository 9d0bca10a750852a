"""The node's HTTP door for gunicorn."""

import os

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dicom_node.settings")
application = get_wsgi_application()
get_resolver().url_patterns  # noqa: B018 - else each worker's first caller waits for all modules

from dicom_node.short_path import ShortPath  # noqa: E402 - it reads settings
from pacs_common.measures.served import Counted  # noqa: E402 - settings say where

application = Counted(ShortPath(application))
