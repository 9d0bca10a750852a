"""The portal's settings, read from the environment once, each typed and documented."""

from __future__ import annotations

from pacs_common.env import Env, SettingError

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")

env = Env()

DATA_DIR = env.path("PACS_DATA_DIR", "var/portal", "Folder of the portal's database and keys.")
TRUST_DIR = env.path(
    "PACS_TRUST_DIR", "var/trust", "Folder of the issuers' public keys, shared by all roles."
)
SECRET_KEY = env.secret(
    "PACS_SECRET_KEY",
    "Signs sessions and forms; generated at first start unless given.",
    kept_in=DATA_DIR / "secret.key",
)
DATABASE_URL = env.text("PACS_DATABASE_URL", "", "Database; empty means SQLite in the data folder.")
HTTP_BIND = env.text("PACS_HTTP_BIND", "127.0.0.1", "Address that the pages are served on.")
HTTP_PORT = env.integer("PACS_HTTP_PORT", 8000, "Port of the pages.", low=1, high=65535)
HTTP_WORKERS = env.integer("PACS_HTTP_WORKERS", 2, "Processes of 32 threads each.", low=1, high=64)
ALLOWED_HOSTS = env.text(
    "PACS_ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]", "Host names that the portal answers to."
)
HTTPS = env.boolean(
    "PACS_HTTPS", False, "People reach the portal over HTTPS: cookies are marked Secure."
)
NODES = env.pairs("PACS_NODES", "", "Nodes to register at start, NAME=url,NAME=url.")
NODE_TIMEOUT_S = env.number(
    "PACS_NODE_TIMEOUT_S", 5.0, "Seconds until a node that does not answer is given up.", low=0.1
)
ARCHIVE_URL = env.text("PACS_ARCHIVE_URL", "", "Address of the archive node; empty without one.")
DEMO_ACCOUNTS_FILE = env.text(
    "PACS_DEMO_ACCOUNTS_FILE",
    "",
    "Where `run` writes the demo people's passwords and tokens, made once; empty for none.",
)
SESSION_S = env.integer("PACS_SESSION_S", 8 * 3600, "Seconds until a login ends.", low=60)
LOGIN_FAILURES = env.integer(
    "PACS_LOGIN_FAILURES", 5, "Wrong passwords until an account and address are locked.", low=1
)
LOCKOUT_S = env.integer("PACS_LOCKOUT_S", 900, "Seconds that such a lock lasts.", low=1)
LOG_LEVEL = env.text("PACS_LOG_LEVEL", "INFO", "DEBUG, INFO, WARNING or ERROR.")

if LOG_LEVEL not in LOG_LEVELS:
    raise SettingError("PACS_LOG_LEVEL", f"{LOG_LEVEL!r} is not one of {', '.join(LOG_LEVELS)}")
for _name, _url in [*NODES.items(), ("archive", ARCHIVE_URL or "http://")]:
    if not _url.startswith(("http://", "https://")):
        raise SettingError("PACS_NODES / PACS_ARCHIVE_URL", f"{_name}: {_url!r} is no HTTP address")
