"""The container files fit this tree: what they name exists, what they tell is understood.

No container engine runs here: what only one could show is said in docs/installation.md.
"""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from tests.support import postgres, roles
from tests.support.roles import ROOT
from tests.support.services import require
from tests.system.observed import until

DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
DOCKERFILE = re.sub(r"\\\n", " ", (DEPLOY / "Dockerfile").read_text())
SETTINGS = runpy.run_path(str(ROOT / "docs" / "make_settings.py"))
TITLE = {"node": "A node", "archive": "The archive", "web": "The portal"}


def instructions(name: str) -> list[str]:
    return re.findall(rf"^{name} +(.+)$", DOCKERFILE, re.MULTILINE)


def known(role: str) -> set[str]:
    code, _ = SETTINGS["TITLES"][TITLE[role]]
    return {one["name"] for one in SETTINGS["declared"](code)}


def neighbours(name: str) -> set[str]:
    networks = set(SERVICES[name]["networks"])
    return {other for other, one in SERVICES.items() if networks & set(one["networks"])} - {name}


@pytest.fixture(scope="module")
def secrets(tmp_path_factory) -> Path:
    """What the script makes, made twice."""
    require("openssl")
    folder = tmp_path_factory.mktemp("compose")
    shutil.copy(DEPLOY / "compose" / "make-secrets.sh", folder)
    script = ["sh", str(folder / "make-secrets.sh"), "portal.hospital.example"]
    subprocess.run(script, check=True, capture_output=True)
    made = {file.name: file.read_bytes() for file in (folder / "secrets").iterdir()}
    again = subprocess.run(script, check=True, capture_output=True, text=True)
    assert again.stdout == ""
    assert made == {file.name: file.read_bytes() for file in (folder / "secrets").iterdir()}
    return folder / "secrets"


def test_the_composition_follows_the_compose_specification():
    check = Path(sys.executable).parent / "check-jsonschema"
    command = [str(check), "--builtin-schema", "vendor.compose-spec", str(DEPLOY / "compose.yaml")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_has_no_right_and_writes_to_its_volumes_alone(name):
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert name in OURS or service["user"].split(":")[0] not in ("0", "root")
    assert "privileged" not in service and "cap_add" not in service
    assert "healthcheck" in service or name in OURS
    checked = service.get("healthcheck", {"test": "the Dockerfile's"})
    assert "test" in checked or (name == "archive-prepare" and service["restart"] == "no")


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_names_only_what_there_is(name):
    service = SERVICES[name]
    assert re.search(r":\d[\w.-]*$", service["image"]), "a tag that stays what it is"
    assert set(service.get("depends_on", {})) <= set(SERVICES)
    assert set(service.get("secrets", [])) <= set(COMPOSE["secrets"])
    assert set(service["networks"]) <= set(COMPOSE["networks"])
    for volume in service.get("volumes", []):
        source = volume.split(":")[0]
        there = (
            (DEPLOY / source).exists() if source.startswith(".") else source in COMPOSE["volumes"]
        )
        assert there, volume


@pytest.mark.parametrize("name", [name for name, one in OURS.items() if "environment" in one])
def test_every_setting_of_a_container_is_known_and_makes_sense(name, secrets, tmp_path):
    service = OURS[name]
    role, told = service["command"][0], service["environment"]
    assert {setting.removesuffix("_FILE") for setting in told} <= known(role)
    for setting, value in told.items():
        if value.startswith("/run/secrets/"):
            assert value.removeprefix("/run/secrets/") in service["secrets"], setting
    env = {key: value.replace("/run/secrets", str(secrets)) for key, value in told.items()}
    env = {
        key: value.replace("${ARGENS_HOST:-localhost}", "localhost") for key, value in env.items()
    }
    done = subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), role, "check"],
        env={"PATH": os.environ["PATH"], "PACS_DATA_DIR": str(tmp_path), **env},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_no_secret_stands_in_the_composition(secrets):
    text = (DEPLOY / "compose.yaml").read_text()
    assert not re.search(r"://[^/\s]*:[^/\s]*@", text)
    assert set(COMPOSE["secrets"]) == {file.name for file in secrets.iterdir()}
    for name, secret in COMPOSE["secrets"].items():
        assert secret == {"file": f"./compose/secrets/{name}"}
    for file in secrets.iterdir():
        assert file.stat().st_mode & 0o337 == 0, file.name


def test_only_portal_and_archive_reach_the_nodes_besides_modalities():
    nodes = {name for name in SERVICES if name.startswith("node-")}
    archive = {name for name in SERVICES if name.startswith("archive-")}
    assert len(nodes) == 3
    for name in nodes:
        assert neighbours(name) == (nodes - {name}) | archive | {"portal", "postgres"}
        (port,) = SERVICES[name]["ports"]
        assert port.endswith(f":{SERVICES[name]['environment']['PACS_DICOM_PORT']}")
    assert neighbours("nginx") == {"portal"}
    published = {name for name, service in SERVICES.items() if "ports" in service}
    assert published == nodes | {"nginx"}
    outward = {name for name, network in COMPOSE["networks"].items() if not network.get("internal")}
    assert {name for name, one in SERVICES.items() if outward & set(one["networks"])} == published


