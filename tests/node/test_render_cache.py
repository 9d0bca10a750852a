"""The cache of renditions: bounded, shared, and never a source of damaged pictures."""

import multiprocessing
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dicom_node.render.cache import RenditionCache


def files(root):
    return [path for path in Path(root).rglob("*") if path.is_file()]


def size_of(root):
    return sum(path.stat().st_size for path in files(root))


def never():
    raise AssertionError("made again")


def test_what_was_made_is_served_without_making_it_again(tmp_path):
    cache = RenditionCache(tmp_path, 10_000)
    assert cache.get_or_make("a", lambda: b"picture") == b"picture"
    assert cache.get_or_make("a", never) == b"picture"
    assert RenditionCache(tmp_path, 10_000).get_or_make("a", never) == b"picture"


def test_keys_are_kept_apart_and_never_become_paths(tmp_path):
    cache = RenditionCache(tmp_path / "cache", 100_000)
    for key in ("../../escape", "/etc/passwd", "a\0b", "é" * 5000, ""):
        assert cache.get_or_make(key, lambda key=key: key.encode()) == key.encode()
        assert cache.get_or_make(key, never) == key.encode()
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]


@pytest.mark.parametrize("damage", [b"", b"short", b"x" * 500])
def test_a_damaged_file_is_made_again_and_never_served(tmp_path, damage):
    cache = RenditionCache(tmp_path, 10_000)
    cache.get_or_make("a", lambda: b"picture")
    files(tmp_path)[0].write_bytes(damage)
    assert cache.get_or_make("a", lambda: b"again") == b"again"
    assert cache.get_or_make("a", never) == b"again"


def test_one_flipped_bit_is_noticed(tmp_path):
    cache = RenditionCache(tmp_path, 10_000)
    cache.get_or_make("a", lambda: b"picture")
    content = bytearray(files(tmp_path)[0].read_bytes())
    content[-1] ^= 1
    files(tmp_path)[0].write_bytes(content)
    assert cache.get_or_make("a", lambda: b"again") == b"again"


def test_a_folder_that_vanishes_is_a_miss(tmp_path):
    import shutil

    cache = RenditionCache(tmp_path / "cache", 10_000)
    cache.get_or_make("a", lambda: b"picture")
    shutil.rmtree(tmp_path / "cache")
    assert cache.get_or_make("a", lambda: b"again") == b"again"


def test_what_cannot_be_made_leaves_nothing(tmp_path):
    cache = RenditionCache(tmp_path, 10_000)
    with pytest.raises(ValueError, match="no picture"):
        cache.get_or_make("a", lambda: (_ for _ in ()).throw(ValueError("no picture")))
    assert files(tmp_path) == []


def test_a_cache_that_cannot_be_written_still_answers(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_bytes(b"")
    assert RenditionCache(blocked, 10_000).get_or_make("a", lambda: b"picture") == b"picture"


def test_the_least_recently_used_goes_first(tmp_path):
    cache = RenditionCache(tmp_path, 1000)
    for number in range(3):
        cache.get_or_make(str(number), lambda: b"x" * 250)
        path = max(files(tmp_path), key=lambda path: path.stat().st_mtime_ns)
        os.utime(path, (number + 1, number + 1))
    cache.get_or_make("0", never)  # used again: now the newest
    cache.get_or_make("3", lambda: b"x" * 250)
    assert cache.get_or_make("0", never)
    assert cache.get_or_make("1", lambda: b"made again") == b"made again"


def test_what_is_larger_than_the_cache_is_not_kept(tmp_path):
    cache = RenditionCache(tmp_path, 100)
    assert cache.get_or_make("a", lambda: b"x" * 101) == b"x" * 101
    assert files(tmp_path) == []


def test_temporary_files_of_a_dead_process_are_removed(tmp_path):
    folder = tmp_path / "ab"
    folder.mkdir()
    left = folder / ".new-1-00000000"
    left.write_bytes(b"half")
    os.utime(left, (1, 1))
    RenditionCache(tmp_path, 1000).get_or_make("a", lambda: b"picture")
    assert not left.exists()


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 400)), max_size=40))
@settings(deadline=None, max_examples=40)
def test_answers_are_right_and_the_limit_holds_whatever_is_asked(tmp_path_factory, asked):
    root = tmp_path_factory.mktemp("cache")
    cache = RenditionCache(root, 1500)
    for key, extra in asked:
        expected = bytes([key]) * (key * 30 + 1)
        assert cache.get_or_make(str(key), lambda expected=expected: expected) == expected
        big = b"big" * extra
        assert cache.get_or_make(f"{key} {extra}", lambda big=big: big) == big
        assert size_of(root) <= 1500


def read_all(root, count):
    cache = RenditionCache(Path(root), 3000)
    for number in range(count):
        expected = f"picture {number % 20}".encode() * 20
        assert cache.get_or_make(str(number % 20), lambda expected=expected: expected) == expected


def test_threads_and_processes_share_a_folder(tmp_path):
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=read_all, args=(str(tmp_path), 150)) for _ in range(2)]
    for worker in workers:
        worker.start()
    threads = [threading.Thread(target=read_all, args=(tmp_path, 150)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert not [path for path in files(tmp_path) if path.name.startswith(".new-")]
