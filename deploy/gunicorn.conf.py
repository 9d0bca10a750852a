"""Serves any role by plain gunicorn, as `manage.py ROLE run` serves it.

    DJANGO_SETTINGS_MODULE=dicom_node.settings gunicorn -c deploy/gunicorn.conf.py

The settings are the role's own (`dicom_node/gunicorn.py` and its fellows); what stands in
GUNICORN_CMD_ARGS, or behind `gunicorn`, goes before them.
"""

import os
import sys
from importlib import import_module
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

_SETTINGS = os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pacs_web.settings")
_ROLE = _SETTINGS.rpartition(".")[0]

wsgi_app = f"{_ROLE}.wsgi:application"
globals().update(import_module("pacs_common.serving").USUAL)
globals().update(import_module(f"{_ROLE}.gunicorn").SETTINGS)
