"""Lead fields from MNE-Python: its forward solutions, and a sphere around the centers of regions."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import brainunit as u
import numpy as np

from .._core.checks import ArgumentError, check_choice, check_finite
from .._core.units import magnitude

if TYPE_CHECKING:
    from .leadfield import LeadField

KINDS = ("eeg", "mag", "grad")
# the 19 electrodes of the 10-20 system
TEN_TWENTY = "Fp1 Fp2 F7 F3 Fz F4 F8 T7 C3 Cz C4 T8 P7 P3 Pz P4 P8 O1 O2"
TEN_FIVE = "colin27_1005"  # where MNE has the places of electrodes by name


def from_mne(
    cls,
    forward: Any,
    source: str | Callable | None = None,
    *,
    kind: str = "eeg",
    orientation: Any = None,
    regions: Any = None,
    **options: Any,
) -> "LeadField":
    """Take over a forward solution of MNE-Python.

    Parameters
    ----------
    forward : mne.Forward
        As `mne.make_forward_solution` or `mne.read_forward_solution` return it.
    source : str or callable, optional
        Activity of every region, see `Monitor`.
    kind : {'eeg', 'mag', 'grad'}, default 'eeg'
        Which sensors. Gains are V, T or T/m per A m.
    orientation : array_like, shape (n_sources, 3), optional
        Directions of the dipoles in the coordinates of the forward solution, of any length above 0. Needed
        for, and only for, one with free orientation.
    regions : array_like of int, shape (n_sources,), optional
        Region of every source, -1 for none; the gains of the sources of a region are **summed**, as activity
        of a region means one dipole at each of them. By default every source is a region.
    **options
        ``period``, ``moment`` and ``reference`` of `LeadField`.

    Returns
    -------
    LeadField

    Raises
    ------
    ArgumentError
        If there are no sensors of the kind, or the orientation or the regions do not match the sources.

    Notes
    -----
    MNE's EEG gains have no reference; recordings usually have ``reference='average'``.
    """
    check_choice("LeadField.from_mne.kind", kind, KINDS)
    import mne

    info = forward["info"]
    picks = mne.pick_types(info, meg=kind if kind != "eeg" else False, eeg=kind == "eeg", ref_meg=False)
    if not len(picks):
        raise ArgumentError("LeadField.from_mne.kind", "must be of sensors in the forward solution", kind)
    names = [info["ch_names"][i] for i in picks]
    rows = [forward["sol"]["row_names"].index(name) for name in names]
    gain = _oriented(forward["sol"]["data"][rows], forward["nsource"], orientation)
    if regions is not None:
        gain = gain @ _membership(regions, gain.shape[1])
    unit = {"eeg": u.volt, "mag": u.tesla, "grad": u.tesla / u.meter}[kind] / (u.amp * u.meter)
    return cls(source, gain, unit=unit, sensors=names, **options)


def sphere(
    cls,
    centres: Any,
    montage: Any = TEN_TWENTY,
    source: str | Callable | None = None,
    *,
    kind: str = "eeg",
    orientation: Any = None,
    model: Any = None,
    centered: bool = True,
    **options: Any,
) -> "LeadField":
    """Compute a lead field for a spherical head, without any anatomical data.

    Parameters
    ----------
    centres : Quantity or array_like, shape (n_regions, 3)
        Centers of the regions, as in `Connectome.centres`: x right, y front, z up; plain numbers are mm.
    montage : str, mne.channels.DigMontage or mne.Info
        Names of electrodes of the 10-05 system with spaces between, by default the 19 of the 10-20 system;
        the name of a montage of MNE; or sensors of any kind in head coordinates.
    source : str or callable, optional
        Activity of every region, see `Monitor`.
    kind : {'eeg', 'mag', 'grad'}, default 'eeg'
        Which sensors.
    orientation : array_like, shape (n_regions, 3), optional
        Directions of the dipoles. Default: away from the center of the sphere. MEG does not see these.
    model : mne.bem.ConductorModel, optional
        Sphere model. Default: four shells of MNE, radius 95 mm around (0, 0, 40) mm.
    centered : bool, default True
        Shift the mean of the centers to the center of the sphere; False: they are in head coordinates.
    **options
        ``period``, ``moment`` and ``reference`` of `LeadField`.

    Returns
    -------
    LeadField
        Gains in V, T or T/m per A m.

    Raises
    ------
    ArgumentError
        If a center lies outside the innermost shell or at its center without an orientation.

    Notes
    -----
    Electrodes are moved to the surface of the sphere along its radii.

    References
    ----------
    Sarvas, J. (1987). Basic mathematical and electromagnetic concepts of the biomagnetic inverse problem.
    Physics in Medicine & Biology 32, 11-22.

    Examples
    --------
    >>> import brainunit as u
    >>> import numpy as np
    >>> from brainmass_delays.observe import LeadField
    >>> centres = np.array([[-40., 0., 20.], [40., 0., 20.], [0., -40., -40.]]) * u.mm
    >>> eeg = LeadField.sphere(centres, source='x', reference='average')  # doctest: +SKIP
    """
    import mne

    where = "LeadField.sphere.centres"
    points = check_finite(where, magnitude(where, centres, u.mm)) * 1e-3
    if points.ndim != 2 or points.shape[1] != 3:
        raise ArgumentError(where, "must have shape (n_regions, 3)", points.shape)
    model = mne.make_sphere_model((0, 0, 0.04), 0.095, verbose=False) if model is None else model
    middle = np.asarray(model["r0"])
    points = points - points.mean(axis=0) + middle if centered else points
    distance = np.linalg.norm(points - middle, axis=1)
    inside = model["layers"][0]["rad"] if model["layers"] else np.inf
    if distance.max() >= inside:
        raise ArgumentError(
            where,
            f"must lie less than {1e3 * inside:.3g} mm from the center of the sphere",
            f"{1e3 * distance.max():.3g} mm of region {distance.argmax()}",
            "Scale them, or pass model=mne.make_sphere_model(head_radius=...)",
        )
    if orientation is None:
        if not distance.all():
            raise ArgumentError(
                "LeadField.sphere.orientation", "is needed for a dipole in the center", "None"
            )
        orientation = points - middle
    places = {"rr": points, "nn": np.tile([0.0, 0.0, 1.0], (len(points), 1))}
    sources = mne.setup_volume_source_space(pos=places, sphere_units="m", verbose=False)
    forward = mne.make_forward_solution(
        _sensors(montage), None, sources, model, meg=kind != "eeg", eeg=kind == "eeg", verbose=False
    )
    return from_mne(cls, forward, source, kind=kind, orientation=orientation, **options)


def _oriented(gain: np.ndarray, n_sources: int, orientation: Any) -> np.ndarray:
    """Return one column per source, along its direction."""
    where = "LeadField.from_mne.orientation"
    if gain.shape[1] == n_sources:
        if orientation is not None:
            raise ArgumentError(where, "must be None, as the forward solution has fixed dipoles")
        return gain
    if orientation is None:
        raise ArgumentError(
            where,
            "is needed for a forward solution with free dipoles",
            "None",
            "Pass directions, or convert it with mne.convert_forward_solution(forward, force_fixed=True)",
        )
    directions = check_finite(where, orientation)
    lengths = np.linalg.norm(directions, axis=-1, keepdims=True)
    if directions.shape != (n_sources, 3) or not lengths.all():
        raise ArgumentError(
            where, f"must be {n_sources} directions of 3 numbers, not all 0", directions.shape
        )
    return np.einsum("snk,nk->sn", gain.reshape(len(gain), n_sources, 3), directions / lengths)


def _membership(regions: Any, n_sources: int) -> np.ndarray:
    """Return 1 where a source belongs to a region, (n_sources, n_regions)."""
    regions = np.asarray(regions)
    if regions.shape != (n_sources,) or not np.issubdtype(regions.dtype, np.integer) or regions.max() < 0:
        raise ArgumentError(
            "LeadField.from_mne.regions", f"must be {n_sources} whole numbers, one per source", regions.shape
        )
    member = regions[:, None] == np.arange(regions.max() + 1)
    if not member.any(axis=0).all():
        empty = int(np.flatnonzero(~member.any(axis=0))[0])
        raise ArgumentError(
            "LeadField.from_mne.regions", "must name a source of every region", f"none of {empty}"
        )
    return member * 1.0


def _sensors(montage: Any) -> Any:
    """Return the measurement info of sensors."""
    import mne

    if isinstance(montage, mne.Info):
        return montage
    names = None
    if isinstance(montage, str) and montage in mne.channels.get_builtin_montages():
        montage = mne.channels.make_standard_montage(montage)
    elif isinstance(montage, str):
        names, montage = montage.split(), mne.channels.make_standard_montage(TEN_FIVE)
        if unknown := [name for name in names if name not in montage.ch_names]:
            rule = "must be the name of a montage of MNE, or of electrodes of the 10-05 system"
            raise ArgumentError("LeadField.sphere.montage", rule, repr(unknown[0]))
    info = mne.create_info(names or montage.ch_names, 1000.0, "eeg", verbose=False)
    return info.set_montage(montage, verbose=False)
