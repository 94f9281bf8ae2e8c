"""Sensors: the projection, references, and MNE's lead fields against closed forms of the sphere."""

import brainunit as u
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import eval_legendre

from brainmass_delays import ArgumentError, Param
from brainmass_delays.observe import LeadField, SensorNoise, apply

mne = pytest.importorskip("mne")
DT = 1 * u.ms
EEG = u.volt / (u.amp * u.meter)
RNG = np.random.default_rng(0)
GAIN, X = RNG.normal(size=(4, 3)), RNG.normal(size=(20, 3))
SITES = np.array([[30.0, 10, 5], [-30, 20, 25], [0, -40, 30], [15, 30, -10]])  # mm, from the center
MOMENTS = RNG.normal(size=(4, 3))
CENTER = np.array([0, 0, 0.04])


def test_sensors_show_the_weighted_sum():
    moment = np.array([1.0, 2.0, 3.0]) * 1e-9 * u.amp * u.meter
    _, seen = apply(LeadField(matrix=GAIN, unit=EEG, moment=moment), X, DT)
    np.testing.assert_allclose(seen.to_decimal(u.volt), (X * [1e-9, 2e-9, 3e-9]) @ GAIN.T)


def test_what_the_reference_is_does_not_matter_between_sensors():
    _, plain = apply(LeadField(matrix=GAIN), X, DT)
    _, average = apply(LeadField(matrix=GAIN, reference="average"), X, DT)
    _, one = apply(LeadField(matrix=GAIN, sensors=list("abcd"), reference="c"), X, DT)
    np.testing.assert_allclose(average.sum(axis=1), 0, atol=1e-12)
    np.testing.assert_array_equal(one[:, 2], 0)
    for seen in (average, one):
        np.testing.assert_allclose(seen - seen[:, :1], plain - plain[:, :1], atol=1e-12)
    _, offset = apply(LeadField(matrix=GAIN + 7.0, reference="average"), X, DT)
    np.testing.assert_allclose(offset, average, atol=1e-12)


def test_gradient_reaches_matrix_and_moment():
    def loss(gain, moment):
        monitor = LeadField(matrix=Param(gain), moment=Param(moment), reference="average")
        return jnp.sum(apply(monitor, X, DT)[1] ** 2)

    by_gain, by_moment = jax.grad(loss, (0, 1))(jnp.asarray(GAIN), jnp.ones(3))
    step = 1e-6
    bump = np.zeros_like(GAIN)
    bump[1, 2] = step
    np.testing.assert_allclose(
        by_gain[1, 2], (loss(GAIN + bump, np.ones(3)) - loss(GAIN - bump, np.ones(3))) / (2 * step), rtol=1e-6
    )
    up, down = np.array([1, 1 + step, 1]), np.array([1, 1 - step, 1])
    np.testing.assert_allclose(by_moment[1], (loss(GAIN, up) - loss(GAIN, down)) / (2 * step), rtol=1e-6)


def test_noise_has_the_covariance_and_depends_on_the_step_alone():
    mix = RNG.normal(size=(3, 3))
    covariance = mix @ mix.T + np.eye(3)
    _, noisy = apply(SensorNoise(covariance), np.zeros((20000, 3)), DT)
    np.testing.assert_allclose(np.cov(noisy.T), covariance, atol=0.15)
    _, later = apply(SensorNoise(covariance), np.zeros((10, 3)), DT, start=100)
    np.testing.assert_array_equal(later, noisy[100:110])
    _, other = apply(SensorNoise(covariance, seed=1), np.zeros((10, 3)), DT)
    assert not np.any(np.isclose(other, noisy[:10]))


def test_noise_has_the_unit_of_the_sensors():
    _, noisy = apply(SensorNoise(np.array([4.0, 9.0]) * u.uvolt**2), np.zeros((5000, 2)) * u.mvolt, DT)
    np.testing.assert_allclose(np.std(noisy.to_decimal(u.uvolt), axis=0), [2, 3], rtol=0.05)


def magnetometers(places, normals):
    """Describe point magnetometers in head coordinates."""
    info = mne.create_info([f"M{i}" for i in range(len(places))], 1000.0, "mag")
    for channel, place, normal in zip(info["chs"], places, normals, strict=True):
        ex = np.linalg.svd(normal[None])[2][1]
        channel["loc"] = np.concatenate([place, ex, np.cross(normal, ex), normal])
        channel["coil_type"] = mne.io.constants.FIFF.FIFFV_COIL_POINT_MAGNETOMETER
        channel["coord_frame"] = mne.io.constants.FIFF.FIFFV_COORD_DEVICE
    with info._unlock():
        info["dev_head_t"] = mne.transforms.Transform("meg", "head", np.eye(4))
    return info


