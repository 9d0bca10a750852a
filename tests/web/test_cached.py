"""Redis as the portal's cache: shared while it answers, forgotten while it does not."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from django.core.cache import caches
from django.test import override_settings
from redis import Redis

from tests.support.redis_server import redis_server
from tests.web.test_role import manage

BACKEND = "pacs_web.cached.ForgivingRedis"


def test_what_redis_keeps_is_forgotten_while_it_is_away_and_nothing_fails() -> None:
    with redis_server() as redis:
        told = {"default": {"BACKEND": BACKEND, "LOCATION": redis.url}}
        with override_settings(CACHES=told):
            cache = caches["default"]
            cache.set("a", {"node": "CT"}, 60)
            assert cache.get("a") == {"node": "CT"}
            assert (cache.add("a", 1), cache.add("b", 1)) == (False, True)
            redis.kill()
            assert cache.get("a", "unknown") == "unknown"
            assert cache.get_or_set("c", lambda: 3) == 3
            cache.set("a", 1)
            assert cache.add("d", 1) is False
            redis.start()
            cache.set("a", 2)
            assert cache.get("a") == 2
            cache.close()


class Bomb:
    """Runs code where it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return pytest.fail, ("what a stranger wrote was unpickled",)


def test_what_others_write_to_redis_is_neither_run_nor_believed() -> None:
    with redis_server() as redis, Redis(port=redis.port) as stranger:
        with override_settings(
            CACHES={"default": {"BACKEND": BACKEND, "LOCATION": redis.url, "KEY_PREFIX": "p"}}
        ):
            cache = caches["default"]
            cache.set_many({"exam-a": "open", "exam-b": "closed"})
            assert cache.get_many(["exam-a", "exam-b"]) == {"exam-a": "open", "exam-b": "closed"}
            open_, closed = (cache.make_and_validate_key(name) for name in ("exam-a", "exam-b"))
            stranger.set(closed, stranger.get(open_))
            assert cache.get("exam-b", "unknown") == "unknown"
            for forged in (pickle.dumps(Bomb()), b"x" * 32 + pickle.dumps(Bomb()), b"", b"7"):
                stranger.set(open_, forged)
                assert cache.get("exam-a", "unknown") == "unknown"
            cache.set("exam-a", "open")
            assert cache.get("exam-a") == "open"
            cache.close()


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"PACS_CACHE_URL": "memcached://:secret@x"}, "PACS_CACHE_URL: is no redis address"),
        ({"PACS_ACCEL_PREFIX": "/_node"}, "does not begin and end with a slash"),
        ({"PACS_ACCEL_PREFIX": "/_node/"}, "PACS_TRUSTED_PROXIES: is wanted with"),
        ({"PACS_TICKET_KEY": "secret"}, "PACS_TICKET_KEY: does not hold an Ed25519 private key"),
        ({"PACS_GENERATE_SECRETS": "no"}, "PACS_SECRET_KEY: is not given"),
    ],
)
def test_production_settings_that_make_no_sense_end_with_one_line(
    tmp_path: Path, told: dict[str, str], said: str
) -> None:
    done = manage(tmp_path, "check", **told)
    assert done.returncode == 2
    assert said in done.stderr and done.stderr.count("\n") == 1
    assert "secret" not in done.stderr.replace("PACS_GENERATE_SECRETS", "")
