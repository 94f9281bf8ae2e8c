"""Files that are written whole or not at all, read once, and changed by one process at a time."""

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import filelock

from .checks import ArgumentError
from .memory import check_memory

# Flags of os.open that some systems lack: binary on Windows; elsewhere, never wait for the writer of a pipe.
_READ = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
_CREATE = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
LONGEST = 200  # bytes of a name that are kept in that of its partial file; systems allow 255
_CHUNK = 2**20  # bytes


@contextmanager
def replacing(where: str, path: str | os.PathLike, *, follow: bool = True) -> Iterator[BinaryIO]:
    """Open a file that takes the place of ``path`` only when the block ends without an error.

    Until then, whatever happens (an exception, Ctrl-C, a kill, a full disk, a power cut), ``path`` holds what
    it held before, or does not exist. The bytes go to a hidden file in the same folder, are flushed to the
    disk, and are renamed, which is one step for every reader. A kill may leave the hidden file,
    ``.NAME.*.partial``, which is safe to delete.

    Parameters
    ----------
    where : str
        Name of the argument for messages, e.g. ``'Connectome.save.path'``.
    path : str or path
        Its folder must exist.
    follow : bool, optional
        Replace what a link points to (default), or with False the link itself.

    Yields
    ------
    binary file
        Open for writing and seeking.

    Raises
    ------
    ArgumentError
        If the folder is missing, or ``path`` is a folder, a device, a pipe or a write-protected file.
    OSError
        If the system refuses to write, e.g. since the disk is full; ``path`` is as it was.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from brainmass_delays._core.files import replacing
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, 'notes.txt')
    ...     with replacing('save.path', path) as file:
    ...         _ = file.write(b'done')
    ...     path.read_bytes()
    b'done'
    """
    target = Path(as_path(where, path)).absolute()
    target = Path(os.path.realpath(target)) if follow else target
    mode = _replaceable(where, target, follow)
    partial = target.with_name(f".{target.name[:LONGEST]}.{secrets.token_hex(4)}.partial")
    try:
        with os.fdopen(os.open(partial, _CREATE, 0o666), "w+b") as file:
            yield file
            file.flush()
            if mode is not None:
                os.chmod(partial, mode)
            os.fsync(file.fileno())
        os.replace(partial, target)
        _flush_folder(target.parent)
    except OSError as error:
        if error.errno is None or error.filename not in (None, str(partial), str(target)):
            raise  # of the block's own work, on another file
        reason = (
            f"{where}: {path} could not be written ({error.strerror}); what was there before is untouched"
        )
        raise type(error)(error.errno, reason, str(path)) from error
    finally:
        with suppress(OSError):
            os.unlink(partial)


def write_whole(where: str, path: str | os.PathLike, content: bytes, *, follow: bool = True) -> None:
    """Replace ``path`` by ``content`` whole or not at all, as `replacing` does."""
    with replacing(where, path, follow=follow) as file:
        file.write(content)


