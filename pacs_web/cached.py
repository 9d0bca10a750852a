"""Redis as the portal's cache: what cannot be kept there, or is not ours, is asked for again."""

from __future__ import annotations

import hmac
import logging
import pickle
from typing import Any

from django.core.cache.backends.base import BaseCache
from django.core.cache.backends.redis import RedisCache
from django.utils.crypto import salted_hmac
from redis.exceptions import RedisError

LOG = logging.getLogger(__name__)
WAIT_S = 1.0
SEAL_BYTES = 32


class NotOurs(ValueError):
    """What Redis holds was not written by this portal under this name."""


class Sealed:
    """Objects as bytes under a seal of PACS_SECRET_KEY: others who write to Redis change nothing.

    Unpickling what a stranger wrote would run the stranger's code.
    """

    def dumps(self, kept: Any) -> bytes:
        """Return an object under its seal."""
        body = pickle.dumps(kept)
        return _seal(body) + body

    def loads(self, told: bytes) -> Any:
        """Return the object of these bytes; NotOurs where the seal is not."""
        seal, body = told[:SEAL_BYTES], told[SEAL_BYTES:]
        if not hmac.compare_digest(seal, _seal(body)):
            raise NotOurs("its seal is not ours")
        return pickle.loads(body)  # noqa: S301 - the seal is ours


class ForgivingRedis(RedisCache):
    """A cache that forgets while Redis is away: no page fails or hangs for it.

    Each value is kept with its own name: moved under another it counts for nothing.
    """

    get_many, set_many = BaseCache.get_many, BaseCache.set_many  # by the methods below

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        ours = {
            "socket_connect_timeout": WAIT_S,
            "socket_timeout": WAIT_S,
            "serializer": Sealed,
        }
        super().__init__(server, {**params, "OPTIONS": {**params.get("OPTIONS", {}), **ours}})

    def get(self, key: str, default: Any = None, version: int | None = None) -> Any:
        """Return what is kept, `default` where Redis does not answer or others have written."""
        try:
            name, value = super().get(key, (key, default), version)
            if name != key:
                raise NotOurs("it was kept under another name")
        except (RedisError, ValueError) as error:
            _told(error)
            return default
        return value

    def set(self, key: str, value: Any, *args: Any, **kwargs: Any) -> None:
        """Keep a value, if Redis answers."""
        try:
            super().set(key, (key, value), *args, **kwargs)
        except RedisError as error:
            _told(error)

    def add(self, key: str, value: Any, *args: Any, **kwargs: Any) -> bool:
        """Keep a value that is not kept yet; False where it is, or Redis does not answer."""
        try:
            return bool(super().add(key, (key, value), *args, **kwargs))
        except RedisError as error:
            _told(error)
            return False


def _seal(body: bytes) -> bytes:
    return salted_hmac("argens portal: cache", body, algorithm="sha256").digest()


def _told(error: Exception) -> None:
    LOG.warning("the cache is no help", extra={"why": type(error).__name__})
