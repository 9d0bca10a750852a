"""Runs the programs that move and drive tapes; none is waited for without end."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO

POLL_S = 0.02
_AFTER_KILL_S = 2.0
_KEPT_CHARS = 300
_COUNTS = re.compile(r"[0-9]+\+[0-9]+ records (in|out)|[0-9]+ bytes.* copied")  # dd's last lines


class TookTooLong(Exception):
    """A program did not end, or moved nothing, in its time; it was killed by its id."""


class CannotRun(Exception):
    """A program is not there or not executable."""


@dataclass(frozen=True)
class Ended:
    """How a program ended: its exit code (negative: the signal) and what it printed."""

    code: int
    out: str
    said: str  # one line for a person


def run(words: Sequence[str], timeout_s: float, keeping: Sequence[int] = ()) -> Ended:
    """Run a program to its end; raises TookTooLong or CannotRun.

    Its output goes to files: one that leaves a process behind (ltfs) is not waited for longer.
    `keeping` are handles of locks that the program holds too, should this process die.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = _start(words, subprocess.DEVNULL, out, err, keeping)
        _await_end(process, words, timeout_s)
        return _ended(process, words, _text(out), _text(err))


class Feed:
    """What is written to a program's input; a program that takes nothing is killed."""

    def __init__(self, handle: int, stuck_s: float) -> None:
        os.set_blocking(handle, False)
        self._handle, self._stuck_s = handle, stuck_s
        self.broken = self.stuck = False

    def write(self, content: bytes) -> int:
        """Write all of it; raises BrokenPipeError where the program has ended."""
        left = memoryview(content).cast("B")
        while left:
            if not _poll(self._handle, select.POLLOUT, self._stuck_s):
                self.stuck = True
                raise BrokenPipeError("the program takes nothing")
            try:
                left = left[os.write(self._handle, left) :]
            except BlockingIOError:
                continue
            except BrokenPipeError:
                self.broken = True
                raise
        return len(content)


def send(
    words: Sequence[str],
    produce: Callable[[Feed], None],
    stuck_s: float,
    keeping: Sequence[int] = (),
) -> Ended:
    """Run a program on what `produce` feeds it; raises TookTooLong, CannotRun.

    What `produce` raises by itself kills the program, so that it never sees a regular end.
    """
    with tempfile.TemporaryFile() as err:
        process = _start(words, subprocess.PIPE, subprocess.DEVNULL, err, keeping)
        assert process.stdin is not None  # noqa: S101 - it was asked for
        feed = Feed(process.stdin.fileno(), stuck_s)
        try:
            produce(feed)
        except BaseException:
            if not feed.broken:
                _kill(process)
            if feed.stuck:
                raise TookTooLong(_too_long(words, stuck_s)) from None
            if not feed.broken:
                raise
        finally:
            with suppress(OSError):
                process.stdin.close()
        _await_end(process, words, stuck_s)
        return _ended(process, words, "", _text(err))


def receive(
    words: Sequence[str],
    into: IO[bytes],
    stuck_s: float,
    keeping: Sequence[int] = (),
    enough_bytes: int | None = None,
) -> Ended:
    """Run a program whose output goes into a file; raises TookTooLong, CannotRun.

    One that has brought more than `enough_bytes` is ended; that counts as a regular end.
    """
    with tempfile.TemporaryFile() as err:
        process = _start(words, subprocess.DEVNULL, into, err, keeping)
        there, since = 0, time.monotonic()
        while not _has_ended(process, POLL_S):
            size = os.fstat(into.fileno()).st_size
            if enough_bytes is not None and size > enough_bytes:
                _kill(process)
                return Ended(0, "", "")
            if size != there:
                there, since = size, time.monotonic()
            if time.monotonic() - since > stuck_s:
                _kill(process)
                raise TookTooLong(_too_long(words, stuck_s))
        return _ended(process, words, "", _text(err))


def end_by_id(pid: int) -> None:
    """Kill a process by its id; one that is gone already is no error."""
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


def _start(words, stdin, stdout, stderr, keeping) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(  # noqa: S603 - the operator's own commands, no shell
            list(words),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            pass_fds=tuple(keeping),
            start_new_session=True,
            env={**os.environ, "LC_ALL": "C"},
        )
    except OSError as error:
        raise CannotRun(f"{words[0]} cannot be run: {error.strerror or error}") from None


def _await_end(process: subprocess.Popen[bytes], words: Sequence[str], timeout_s: float) -> None:
    try:
        ended = _has_ended(process, timeout_s)
    except BaseException:
        _kill(process)
        raise
    if not ended:
        _kill(process)
        raise TookTooLong(_too_long(words, timeout_s))


def _has_ended(process: subprocess.Popen[bytes], within_s: float) -> bool:
    """Wait for a program's end; Popen.wait would look for it only now and then."""
    handle = os.pidfd_open(process.pid)
    try:
        _poll(handle, select.POLLIN, within_s)
    finally:
        os.close(handle)
    return process.poll() is not None


def _poll(handle: int, event: int, within_s: float) -> bool:
    poll = select.poll()
    poll.register(handle, event)
    return bool(poll.poll(within_s * 1000))


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a program and what it started; one that hangs in its driver is left, not waited for."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)  # it leads a session of its own
    with suppress(subprocess.TimeoutExpired):
        process.wait(_AFTER_KILL_S)


def _ended(process: subprocess.Popen[bytes], words: Sequence[str], out: str, err: str) -> Ended:
    lines = [line.strip() for line in (err or out).splitlines()]
    lines = [line for line in lines if line and not _COUNTS.match(line)]
    told = " / ".join(lines[-2:]) or f"exit code {process.returncode}"
    return Ended(process.returncode, out, f"{_name(words)}: {told}"[:_KEPT_CHARS])


def _too_long(words: Sequence[str], timeout_s: float) -> str:
    return f"{_name(words)} did not answer for {timeout_s:g} s and was killed"


def _name(words: Sequence[str]) -> str:
    return os.path.basename(words[0])


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read(1 << 20).decode("utf-8", "replace")
