"""The archive's HTTP door for gunicorn."""

import os

from django.core.wsgi import get_wsgi_application

from pacs_common.measures.served import Counted

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "archive_node.settings")
application = Counted(get_wsgi_application())
