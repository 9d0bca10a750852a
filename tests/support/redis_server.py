"""A Redis of one's own: on a free port of loopback, keeping nothing on disk."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from redis import Redis
from redis.exceptions import RedisError

from tests.support.ports import free_port
from tests.support.services import require

START_S = 20.0


class RedisServer:
    """One server; `kill` and `start` may be called as often as a test wants."""

    def __init__(self, program: str) -> None:
        self._program = program
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> RedisServer:
        """Start it and wait until it answers."""
        told = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen(
            [self._program, *told], cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + START_S
        while not self._answers():
            assert time.monotonic() < deadline, "redis-server does not answer"
            time.sleep(0.05)
        return self

    def kill(self) -> None:
        """End it as a crash does: what it held is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        with Redis(port=self.port) as client:
            try:
                return bool(client.ping())
            except RedisError:
                return False


@contextmanager
def redis_server() -> Iterator[RedisServer]:
    """A running server until the block ends; skips where Redis is not installed."""
    server = RedisServer(require("redis-server"))
    try:
        yield server.start()
    finally:
        server.kill()
