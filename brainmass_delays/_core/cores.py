"""How many cores of this machine JAX sees as devices."""

import os

import jax

from .checks import ArgumentError, check_count


def use_cores(n: int) -> None:
    """Let the points of a sweep, or the starts of a fit, run on ``n`` cores of this machine.

    XLA runs the loops of a network on one core. Where JAX sees several devices, `sweep` shares its points
    among them, and a fit its starts. One network gains nothing: its cores would wait for each other.

    Parameters
    ----------
    n : int
        Cores, at most as many as there are.

    Raises
    ------
    ArgumentError
        For more cores than there are, or after JAX has started: the first computation settles their number.

    Examples
    --------
    In the first lines of a program, before anything is computed; an import does not compute.

    >>> import brainmass_delays as bd
    >>> bd.use_cores(1)
    """
    n, there = check_count("use_cores.n", n), os.cpu_count() or 1
    if n > there:
        raise ArgumentError("use_cores.n", f"must be at most {there}, the cores of this machine", n)
    try:
        jax.config.update("jax_num_cpu_devices", n)
    except RuntimeError:
        if jax.local_device_count("cpu") == n:
            return
        raise ArgumentError(
            "use_cores", "must be called before JAX computes anything", "JAX has started",
            "Call it in the first lines of the program, or restart the kernel",
        ) from None  # fmt: skip
