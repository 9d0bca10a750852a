"""The embedded broker: a folder of messages, each of which appears whole."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from queue import Empty

import pytest
from kombu import Connection

from archive_node import broker
from archive_node.celery import app


def channel(folder: Path) -> broker.Channel:
    options = {
        "data_folder_in": str(folder),
        "data_folder_out": str(folder),
        "control_folder": str(folder / "control"),
    }
    return Connection("filesystem://localhost", transport_options=options).channel()


def test_celery_uses_the_broker_whose_messages_appear_whole():
    with app.connection_for_write() as connection:
        assert isinstance(connection.transport, broker.Transport)


def test_a_reader_that_never_rests_gets_every_message_whole_and_once(tmp_path):
    payload = {"body": "x" * 200_000}
    writer, reader = channel(tmp_path), channel(tmp_path)

    def write() -> None:
        for number in range(60):
            writer._put("celery", payload | {"number": number})

    thread = threading.Thread(target=write)
    thread.start()
    received = []
    while thread.is_alive() or len(received) < 60:
        try:
            received.append(reader._get("celery"))
        except Empty:
            continue
    thread.join()
    assert sorted(message["number"] for message in received) == list(range(60))
    assert all(message["body"] == payload["body"] for message in received)
    assert list(tmp_path.glob("*.msg")) == []


def test_a_message_that_is_being_written_is_not_there_yet(tmp_path):
    (tmp_path / "1_x.partial").write_text('{"body": "half')
    try:
        channel(tmp_path)._get("celery")
    except Empty:
        return
    raise AssertionError("half a message was read")


def test_a_worker_that_waits_for_messages_looks_soon_whether_it_shall_stop(tmp_path):
    connection = channel(tmp_path).connection.client
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        connection.drain_events(timeout=30)
    assert time.monotonic() - began < 10
