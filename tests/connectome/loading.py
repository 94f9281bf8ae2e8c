"""Load files one after another and report how each ended, how long it took, and how much memory it took.

Run as a program by the tests of hostile files, so that a crash, a hang or an empty memory ends this process and
not the tests. Arguments: the seconds that one file may take, then the files.
"""

import faulthandler
import json
import re
import signal
import sys
import time
from pathlib import Path

from brainmass_delays import ArgumentError
from brainmass_delays.connectome import Connectome


def peak():
    """Return the largest memory since the last reset in bytes."""
    return 1024 * int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1])


def outcome(path):
    """Load one file; say 'loaded', the message of our own error, or the name of a foreign one."""
    try:
        Connectome.load(path)
    except ArgumentError as error:
        return f"refused: {error}"
    except BaseException as error:
        return f"foreign: {type(error).__name__}: {error}"
    return "loaded"


if __name__ == "__main__":
    faulthandler.enable()
    seconds = int(sys.argv[1])
    print("ready", flush=True)
    for path in sys.argv[2:]:
        Path("/proc/self/clear_refs").write_text("5")
        before, start = peak(), time.process_time()
        signal.setitimer(signal.ITIMER_PROF, seconds)  # ends the process if a file takes longer,
        signal.setitimer(signal.ITIMER_REAL, 30 * seconds)  # or waits far longer
        said = outcome(path)
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        took = time.process_time() - start
        print(json.dumps({"file": path, "said": said, "seconds": took, "bytes": peak() - before}), flush=True)
