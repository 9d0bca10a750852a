"""What `make test` says and returns, on small suites of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support import services
from tests.support.run import main, summary
from tests.support.suites import Outcome, present

pytestmark = pytest.mark.slow  # each runs pytest in a process of its own

ROOT = Path(__file__).resolve().parents[2]
PASSES = "def test_passes():\n    assert True\n"
FAILS = "def test_fails():\n    assert 1 == 2\n"
NEEDS = (
    "import pytest\ndef test_needs():\n    pytest.skip('needs storescu: apt-get install dcmtk')\n"
)
HAS_NO = (
    "import pytest\n@pytest.mark.skip(reason='not on this machine')\ndef test_no():\n    pass\n"
)
BROKEN = "import nothing_of_this_name\n"
SLOW = "import pytest\n@pytest.mark.slow\ndef test_slow():\n    pass\n"
SOAK = (
    "import os, pytest\n@pytest.mark.soak\n"
    "def test_soak():\n    assert os.environ['PACS_TEST_SOAK'] == '1'\n"
)
XFAILS = "import pytest\n@pytest.mark.xfail\ndef test_known():\n    assert False\n"
QUICKLY = "-p no:schemathesis -p no:django -p no:anyio"  # plug-ins that no suite here needs
CONFIGURATION = "[pytest]\nmarkers =\n    slow\n    soak\n"


@pytest.fixture
def tests(tmp_path: Path) -> Path:
    (tmp_path / "pytest.ini").write_text(CONFIGURATION)
    folder = tmp_path / "tests"
    folder.mkdir()
    return folder


def put(tests: Path, suite: str, *sources: str) -> None:
    for number, source in enumerate(sources):
        (tests / suite).mkdir(exist_ok=True)
        (tests / suite / f"test_{suite}_{number}.py").write_text(source)


def run(tests: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the real command in a process of its own, on these suites."""
    code = (
        "import sys; from pathlib import Path; from tests.support.run import main;"
        f"sys.exit(main(sys.argv[1:], Path({str(tests)!r})))"
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PACS_", "PYTEST_"))}
    environment["PYTEST_ADDOPTS"] = QUICKLY
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        env={**environment, **environ},
        capture_output=True,
        text=True,
    )


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    return done.stdout.splitlines()[-1]


def test_the_last_line_counts_all_suites(tests):
    put(tests, "contract", PASSES, HAS_NO)
    put(tests, "system", PASSES)
    done = run(tests)
    assert last_line(done) == "2 passed, 0 failed, 1 skipped"
    assert done.returncode == 0
    assert re.search(r"^contract +1 +0 +1 +\d", done.stdout, re.M)


def test_a_failure_is_named_and_is_the_exit_status(tests):
    put(tests, "contract", PASSES, FAILS)
    done = run(tests)
    assert done.returncode == 1
    assert last_line(done) == "1 passed, 1 failed, 0 skipped"
    assert "test_contract_1::test_fails" in done.stdout.split("failed:")[1]


def test_skip_reasons_are_listed_with_how_to_get_what_was_missing(tests):
    put(tests, "contract", NEEDS)
    put(tests, "system", NEEDS, HAS_NO)
    done = run(tests)
    assert done.returncode == 0
    assert "     2  needs storescu: apt-get install dcmtk\n" in done.stdout
    assert last_line(done) == "0 passed, 0 failed, 3 skipped"


def test_a_missing_service_is_a_failure_where_services_are_required(tests):
    put(tests, "contract", PASSES, NEEDS, HAS_NO)
    done = run(tests, PACS_REQUIRE_SERVICES="1")
    assert done.returncode == 1
    assert last_line(done) == "1 passed, 1 failed, 1 skipped"
    assert "test_needs: needs storescu: apt-get install dcmtk" in done.stdout


def test_a_suite_that_cannot_be_collected_is_a_failure(tests):
    put(tests, "contract", BROKEN)
    done = run(tests)
    assert done.returncode == 1
    assert last_line(done) == "0 passed, 1 failed, 0 skipped"


def test_a_suite_in_which_no_test_ran_is_a_failure(tests):
    put(tests, "contract", "def helper():\n    pass\n")
    done = run(tests)
    assert done.returncode == 1
    assert "contract: no test ran" in done.stdout


def test_nothing_to_run_is_a_failure(tests):
    assert run(tests).returncode == 1


def test_fast_leaves_out_slow_tests_and_slow_suites(tests):
    put(tests, "contract", PASSES, SLOW)
    put(tests, "system", PASSES)
    assert last_line(run(tests, "--fast")) == "1 passed, 0 failed, 0 skipped"
    assert last_line(run(tests)) == "3 passed, 0 failed, 0 skipped"


def test_soak_tests_run_only_in_soak(tests):
    put(tests, "contract", PASSES, SOAK)
    assert last_line(run(tests)) == "1 passed, 0 failed, 0 skipped"
    assert last_line(run(tests, "--soak")) == "2 passed, 0 failed, 0 skipped"


def test_one_suite_can_be_named(tests):
    put(tests, "contract", PASSES)
    put(tests, "system", FAILS)
    assert last_line(run(tests, "contract")) == "1 passed, 0 failed, 0 skipped"


def test_a_suite_that_does_not_exist_is_refused(capsys):
    with pytest.raises(SystemExit) as refused:
        main(["nonsense"])
    assert refused.value.code == 2
    assert "there is no suite 'nonsense'" in capsys.readouterr().err


def test_an_expected_failure_is_no_skip(tests):
    put(tests, "contract", XFAILS)
    assert last_line(run(tests)) == "1 passed, 0 failed, 0 skipped"


def test_workers_give_the_same_counts(tests):
    put(tests, "common", PASSES, FAILS, NEEDS)
    assert last_line(run(tests)) == "1 passed, 1 failed, 1 skipped"


def test_suites_without_tests_are_not_run(tests):
    put(tests, "node", PASSES)
    (tests / "web").mkdir()
    assert [suite.name for suite in present(tests)] == ["node"]


def test_the_summary_ends_with_the_totals():
    outcomes = [Outcome("node", 3, 1, 2, 0.5), Outcome("web", 4, 0, 0, 0.5)]
    assert summary(outcomes)[-1] == "7 passed, 1 failed, 2 skipped"


def test_a_program_that_is_there_is_returned():
    assert Path(services.require("git")).exists()


def test_a_program_that_is_missing_is_a_skip_that_says_how_to_get_it(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(pytest.skip.Exception, match="needs storescu: apt-get install dcmtk"):
        services.require("storescu")


def test_missing_real_files_are_a_skip(monkeypatch, tmp_path):
    monkeypatch.setattr(services, "SHARED_DICOM", tmp_path / "absent")
    with pytest.raises(pytest.skip.Exception, match="no real DICOM files"):
        services.require_shared_dicom()


def test_ctrl_c_is_no_traceback(tests):
    put(tests, "contract", "import time\ndef test_long():\n    print('x'); time.sleep(60)\n")
    code = (
        "import sys; from pathlib import Path; from tests.support.run import main;"
        f"sys.exit(main([], Path({str(tests)!r})))"
    )
    started = tests / "started"
    (tests / "conftest.py").write_text(
        f"def pytest_runtest_call(item):\n    open({str(started)!r}, 'w').close()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not started.exists() and process.poll() is None:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert out.splitlines()[-1] == "interrupted"