def read_once(where: str, path: str | os.PathLike, max_bytes: float, cure: str = "") -> bytes:
    """Return the content of a regular file, opened and read once, so that what is checked is what is used.

    ``cure`` says what a user can do about ``max_bytes``.

    Raises
    ------
    ArgumentError
        If ``path`` does not exist, is a folder, a pipe, a socket or a device, cannot be opened, or holds more
        than ``max_bytes``.

    Examples
    --------
    >>> from brainmass_delays._core.files import read_once
    >>> read_once('load.path', '/dev/zero', 1e6)
    Traceback (most recent call last):
    brainmass_delays._core.checks.ArgumentError: load.path: /dev/zero must be a regular file; got a device.
    """
    try:
        with os.fdopen(os.open(as_path(where, path), _READ), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise ArgumentError(where, f"{path} must be a regular file", _kind(status.st_mode))
            too_large = ArgumentError(
                where, f"{path} must hold at most {max_bytes:.3g} bytes", f"{status.st_size:.3g}", cure
            )
            if status.st_size <= max_bytes:
                check_memory(where, {"file": status.st_size}, cure)
            return _read_at_most(file, max_bytes, status.st_size, too_large)
    except FileNotFoundError as error:
        raise ArgumentError(where, f"{path} must exist", "no such file") from error
    except OSError as error:
        raise ArgumentError(where, f"{path} must be a file that can be read", error.strerror) from error


def _read_at_most(file: BinaryIO, max_bytes: float, size: int, too_large: ArgumentError) -> bytes:
    """Read a file to its end, which may be elsewhere than its size says, as in /proc."""
    if size > max_bytes:
        raise too_large
    content = file.read(size)
    while more := file.read(_CHUNK):
        content += more
        if len(content) > max_bytes:
            raise too_large
    return content


@contextmanager
def locked(path: str | os.PathLike, timeout: float = 600.0) -> Iterator[None]:
    """Let one process at a time into the block, by a lock on the file ``path``, which is made if missing.

    The operating system frees the lock when the process ends, killed or not; the file stays.

    Parameters
    ----------
    path : str or path
        The lock file; not the file that it protects, which is replaced while the lock is held.
    timeout : float, optional
        Seconds to wait for another process. Default 600.

    Raises
    ------
    TimeoutError
        If another process holds the lock for longer.
    OSError
        If the lock file cannot be made, e.g. in a folder that must not be written.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from brainmass_delays._core.files import locked
    >>> with tempfile.TemporaryDirectory() as folder, locked(pathlib.Path(folder, 'store.lock')):
    ...     print('alone')
    alone
    """
    lock = filelock.FileLock(os.fspath(path), timeout=timeout)
    try:
        lock.acquire()
    except filelock.Timeout as error:
        raise TimeoutError(
            f"{path} is locked by another process for more than {timeout:g} s. Wait for it, or end it."
        ) from error
    except NotImplementedError as error:  # some network file systems know no locks
        raise OSError(f"{path} lies on a file system that knows no locks") from error
    try:
        yield
    finally:
        lock.release()


def make_folder(where: str, path: Path) -> None:
    """Make a folder, with those above it, unless it exists."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        rule = "must be a folder that can be made"
        raise ArgumentError(where, rule, f"{path}: {error.strerror}", "Name another one") from None


def as_path(where: str, path: Any) -> str:
    """Return a path as text, or refuse what is none: also a name that the file system cannot spell."""
    name = os.fspath(path) if isinstance(path, str | os.PathLike) else None
    try:
        if isinstance(name, str) and b"\0" not in os.fsencode(name):
            return name
    except UnicodeError:
        pass
    raise ArgumentError(where, "must be a path", repr(path))


def _replaceable(where: str, target: Path, follow: bool) -> int | None:
    """Return the permissions of the file to be replaced, None if there is none, or refuse."""
    if not os.path.isdir(target.parent):
        raise ArgumentError(where, "must lie in a folder that exists", str(target), "Make the folder first")
    try:
        mode = target.lstat().st_mode
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ArgumentError(where, "must be a path that can be written", error.strerror) from error
    if stat.S_ISLNK(mode) and not follow:
        return None
    if not stat.S_ISREG(mode):
        raise ArgumentError(where, f"{target} must be a regular file or not exist", _kind(mode))
    if not os.access(target, os.W_OK):
        raise ArgumentError(where, f"{target} must be a file that may be written", "a write-protected one")
    return stat.S_IMODE(mode)


def _kind(mode: int) -> str:
    """Name what is not a regular file."""
    if stat.S_ISDIR(mode):
        return "a folder"
    if stat.S_ISLNK(mode):
        return "a link that leads back to itself"
    return "a pipe" if stat.S_ISFIFO(mode) else "a socket" if stat.S_ISSOCK(mode) else "a device"


def _flush_folder(folder: Path) -> None:
    """Make a renaming survive a power cut, where the system can."""
    with suppress(OSError):  # Windows opens no folders, and some file systems flush none
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