def test_the_databases_are_made_as_the_secret_addresses_say(secrets):
    with postgres.cluster() as cluster:
        programs = Path(require("postgres")).resolve().parent
        env = {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PGHOST": "127.0.0.1",
            "PGPORT": str(cluster.port),
            "ARGENS_SECRETS": str(secrets),
        }
        script = ["sh", str(DEPLOY / "compose" / "databases.sh")]
        subprocess.run(script, env=env, check=True, capture_output=True)
        owners = cluster.execute(
            "SELECT datname || ' ' || pg_get_userbyid(datdba) FROM pg_database"
            " WHERE datname LIKE 'argens%' ORDER BY 1"
        )
        names = ["archive", "node_cr", "node_ct", "node_rf", "portal"]
        assert owners.splitlines() == [f"argens_{name} argens_{name}" for name in names]


def test_nginx_understands_the_front(secrets, tmp_path):
    text = (DEPLOY / "compose" / "nginx.conf").read_text()
    text = text.replace("/tmp/", f"{tmp_path}/").replace("//portal:", "//127.0.0.1:")
    text = text.replace("/run/secrets", str(secrets))
    file = tmp_path / "nginx.conf"
    file.write_text(text)
    done = subprocess.run([require("nginx"), "-t", "-c", str(file)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_image_runs_as_nobody_special_and_from_the_lock_file():
    for source in instructions("FROM"):
        assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+( AS \w+)?", source), source
    (user,) = instructions("USER")
    assert int(user.split(":")[0]) >= 10_000
    assert "--require-hashes" in DOCKERFILE and "-r /tmp/requirements.txt" in DOCKERFILE
    assert "--hash=sha256:" in (ROOT / "requirements.txt").read_text()
    python = re.match(r"python:(3\.\d+)", instructions("FROM")[0])[1]
    assert python in ("3.11", "3.12", "3.13")


def test_the_image_holds_what_a_role_needs():
    copied = [line.split()[:-1] for line in instructions("COPY") if not line.startswith("--from")]
    sources = {source for line in copied for source in line}
    for source in sources:
        assert (ROOT / source).exists(), source
    assert sources >= {
        "manage.py",
        "pacs_common",
        "dicom_node",
        "archive_node",
        "pacs_web",
        "LICENSE",
    }
    let_through = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    assert {f"!{source}" for source in sources} <= set(let_through)
    for script in re.findall(r"/opt/argens/([\w/]+\.py)", DOCKERFILE):
        assert (ROOT / script).exists(), script


@pytest.mark.slow
def test_the_health_check_says_ready_or_why_not(tmp_path):
    portal = roles.portal(
        tmp_path, {}, "", PACS_HTTPS="yes", PACS_ALLOWED_HOSTS="pacs.example,127.0.0.1"
    )
    check = [sys.executable, "-I", str(DEPLOY / "healthy.py")]
    with roles.running(portal):
        done = subprocess.run(check, env=portal.env, capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (0, "ready\n"), done.stderr
    done = subprocess.run(check, env=portal.env, capture_output=True, text=True)
    assert done.returncode == 1 and f"no answer on port {portal.http_port}" in done.stderr
    done = subprocess.run(check, env={}, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "PACS_HTTP_PORT is not set to a port\n")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["worker", "beat"])
def test_the_health_check_of_what_has_no_port_tells_life_from_silence(tmp_path, name):
    service = SERVICES[f"archive-{name}"]
    assert service["command"] == ["archive", name]
    told = service["healthcheck"]["test"]
    assert told[:2] == ["CMD", "python"] and Path(told[2]).relative_to("/opt/argens")
    check = [sys.executable, "-I", str(ROOT / Path(told[2]).relative_to("/opt/argens")), *told[3:]]
    one = roles.archive(tmp_path, {})
    other = replace(one, name="other", argv=["archive", "beat" if name == "worker" else "worker"])
    one.argv = ["archive", name]
    assert one.command("prepare").returncode == 0

    def asked() -> subprocess.CompletedProcess[str]:
        return subprocess.run(check, env=one.env, capture_output=True, text=True)

    assert asked().returncode == 1 and "no sign of life" in asked().stderr
    try:
        one.start()
        other.start()
        until(lambda: asked().stdout == "ready\n")
        one.process.kill()  # what it leaves looks alive for a while
        one.process.wait()
        until(lambda: asked().returncode == 1)
        assert f"the {name} is silent for 1" in asked().stderr
        one.start()
        until(lambda: asked().returncode == 0)
    finally:
        for role in (one, other):
            role.stop()
