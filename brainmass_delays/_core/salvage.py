"""What was finished before an error, handed out with the error."""

from typing import Any


def attach(error: BaseException, result: Any, note: str) -> None:
    """Make ``result`` the attribute ``result`` of an error on its way out, and say so below its message.

    The error stays what it is: a `KeyboardInterrupt` still stops a notebook, and what was finished is then
    ``sys.last_value.result``.

    Examples
    --------
    >>> from brainmass_delays._core.salvage import attach
    >>> try:
    ...     try:
    ...         raise KeyboardInterrupt
    ...     except KeyboardInterrupt as error:
    ...         attach(error, [1, 2], '2 of 3 parts were finished; they are in the .result of this error.')
    ...         raise
    ... except KeyboardInterrupt as error:
    ...     print(error.result, *error.__notes__)
    [1, 2] 2 of 3 parts were finished; they are in the .result of this error.
    """
    error.result = result
    error.add_note(note)
