"""Django settings of the node role; everything that varies comes from `config/`."""

import dj_database_url
from corsheaders.defaults import default_headers

from dicom_node.config import CONFIG
from dicom_node.config.web import ANY_ORIGIN
from dicom_node.store.layout import Layout
from pacs_common import logs
from pacs_common.measures import shared_files

SECRET_KEY = CONFIG.secret_key
DEBUG = False
ALLOWED_HOSTS = ["*"]  # the Host header is told back in addresses, and nothing else depends on it
ROOT_URLCONF = "dicom_node.urls"
WSGI_APPLICATION = "dicom_node.wsgi.application"
INSTALLED_APPS = ["dicom_node", "corsheaders"]
MIDDLEWARE = [
    "pacs_common.measures.served.note_route",
    "corsheaders.middleware.CorsMiddleware",
    "dicom_node.dicomweb.compression.CompressAnswers",
    "dicom_node.api.answers.FinishAnswers",
    "dicom_node.api.guard.TranslateErrors",
]
TEMPLATES = [
    {"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}
]  # of the rescue page alone
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("fr", "Français")]
CSRF_COOKIE_NAME = "argens_rescue_csrf"
CSRF_COOKIE_PATH = "/rescue/"
CSRF_COOKIE_AGE = None  # the browser's session
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Strict"
CSRF_FAILURE_VIEW = "dicom_node.rescue.door.stale_form"
APPEND_SLASH = False
SILENCED_SYSTEM_CHECKS = [  # no pages and no cookies: nothing to frame or to forge
    *("security.W001", "security.W002", "security.W003"),
]
USE_TZ = True
TIME_ZONE = "UTC"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATA_UPLOAD_MAX_MEMORY_SIZE = 16 << 20

CORS_URLS_REGEX = r"^/(dicom-web|wado)(/|$)"
CORS_ALLOW_ALL_ORIGINS = ANY_ORIGIN in CONFIG.cors_origins
CORS_ALLOWED_ORIGINS = [origin for origin in CONFIG.cors_origins if origin != ANY_ORIGIN]
CORS_ALLOW_CREDENTIALS = False  # a ticket is a header of the caller's, never the browser's own
CORS_ALLOW_METHODS = ["GET", "HEAD", "POST", "DELETE", "OPTIONS"]
CORS_ALLOW_HEADERS = [*default_headers, "if-match", "if-none-match", "if-range", "range"]
CORS_EXPOSE_HEADERS = [
    *("Accept-Ranges", "Content-Disposition", "Content-Location", "Content-Range", "ETag"),
    *("Retry-After", "Warning", "X-Total-Count"),
    *("X-Picture-Frame", "X-Picture-Instance", "X-Picture-Lossy", "X-Picture-Size"),
    *("X-Picture-Source", "X-Picture-State", "X-Picture-Window"),
]

_CACHES = "django.core.cache.backends"
CACHES = {
    "default": {"BACKEND": f"{_CACHES}.locmem.LocMemCache"},
    "shared": {
        "BACKEND": f"{_CACHES}.filebased.FileBasedCache",
        "LOCATION": str(Layout(CONFIG.data_dir).cache),
    },  # by all processes of the HTTP port
}
DATABASES = {
    "default": dj_database_url.parse(CONFIG.database_url, conn_max_age=600, conn_health_checks=True)
}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 30,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
    DATABASES["default"]["TEST"] = {"NAME": str(CONFIG.data_dir / "test-index.sqlite3")}
else:  # a server that does not answer is known to be away in seconds
    DATABASES["default"].setdefault("OPTIONS", {}).update(
        connect_timeout=5, tcp_user_timeout=10_000
    )

shared_files.keep_in(Layout(CONFIG.data_dir).measures)

LOGGING = logs.configuration(CONFIG.log_level, Layout(CONFIG.data_dir).log, CONFIG.log_format)
