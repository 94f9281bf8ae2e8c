"""What memory is free, and a clear refusal of what would not fit, before it is taken."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .checks import ArgumentError

UNKNOWN = 4 * 2**30  # bytes assumed to be free where the system does not say
SMALL = 2**26  # bytes; less is taken without asking the system, which costs as much as a short run


def free_memory(device: Any = None) -> float:
    """Return the bytes that this process can still take, on an accelerator or, by default, in main memory.

    In main memory it is the least of what the system calls available, what the control group (a container's
    limit) leaves, and what ``ulimit -v`` leaves.

    Examples
    --------
    >>> from brainmass_delays._core.memory import free_memory
    >>> free_memory() > 1e6
    True
    """
    stats = device.memory_stats() if device is not None and device.platform != "cpu" else None
    if stats and "bytes_limit" in stats:
        return stats["bytes_limit"] - stats["bytes_in_use"]
    known = [limit for limit in (_available(), _group_leaves(), _address_space_leaves()) if limit is not None]
    return max(min(known, default=UNKNOWN), 0)


def check_memory(
    where: str,
    parts: Mapping[str, float],
    cure: str,
    *,
    free: float | None = None,
    share: float = 1.0,
    on_device: bool = False,
) -> None:
    """Refuse what needs more memory than there is, naming how much for what, and the likely cause.

    Parameters
    ----------
    where : str
        Name of the argument that decides, e.g. ``'Simulator.run'``.
    parts : dict of str to float
        Bytes by what they hold, e.g. ``{'buffer': 1.7e10, 'record': 2e8}``.
    cure : str
        The likely cause and what to do, e.g. that the longest delay is 3 hours, so the speed's unit is wrong.
    free : float, optional
        Bytes that may be taken. Default: `free_memory`.
    on_device : bool, optional
        Whether the memory is that of the device on which JAX computes, or by default main memory.
    share : float, optional
        Share of ``free`` that may be taken. Default 1.

    Raises
    ------
    ArgumentError
        If the sum of the parts is larger than ``share * free``. Less than `SMALL` passes, unless ``free`` is
        given.

    Examples
    --------
    >>> from brainmass_delays._core.memory import check_memory
    >>> check_memory('run', {'buffer': 17e9, 'record': 2e8}, 'Is the unit of speed right?', free=8e9)
    Traceback (most recent call last):
    brainmass_delays._core.checks.ArgumentError: run: must fit in the 8 GB of memory that are free; got a \
need of 17.2 GB (buffer 17 GB, record 200 MB). Is the unit of speed right?
    """
    need = sum(parts.values())
    if free is None and need <= SMALL:
        return
    free = free_memory(_device() if on_device else None) if free is None else free
    if need <= share * free:
        return
    listed = ", ".join(f"{name} {spell_bytes(size)}" for name, size in parts.items() if size)
    raise ArgumentError(
        where,
        f"must fit in the {spell_bytes(share * free)} of memory that are free",
        f"a need of {spell_bytes(need)} ({listed})",
        cure,
    )


def _device() -> Any:
    """Return the device on which JAX computes by default."""
    import jax  # reading files needs no JAX

    return jax.config.jax_default_device or jax.devices()[0]


def spell_bytes(size: float) -> str:
    """Write a number of bytes with a unit: ``'17.2 GB'``."""
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= scale:
            return f"{size / scale:.3g} {unit}"
    return f"{size:.0f} bytes"


def _available() -> float | None:
    """Return what the system can give without swapping; pages that only cache files count as free."""
    if found := re.search(r"^MemAvailable:\s+(\d+) kB", _text("/proc/meminfo"), re.MULTILINE):
        return 1024 * int(found[1])
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return None


def _group_leaves() -> float | None:
    """Return what the control group of this process leaves, in either version of the interface."""
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        limit, used = _text(f"/sys/fs/cgroup/{limit}").strip(), _text(f"/sys/fs/cgroup/{used}").strip()
        if limit.isdigit() and used.isdigit():
            return int(limit) - int(used)
    return None


def _address_space_leaves() -> float | None:
    """Return what a limit on the address space (``ulimit -v``) leaves."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    taken = _text("/proc/self/statm").split()
    if limit == resource.RLIM_INFINITY or not taken:
        return None
    return limit - int(taken[0]) * os.sysconf("SC_PAGE_SIZE")


def _text(path: str) -> str:
    """Return what a file of the system says, nothing if there is no such file."""
    try:
        return Path(path).read_text()
    except OSError:
        return ""