def sarvas(place, site, moment):
    """Write out the field of a current dipole in a sphere around the origin, Sarvas 1987 eq. 25."""
    a = place - site
    la, lr = np.linalg.norm(a), np.linalg.norm(place)
    f = la * (lr * la + lr**2 - site @ place)
    grad = (la**2 / lr + a @ place / la + 2 * la + 2 * lr) * place - (la + 2 * lr + a @ place / la) * site
    cross = np.cross(moment, site)
    return 1e-7 / f**2 * (f * cross - (cross @ place) * grad)


def test_meg_of_a_sphere_is_that_of_sarvas():
    normals = RNG.normal(size=(6, 3)) + [0, 0, 1.5]
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    places = CENTER + 0.12 * normals
    tilted = normals + 0.3 * RNG.normal(size=(6, 3))
    tilted /= np.linalg.norm(tilted, axis=1, keepdims=True)
    meg = LeadField.sphere(
        SITES + 1e3 * CENTER, magnetometers(places, tilted), kind="mag", orientation=MOMENTS, centered=False
    )
    ours = meg.matrix.value().to_decimal(u.tesla / (u.amp * u.meter))
    unit = MOMENTS / np.linalg.norm(MOMENTS, axis=1, keepdims=True)
    expected = [
        [sarvas(p - CENTER, s * 1e-3, m) @ n for s, m in zip(SITES, unit, strict=True)]
        for p, n in zip(places, tilted, strict=True)
    ]
    np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-6 * np.abs(expected).max())


def electrodes(directions, radius):
    points = {f"E{i}": CENTER + radius * d for i, d in enumerate(directions)}
    info = mne.create_info(list(points), 1000.0, "eeg")
    return info.set_montage(mne.channels.make_dig_montage(points, coord_frame="head"))


RADIUS, SIGMA = 0.09, 0.33  # m, S/m
DIRECTIONS = np.random.default_rng(4).normal(size=(8, 3))
DIRECTIONS /= np.linalg.norm(DIRECTIONS, axis=1, keepdims=True)


def on_the_homogeneous_sphere(site, moment):
    """Gain of electrodes on the surface, by MNE: two shells of one conductivity."""
    model = mne.make_sphere_model(
        CENTER, RADIUS, relative_radii=(0.9, 1.0), sigmas=(SIGMA, SIGMA), verbose=False
    )
    where = {"orientation": [moment], "model": model, "centered": False}
    eeg = LeadField.sphere(1e3 * (CENTER + site)[None], electrodes(DIRECTIONS, RADIUS), **where)
    return eeg.matrix.value().to_decimal(EEG)[:, 0]


def test_central_dipole_shows_three_times_the_potential_of_the_infinite_medium():
    almost_central = np.array([0, 0, 1e-7])  # MNE divides by the distance from the center
    infinite = DIRECTIONS[:, 2] / (4 * np.pi * SIGMA * RADIUS**2)
    ours = on_the_homogeneous_sphere(almost_central, [0, 0, 1.0])
    np.testing.assert_allclose(ours, 3 * infinite, atol=5e-6 * np.abs(3 * infinite).max())


@pytest.mark.parametrize("eccentricity", [0.2, 0.5, 0.7])
def test_eeg_of_a_homogeneous_sphere_is_the_series_of_legendre(eccentricity):
    """Expansion of the potential at the surface in Legendre polynomials, radial and tangential part."""
    radial, moment = np.array([3.0, 5, 6]) / np.sqrt(70), np.array([0.6, -0.48, 0.64])
    n, cosine = np.arange(1, 200)[:, None], DIRECTIONS @ radial
    p = eval_legendre(n, cosine)
    slope = n * (eval_legendre(n - 1, cosine) - cosine * p) / (1 - cosine**2)
    series = (2 * n + 1) * eccentricity ** (n - 1.0)
    along, across = np.sum(series * p, axis=0), np.sum(series / n * slope, axis=0)
    potential = (moment @ radial) * along + DIRECTIONS @ (moment - (moment @ radial) * radial) * across
    expected = potential / (4 * np.pi * SIGMA * RADIUS**2)
    ours = on_the_homogeneous_sphere(eccentricity * RADIUS * radial, moment)
    np.testing.assert_allclose(ours, expected, atol=5e-6 * np.abs(expected).max())


