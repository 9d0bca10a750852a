"""Django settings of the node role; everything that varies comes from `config.py`."""

import dj_database_url

from dicom_node.config import CONFIG
from pacs_common import logs

SECRET_KEY = CONFIG.secret_key
DEBUG = False
ALLOWED_HOSTS = ["*"]  # nothing the node answers depends on the Host header
ROOT_URLCONF = "dicom_node.urls"
WSGI_APPLICATION = "dicom_node.wsgi.application"
INSTALLED_APPS = ["dicom_node"]
MIDDLEWARE = ["dicom_node.api.guard.TranslateErrors"]
TEMPLATES: list[dict[str, object]] = []
APPEND_SLASH = False
USE_TZ = True
TIME_ZONE = "UTC"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATA_UPLOAD_MAX_MEMORY_SIZE = 16 << 20

DATABASES = {"default": dj_database_url.parse(CONFIG.database_url, conn_max_age=600)}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 30,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
    DATABASES["default"]["TEST"] = {"NAME": str(CONFIG.data_dir / "test-index.sqlite3")}

LOGGING = logs.configuration(CONFIG.log_level)
