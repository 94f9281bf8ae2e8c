"""One run at a time: tracing changes global states, and a run changes those of its model."""

import threading

LOCK = threading.RLock()
