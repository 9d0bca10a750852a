"""Kombu's filesystem broker, with messages that appear whole.

Kombu's own writes a message under the name by which the worker looks for it: a worker that looks
in that very moment reads half a message, and ends. Here a message gets its name last.
"""

import os
import uuid
from time import monotonic
from typing import Any

from kombu.transport import TRANSPORT_ALIASES, filesystem
from kombu.utils.json import dumps

LOOK_UP_S = 0.2  # after which a worker looks whether it shall stop


class Channel(filesystem.Channel):
    """Kombu's channel, but for how a message is put."""

    def _put(self, queue: str, payload: Any, **kwargs: Any) -> None:
        name = f"{round(monotonic() * 1000)}_{uuid.uuid4()}"
        partial = os.path.join(self.data_folder_out, f"{name}.partial")
        with open(partial, "w", encoding="utf-8") as file:
            file.write(dumps(payload))
        os.rename(partial, os.path.join(self.data_folder_out, f"{name}.{queue}.msg"))


class Transport(filesystem.Transport):
    """Kombu's transport over such channels."""

    Channel = Channel

    def drain_events(self, connection: Any, timeout: float | None = None) -> None:
        """Wait for a message, but not for the two seconds for which a worker cannot be stopped."""
        super().drain_events(connection, min(timeout or LOOK_UP_S, LOOK_UP_S))


def use() -> None:
    """Let `filesystem://` mean this broker."""
    TRANSPORT_ALIASES["filesystem"] = f"{__name__}:Transport"
