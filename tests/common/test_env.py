"""Settings: typed, refused when they make no sense, secrets made once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pacs_common.env import Env, SettingError

DOC = "What it does."


def env(**given: str) -> Env:
    return Env(given)


def refusal(read) -> str:
    with pytest.raises(SettingError) as caught:
        read()
    assert "\n" not in caught.value.message
    return caught.value.message


def test_what_is_not_given_is_its_default():
    empty = env()
    assert empty.text("PACS_A", "x", DOC) == "x"
    assert empty.integer("PACS_B", 7, DOC) == 7
    assert empty.number("PACS_C", 0.5, DOC) == 0.5
    assert empty.boolean("PACS_D", True, DOC) is True
    assert empty.path("PACS_E", "var/x", DOC) == Path("var/x").absolute()
    assert empty.pairs("PACS_F", "A=1", DOC) == {"A": "1"}


def test_what_is_read_is_declared_with_kind_default_and_doc():
    reader = env(PACS_A="3")
    reader.integer("PACS_A", 1, DOC)
    reader.boolean("PACS_B", False, "Other.")
    assert [(d.name, d.kind, d.default, d.doc) for d in reader.declared] == [
        ("PACS_A", "integer", "1", DOC),
        ("PACS_B", "yes/no", "no", "Other."),
    ]


@pytest.mark.parametrize("text", ["", "three", "1.5", "0x10", "-1", "65536"])
def test_an_integer_outside_its_bounds_or_no_number_is_refused(text):
    why = refusal(lambda: env(PACS_PORT=text).integer("PACS_PORT", 1, DOC, high=65535))
    assert why.startswith("setting PACS_PORT: ") and repr(text) in why


@pytest.mark.parametrize("text", ["", "much", "nan", "inf", "-0.1"])
def test_a_number_outside_its_bounds_or_not_finite_is_refused(text):
    assert "PACS_N" in refusal(lambda: env(PACS_N=text).number("PACS_N", 1.0, DOC))


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        *((text, True) for text in ("1", "YES", " on ", "true")),
        *((text, False) for text in ("0", "No", "off", "false", "")),
    ],
)
def test_yes_and_no_have_their_usual_spellings(text, meant):
    assert env(PACS_B=text).boolean("PACS_B", not meant, DOC) is meant


@pytest.mark.parametrize("text", ["maybe", "2", "y e s"])
def test_neither_yes_nor_no_is_refused(text):
    assert "neither yes nor no" in refusal(lambda: env(PACS_B=text).boolean("PACS_B", True, DOC))


def test_an_empty_path_is_not_the_current_folder():
    assert "is not a path" in refusal(lambda: env(PACS_DIR="").path("PACS_DIR", "var", DOC))


def test_pairs_are_read_in_order_and_trimmed():
    read = env(PACS_P=" CT = http://a ,RF=http://b=c,").pairs("PACS_P", "", DOC)
    assert list(read.items()) == [("CT", "http://a"), ("RF", "http://b=c")]


@pytest.mark.parametrize("text", ["CT", "=x", "CT=", "CT=a,CT=b"])
def test_pairs_that_are_incomplete_or_given_twice_are_refused(text):
    assert "PACS_P" in refusal(lambda: env(PACS_P=text).pairs("PACS_P", "", DOC))


def test_a_value_may_come_from_a_file(tmp_path):
    (tmp_path / "word").write_text("from the file\n")
    assert env(PACS_A_FILE=str(tmp_path / "word")).text("PACS_A", "x", DOC) == "from the file"


def test_a_value_given_by_itself_and_by_file_is_refused(tmp_path):
    (tmp_path / "word").write_text("b")
    given = env(PACS_A="a", PACS_A_FILE=str(tmp_path / "word"))
    assert "given twice" in refusal(lambda: given.text("PACS_A", "", DOC))


@pytest.mark.parametrize("content", [None, b"", b" \n", b"\xff\xfe"])
def test_a_file_that_is_absent_empty_or_no_text_is_refused(tmp_path, content):
    file = tmp_path / "word"
    if content is not None:
        file.write_bytes(content)
    why = refusal(lambda: env(PACS_A_FILE=str(file)).text("PACS_A", "", DOC))
    assert why.startswith("setting PACS_A_FILE: ") and str(file) in why


def test_a_refused_setting_ends_a_program_with_one_line_and_no_traceback():
    code = "from pacs_common.env import Env; Env({'P': 'x'}).integer('P', 1, 'd')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "setting P: 'x' is not a number\n"


def test_a_given_secret_is_used_and_nothing_is_written(tmp_path):
    kept = tmp_path / "secret"
    assert env(PACS_S="given").secret("PACS_S", DOC, kept_in=kept) == "given"
    assert not kept.exists()


def test_a_secret_is_generated_once_and_readable_by_its_owner_alone(tmp_path):
    kept = tmp_path / "new" / "secret"
    first = env().secret("PACS_S", DOC, kept_in=kept)
    assert len(first) >= 48
    assert env().secret("PACS_S", DOC, kept_in=kept) == first
    assert kept.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in kept.parent.iterdir()] == ["secret"]


def test_a_secret_that_is_not_given_is_refused_where_none_is_made(tmp_path):
    kept = tmp_path / "secret"
    kept.write_text("made by an earlier start")
    strict = env(PACS_GENERATE_SECRETS="no", PACS_G="given")
    assert strict.secret("PACS_G", DOC, kept_in=kept) == "given"
    why = refusal(lambda: strict.secret("PACS_S", DOC, kept_in=kept))
    assert "PACS_S: is not given (name its file by PACS_S_FILE)" in why
    assert [one.name for one in strict.declared].count("PACS_GENERATE_SECRETS") == 1


def test_a_secret_never_shows_in_the_declared_default(tmp_path):
    reader = env(PACS_S="hidden")
    reader.secret("PACS_S", DOC, kept_in=tmp_path / "s")
    assert reader.declared[0].default == ""


def test_processes_that_start_at_once_share_one_secret(tmp_path):
    kept = tmp_path / "secret"
    code = (
        "import sys, pathlib\nfrom pacs_common.env import Env\nsys.stdin.readline()\n"
        f"print(Env({{}}).secret('S', 'd', kept_in=pathlib.Path({str(kept)!r})))"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    for process in started:
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = {process.communicate(timeout=30)[0] for process in started}
    assert len(answers) == 1 and len(answers.pop()) > 40
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


def test_an_empty_kept_secret_is_refused_not_used(tmp_path):
    kept = tmp_path / "secret"
    kept.touch()
    assert "is empty" in refusal(lambda: env().secret("PACS_S", DOC, kept_in=kept))


def test_a_secret_that_cannot_be_kept_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    why = refusal(lambda: env().secret("PACS_S", DOC, kept_in=tmp_path / "file" / "secret"))
    assert "cannot keep it" in why


def test_networks_are_read_and_a_bare_address_is_one():
    read = Env({"N": "10.0.0.0/8, 2001:db8::/32,192.0.2.7"}).networks("N", "", "doc")
    assert [str(one) for one in read] == ["10.0.0.0/8", "2001:db8::/32", "192.0.2.7/32"]


@pytest.mark.parametrize("wrong", ["10.0.0.1/8", "hospital", "10.0.0.0/33"])
def test_what_is_no_network_is_refused(wrong):
    with pytest.raises(SettingError, match="setting N"):
        Env({"N": wrong}).networks("N", "", "doc")
