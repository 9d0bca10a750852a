"""Any role is served by plain gunicorn as `manage.py ROLE run` serves it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONFIGURATION = str(ROOT / "deploy" / "gunicorn.conf.py")
SHOW = """
import json, sys
from importlib import import_module
from gunicorn.app.wsgiapp import WSGIApplication
sys.argv = ["gunicorn", "-c", {configuration!r}]
read = WSGIApplication().cfg
meant = import_module("{role}.gunicorn").SETTINGS | import_module("pacs_common.serving").USUAL
told = {{name: getattr(read, name) for name in meant}}
told["worker_class"], meant["worker_class"] = read.worker_class_str, meant["worker_class"]
told["bind"], = told["bind"]
print(json.dumps([read.wsgi_app, told, meant], default=str))
"""


@pytest.mark.parametrize("role", ["dicom_node", "archive_node", "pacs_web"])
def test_plain_gunicorn_takes_the_roles_own_settings(tmp_path, role):
    done = subprocess.run(
        [sys.executable, "-c", SHOW.format(configuration=CONFIGURATION, role=role)],
        cwd=tmp_path,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "PACS_DATA_DIR": str(tmp_path),
            "PACS_TRUST_DIR": str(tmp_path),
            "PACS_HTTP_PORT": "20999",
            "DJANGO_SETTINGS_MODULE": f"{role}.settings",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    application, told, meant = json.loads(done.stdout)
    assert application == f"{role}.wsgi:application"
    assert told == meant
    assert told["bind"] == "127.0.0.1:20999" and told["preload_app"]