@pytest.fixture(scope="module")
def forward():
    info = mne.create_info(["Fz", "Cz", "Pz", "Oz"], 1000.0, "eeg").set_montage("colin27_1005")
    places = {"rr": SITES * 1e-3 + CENTER, "nn": MOMENTS}
    sources = mne.setup_volume_source_space(pos=places, sphere_units="m", verbose=False)
    return mne.make_forward_solution(
        info, None, sources, mne.make_sphere_model(CENTER, 0.095, verbose=False), meg=False, verbose=False
    )


def test_forward_solution_in_use_is_that_of_mne(forward):
    """mne.apply_forward_raw of the same dipoles."""
    eeg = LeadField.from_mne(forward, orientation=MOMENTS)
    _, seen = apply(eeg, X[:, [0, 1, 2, 0]] * 1e-9 * u.amp * u.meter, DT)
    unit = MOMENTS / np.linalg.norm(MOMENTS, axis=1, keepdims=True)
    moments = np.einsum("tn,nk->nkt", X[:, [0, 1, 2, 0]] * 1e-9, unit)
    expected = (forward["sol"]["data"] @ moments.reshape(12, -1)).T
    np.testing.assert_allclose(seen.to_decimal(u.volt), expected, rtol=1e-10)
    assert eeg.sensors == ("Fz", "Cz", "Pz", "Oz")


def test_sources_of_a_region_are_summed(forward):
    every = LeadField.from_mne(forward, orientation=MOMENTS).matrix.value()
    regions = LeadField.from_mne(forward, orientation=MOMENTS, regions=[1, 0, 1, -1]).matrix.value()
    np.testing.assert_allclose((regions[:, 1] / EEG), (every[:, 0] + every[:, 2]) / EEG)
    assert regions.shape == (4, 2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: LeadField(), r"LeadField.matrix: is needed"),
        (lambda: LeadField(matrix=GAIN[0]), r"LeadField.matrix: must have shape \(n_sensors, n_nodes\)"),
        (lambda: LeadField(matrix=GAIN * np.nan), r"LeadField.matrix: must be finite"),
        (lambda: LeadField(matrix=GAIN, sensors="abc"), r"LeadField.sensors: must be a sequence of texts; got 'abc'"),
        (lambda: LeadField(matrix=GAIN, reference="Cz"), r"LeadField.reference: must be one of 'average', '0'"),
        (lambda: LeadField(matrix=GAIN * u.volt, unit=u.tesla), r"LeadField.unit: must be of the dimension of matrix"),
        (lambda: apply(LeadField(matrix=GAIN.T), X, DT), r"LeadField.matrix: must have one column per region, 3; got \(3, 4\). It is"),
        (lambda: SensorNoise(-1.0), r"SensorNoise.covariance: must be positive definite"),
        (lambda: SensorNoise(GAIN), r"SensorNoise.covariance: must be a variance or a symmetric matrix"),
        (lambda: apply(SensorNoise(np.ones(2)), X, DT), r"SensorNoise.covariance: must be of 3 sensors; got \(2,\)"),
        (lambda: LeadField.sphere(SITES * 3), r"LeadField.sphere.centres: must lie less than 85.5 mm"),
        (lambda: LeadField.sphere([[0, 0, 0.0]]), r"LeadField.sphere.orientation: is needed for a dipole in the center"),
        (lambda: LeadField.sphere(SITES, "Fz Kz"), r"LeadField.sphere.montage: must be the name of a montage of MNE, or of electrodes of the 10-05 system; got 'Kz'"),
    ],
)  # fmt: skip
def test_bad_input_is_named(call, message):
    with pytest.raises(ArgumentError, match=message):
        call()


def test_mismatched_forward_solution_is_named(forward):
    for options, message in [
        ({}, "orientation: is needed for a forward solution with free dipoles"),
        ({"orientation": MOMENTS[:2]}, "orientation: must be 4 directions"),
        ({"orientation": MOMENTS, "regions": [0, 1]}, "regions: must be 4 whole numbers"),
        (
            {"orientation": MOMENTS, "regions": [0, 2, 2, 2]},
            "regions: must name a source of every region; got none of 1",
        ),
        ({"orientation": MOMENTS, "kind": "mag"}, "kind: must be of sensors in the forward solution"),
    ]:
        with pytest.raises(ArgumentError, match=message):
            LeadField.from_mne(forward, **options)
