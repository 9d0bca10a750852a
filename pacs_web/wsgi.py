"""What gunicorn serves."""

import os

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

from pacs_common.measures.served import Counted

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pacs_web.settings")

application = Counted(get_wsgi_application())
get_resolver().url_patterns  # noqa: B018 - else each worker's first caller waits for all modules
