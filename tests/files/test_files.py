"""The atomic writer, the reader that opens once, the lock, and what is said of memory."""

import os
import stat
import threading
import time

import pytest

from brainmass_delays import ArgumentError
from brainmass_delays._core.files import locked, read_once, replacing, write_whole
from brainmass_delays._core.memory import check_memory, free_memory, spell_bytes


def names(folder):
    """Return the names of all files in a folder, the hidden ones too."""
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, OSError, SystemExit])
@pytest.mark.parametrize("old", [None, b"old"])
def test_an_error_in_the_block_leaves_everything_as_it_was(tmp_path, error, old):
    path = tmp_path / "x"
    if old:
        path.write_bytes(old)
    with pytest.raises(error), replacing("save.path", path) as file:
        file.write(b"new")
        raise error
    assert names(tmp_path) == (["x"] if old else [])
    assert not old or path.read_bytes() == old


def test_the_old_file_is_there_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"old")
    with replacing("save.path", path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new" and names(tmp_path) == ["x"]


def test_the_bytes_reach_the_disk_before_the_name_and_the_name_before_the_return(tmp_path, monkeypatch):
    done = []
    real = {name: getattr(os, name) for name in ("fsync", "replace")}
    monkeypatch.setattr(
        os, "fsync", lambda fd: (done.append(stat.S_ISDIR(os.fstat(fd).st_mode)), real["fsync"](fd))
    )
    monkeypatch.setattr(os, "replace", lambda *names: (done.append("replace"), real["replace"](*names)))
    write_whole("save.path", tmp_path / "x", b"new")
    assert done == [False, "replace", True]


def test_permissions_of_the_old_file_stay_and_those_of_a_new_one_follow_the_mask(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_bytes(b"")
    old.chmod(0o640)
    mask = os.umask(0o027)
    try:
        write_whole("save.path", old, b"1")
        write_whole("save.path", new, b"1")
    finally:
        os.umask(mask)
    assert [stat.S_IMODE(p.stat().st_mode) for p in (old, new)] == [0o640, 0o640]


def test_a_link_is_followed_unless_told_otherwise(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"old")
    link.symlink_to(target)
    write_whole("save.path", link, b"new")
    assert link.is_symlink() and target.read_bytes() == b"new"
    write_whole("save.path", link, b"newer", follow=False)
    assert not link.is_symlink() and target.read_bytes() == b"new" and link.read_bytes() == b"newer"


@pytest.mark.parametrize(
    "make, said",
    [
        (lambda p: p.mkdir(), "must be a regular file or not exist; got a folder"),
        (os.mkfifo, "must be a regular file or not exist; got a pipe"),
        (lambda p: p.symlink_to("/dev/null"), "must be a regular file or not exist; got a device"),
        (lambda p: p.symlink_to(p.parent / "no" / "file"), "must lie in a folder that exists"),
        (lambda p: p.symlink_to(p), "save.path: "),
    ],
)
def test_what_is_no_file_is_not_replaced(tmp_path, make, said):
    path = tmp_path / "x"
    make(path)
    with pytest.raises((ArgumentError, OSError), match=said):
        write_whole("save.path", path, b"new")
    assert names(tmp_path) == ["x"]


def test_a_name_may_be_as_long_as_the_system_allows(tmp_path):
    write_whole("save.path", tmp_path / (250 * "x"), b"new")
    assert names(tmp_path) == [250 * "x"]
    with pytest.raises(
        ArgumentError, match="save.path: must be a path that can be written; got File name too long"
    ):
        write_whole("save.path", tmp_path / (300 * "x"), b"new")


@pytest.mark.parametrize("path", [None, 3, b"x", ["x"], "a\0b", "\ud800", "no/such/folder/x", ""])
def test_a_path_that_is_none_is_refused(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ArgumentError, match="save.path"):
        write_whole("save.path", path, b"new")
    assert not names(tmp_path)


def test_reading_is_bounded_even_where_the_size_lies(tmp_path):
    (tmp_path / "x").write_bytes(b"12345")
    assert read_once("load.path", tmp_path / "x", 5) == b"12345"
    with pytest.raises(ArgumentError, match=r"load.path: .*x must hold at most 4 bytes; got 5"):
        read_once("load.path", tmp_path / "x", 4)
    assert read_once("load.path", "/proc/self/stat", 1e6)  # its size is said to be 0
    with pytest.raises(ArgumentError, match="must hold at most"):
        read_once("load.path", "/proc/kallsyms", 1000)


def test_a_lock_lets_one_thread_in(tmp_path):
    inside, most = [], []

    def work():
        with locked(tmp_path / "lock"):
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.01)
            inside.pop()

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 5


def test_a_lock_where_nothing_can_be_written_is_an_error_of_the_system():
    with pytest.raises(OSError), locked("/proc/none/lock"):
        pass


def test_memory_that_does_not_fit_is_refused_with_the_numbers():
    with pytest.raises(
        ArgumentError,
        match=r"run: must fit in the 4 GB of memory that are free; got a need of 17\.2 GB \(buffer 17 GB, record 200 MB\)\. Look at speed\.",
    ):
        check_memory(
            "run", {"buffer": 17e9, "record": 2e8, "nothing": 0}, "Look at speed", free=8e9, share=0.5
        )
    check_memory("run", {"buffer": 7.9e9}, "", free=8e9)


def test_free_memory_is_what_the_system_says():
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert 0.01 * total < free_memory() <= total


@pytest.mark.parametrize(
    "size, text", [(0, "0 bytes"), (999, "999 bytes"), (1e3, "1 kB"), (3.25e9, "3.25 GB"), (8e13, "80 TB")]
)
def test_bytes_are_spelled(size, text):
    assert spell_bytes(size) == text
