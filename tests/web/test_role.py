"""The role by itself: it boots with an empty environment, runs, and keeps its accounts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

import httpx
import pytest
from django.core.management import CommandError, call_command

from pacs_web.accounts.demo import ensure_demo_accounts
from pacs_web.accounts.models import Account, ApiToken
from tests.support.ports import free_port

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).resolve().parents[2]


def manage(data_dir: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(REPOSITORY / "manage.py"), "web", *words],
        env=environment(data_dir, **env),
        cwd=data_dir,
        capture_output=True,
        text=True,
        timeout=60,
    )


def environment(data_dir: Path, **env: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PACS_DATA_DIR": str(data_dir), **env}


def test_boots_alone_with_an_empty_environment(tmp_path: Path) -> None:
    for words in (
        ("check",),
        ("makemigrations", "--check", "--dry-run"),
        ("migrate", "--verbosity", "0"),
    ):
        done = manage(tmp_path, *words)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "portal.sqlite3").exists()
    assert (tmp_path / "secret.key").stat().st_mode & 0o777 == 0o600


PRODUCTION = {
    "PACS_HTTPS": "yes",
    "PACS_SECRET_KEY": "Kv7-zQ3xW9_mB2nR5tY8uP1sD4fG6hJ0kL-aZxCvBnMqWeRtYuIoP",
    "PACS_ALLOWED_HOSTS": "images.hospital",
    "PACS_INSIDE_NETWORKS": "10.0.0.0/8",
    "PACS_TRUSTED_PROXIES": "10.0.0.2",
}


def test_a_production_environment_passes_djangos_deployment_check(tmp_path: Path) -> None:
    words = ("check", "--deploy", "--fail-level", "WARNING")
    done = manage(tmp_path, *words, **PRODUCTION)
    assert done.returncode == 0, done.stderr
    done = manage(tmp_path, *words, **PRODUCTION | {"PACS_INSIDE_NETWORKS": ""})
    assert "accounts.W001" in done.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PACS_INSIDE_NETWORKS", "hospital"),
        ("PACS_HTTP_PORT", "eighty"),
        ("PACS_NODES", "CT=ftp://x"),
        ("PACS_NODES", "CT"),
        ("PACS_LOG_LEVEL", "LOUD"),
        ("PACS_NODE_TIMEOUT_S", "0"),
    ],
)
def test_refuses_nonsense_settings_in_one_line(tmp_path: Path, name: str, value: str) -> None:
    done = manage(tmp_path, "check", **{name: value})
    assert done.returncode != 0
    assert done.stderr.startswith(f"setting {name}")
    assert len(done.stderr.strip().splitlines()) == 1


@contextmanager
def running(data_dir: Path, **env: str) -> Iterator[str]:
    """Run the portal as `manage.py web run` does, and yield its address when it is ready."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, str(REPOSITORY / "manage.py"), "web", "run"],
        env=environment(data_dir, PACS_HTTP_PORT=str(port), PACS_HTTP_WORKERS="1", **env),
        cwd=data_dir,
        stderr=subprocess.PIPE,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            assert process.poll() is None, process.stderr.read().decode()
            try:
                if httpx.get(f"{address}/readyz", trust_env=False).status_code == 200:
                    break
            except httpx.HTTPError:
                time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.communicate(timeout=20)


def test_runs_with_demo_people_and_a_second_start_keeps_them(tmp_path: Path) -> None:
    file = tmp_path / "demo" / "accounts.json"
    env = {"PACS_DEMO_ACCOUNTS_FILE": str(file), "PACS_TRUST_DIR": str(tmp_path / "trust")}
    log = tmp_path / "access.log"
    env["GUNICORN_CMD_ARGS"] = f"--access-logfile {log}"
    with running(tmp_path, PACS_NODES="CT=http://127.0.0.1:9", **env) as address:
        first = file.read_text()
        people = json.loads(first)
        assert sorted(people) == ["archivist", "clinician", "it", "technologist"]
        assert file.stat().st_mode & 0o777 == 0o600
        assert (tmp_path / "trust" / "portal.pub.pem").exists()
        with httpx.Client(base_url=address, trust_env=False) as browser:
            asked = {"Referer": f"{address}/?patient=LEFEVRE"}
            page = browser.get("/login/?patient=LEFEVRE", headers=asked).text
            token = page.split('name="csrfmiddlewaretoken" value="')[1].split('"')[0]
            answer = browser.post(
                "/login/",
                data={
                    "csrfmiddlewaretoken": token,
                    "username": "clinician",
                    "password": people["clinician"]["password"],
                },
            )
            assert answer.headers["Location"] == "/"
            assert "CT" in browser.get("/").text
            assert browser.get("/static/portal/base.css").status_code == 200
            asked = {"token": people["clinician"]["token"]}
            assert browser.post("/api/introspect", json=asked).json()["active"] is True
    assert "GET /login/ HTTP" in log.read_text()
    assert "LEFEVRE" not in log.read_text()
    with running(tmp_path, **env):
        assert file.read_text() == first


class TestDemoAccounts:
    def test_are_made_once(self, db: None, cheap_hashes: None, tmp_path: Path) -> None:
        file = tmp_path / "accounts.json"
        assert ensure_demo_accounts(file) is True
        said = file.read_text()
        assert ensure_demo_accounts(file) is False
        assert file.read_text() == said

    def test_without_their_file_get_new_passwords_and_tokens(
        self, db: None, cheap_hashes: None, tmp_path: Path
    ) -> None:
        file = tmp_path / "accounts.json"
        ensure_demo_accounts(file)
        old = json.loads(file.read_text())
        file.unlink()
        ensure_demo_accounts(file)
        new = json.loads(file.read_text())
        assert old["it"] != new["it"]
        assert ApiToken.objects.count() == Account.objects.count() == 4
        assert Account.objects.get(username="it").check_password(new["it"]["password"])


class TestCreateAccount:
    def create(self, monkeypatch: pytest.MonkeyPatch, password: str, name: str = "anne") -> str:
        said = StringIO()
        monkeypatch.setattr("sys.stdin", StringIO(f"{password}\n"))
        call_command("create-account", name, group="it", stdout=said)
        return said.getvalue()

    def test_makes_a_person_of_a_group(
        self, db: None, cheap_hashes: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert "anne may log in as it" in self.create(monkeypatch, "corail-barrage-1959")
        anne = Account.objects.get(username="anne")
        assert [group.name for group in anne.groups.all()] == ["it"]
        assert anne.check_password("corail-barrage-1959")

    @pytest.mark.parametrize("password", ["", "short", "password1234", "anne-anne"])
    def test_refuses_a_weak_password_and_makes_nobody(
        self, db: None, monkeypatch: pytest.MonkeyPatch, password: str
    ) -> None:
        with pytest.raises(CommandError):
            self.create(monkeypatch, password)
        assert not Account.objects.exists()

    def test_refuses_a_name_that_exists(
        self, db: None, cheap_hashes: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.create(monkeypatch, "corail-barrage-1959")
        with pytest.raises(CommandError, match="exists already"):
            self.create(monkeypatch, "corail-barrage-1959")
