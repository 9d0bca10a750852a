"""Logs: one JSON object a line, under the id of its request or association."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading

import pytest

from pacs_common.logs import JsonLines, TextLines, trace_id, trace_of

PROGRAM = """
import logging, logging.config
from pacs_common.logs import configuration
logging.config.dictConfig(configuration("{level}"))
"""


def line(message: object = "stored", *args: object, level: int = logging.INFO, **extra: object):
    record = logging.Logger("dicom_node.ingest").makeRecord(
        "dicom_node.ingest", level, "file.py", 1, message, args, None, extra=extra
    )
    text = JsonLines().format(record)
    assert "\n" not in text
    return json.loads(text)


def written(code: str, level: str = "INFO") -> list[dict[str, object]]:
    program = PROGRAM.format(level=level) + code
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == ""
    return [json.loads(text) for text in done.stderr.splitlines()]


def test_a_line_says_when_how_severe_where_and_what():
    said = line("stored %d instances from %s", 3, "CT1", level=logging.WARNING)
    assert said["message"] == "stored 3 instances from CT1"
    assert (said["level"], said["logger"]) == ("WARNING", "dicom_node.ingest")
    assert said["at"].endswith("+00:00")
    assert set(said) == {"at", "level", "logger", "message"}


def test_what_is_passed_as_extra_is_a_field():
    assert line(peer="10.0.0.1", count=2)["count"] == 2
    assert line(folder=pytest)["folder"].startswith("<module")


def test_an_extra_never_hides_the_line_s_own_fields():
    assert line(level_="x", at="never", logger="y")["logger"] == "dicom_node.ingest"
    assert line(at="never")["at"] != "never"


@pytest.mark.parametrize("text", ["a\nb", "é", '"', "\x00\x1b[31m", "\u2028"])
def test_whatever_is_logged_stays_on_one_line(text):
    assert line(text)["message"] == text


def test_an_exception_stays_on_the_line():
    try:
        raise ValueError("broken\nfile")
    except ValueError:
        record = logging.Logger("x").makeRecord("x", 40, "f", 1, "failed", (), sys.exc_info())
    text = JsonLines().format(record)
    assert "\n" not in text
    assert "ValueError: broken\nfile" in json.loads(text)["exception"]


def test_a_line_carries_the_trace_of_its_own_request():
    def request(name: str, seen: dict[str, object]) -> None:
        trace_id.set(name)
        seen[name] = line()["trace"]

    seen: dict[str, object] = {}
    threads = [threading.Thread(target=request, args=(name, seen)) for name in ("a1", "b2")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {"a1": "a1", "b2": "b2"}
    assert "trace" not in line()


def test_a_program_writes_json_lines_to_standard_error():
    lines = written("logging.getLogger('a').warning('é %s', 1, extra={'n': 2})")
    assert [(said["message"], said["n"]) for said in lines] == [("é 1", 2)]


def test_the_level_is_obeyed():
    code = "log = logging.getLogger('a'); log.info('quiet'); log.error('loud')"
    assert [said["message"] for said in written(code, "ERROR")] == ["loud"]
    assert [said["message"] for said in written(code, "INFO")] == ["quiet", "loud"]


def test_libraries_that_would_log_a_patients_data_or_each_request_are_quiet():
    code = (
        "logging.getLogger('pynetdicom.association').error('a name')\n"
        "logging.getLogger('pynetdicom.dsutils').error('a name')\n"
        "logging.getLogger('httpx').info('GET /?PatientName=...')\n"
    )
    assert written(code) == []


def test_a_request_that_django_adds_is_left_out_for_its_query():
    record = logging.makeLogRecord({"msg": "Not Found: /", "request": "GET '/?name=LEFEVRE'"})
    assert "LEFEVRE" not in JsonLines().format(record)


def test_that_a_role_is_not_ready_yet_fills_no_log():
    lines = written(
        "log = logging.getLogger('django.request')\n"
        "log.error('%s: %s', 'Service Unavailable', '/readyz')\n"
        "log.error('%s: %s', 'Internal Server Error', '/api/jobs')\n"
    )
    assert [said["message"] for said in lines] == ["Internal Server Error: /api/jobs"]


def as_text(record_of: str, **extra: object) -> str:
    record = logging.Logger("x").makeRecord(
        "dicom_node.ingest", logging.WARNING, "file.py", 1, record_of, (), None, extra=extra
    )
    return TextLines().format(record)


def test_the_same_as_text_is_for_people_and_stays_on_one_line():
    token = trace_id.set("assoc-0123456789abcdef")
    try:
        said = as_text("stored", count=3, why='a "b"\nc')
    finally:
        trace_id.reset(token)
    head, _, rest = said.partition(" ")
    assert head.endswith("+00:00")
    assert rest == (
        "WARNING dicom_node.ingest [assoc-0123456789abcdef] stored count=3 "
        'why="a \\"b\\"\\nc"'
    )  # fmt: skip
    assert "\n" not in as_text("two\nlines") and "\x1b" not in as_text("\x1b[31mred")


def test_text_is_a_form_of_standard_error_alone_the_kept_lines_are_json(tmp_path):
    code = f"""
import logging, logging.config
from pathlib import Path
from pacs_common.logs import configuration
logging.config.dictConfig(configuration("INFO", Path({str(tmp_path)!r}), "text"))
logging.getLogger("role").info("begun", extra={{"port": 1}})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.endswith(" INFO role begun port=1\n")
    (kept,) = (tmp_path / "recent.jsonl").read_text().splitlines()
    assert json.loads(kept)["port"] == 1


@pytest.mark.parametrize("told", ["req-0001", "f" * 64, "6F9619FF-8B86-D011-B42D-00CF4FC964FF"])
def test_an_id_that_a_caller_gave_is_kept(told):
    assert trace_of(told) == told


@pytest.mark.parametrize(
    "told", [None, "", "short", "f" * 65, "a b c d e f", "id\nid\nid\n", "é" * 9]
)
def test_an_id_that_is_not_well_formed_is_replaced(told):
    made = trace_of(told)
    assert made != told and trace_of(made) == made
