"""Try all pairs of the table and write what is unclear into `gaps.py`: ``python tests/bad_input/debts.py [PREFIX]``.

With a prefix, such as ``observe.``, only rows that begin with it are tried, and the entries of all others stay.
"""

import contextlib
import importlib
import io
import re
import sys
import warnings
from pathlib import Path

import brainstate

FOLDER = Path(__file__).parent
sys.path[:0] = [str(FOLDER), str(FOLDER.parents[1])]


def unclear(prefix: str) -> dict[str, str]:
    """Return the kinds that are unclear, by argument; print them as they come."""
    import table
    import values

    found = {}
    for argument, (call, accepted) in table.ROWS.items():
        if not argument.startswith(prefix):
            continue
        for kind, value in values.KINDS.items():
            with contextlib.redirect_stderr(io.StringIO()):  # progress bars
                outcome = values.try_out(call, value, argument.rsplit(".", 1)[1])
            if outcome.kind != ("accepted" if kind in accepted else "clear"):
                found.setdefault(argument, []).append(kind)
                print(argument, kind, outcome.kind, outcome.said[:150].replace("\n", " "), flush=True)
    return {argument: " ".join(kinds) for argument, kinds in found.items()}


def main(prefix: str = "") -> None:
    """Rewrite `gaps.py`."""
    warnings.simplefilter("ignore")
    brainstate.environ.set(precision=64)
    for part in sorted(FOLDER.glob("rows*.py")):
        importlib.import_module(part.stem)
    import gaps

    kept = {a: kinds for a, kinds in gaps.UNCLEAR.items() if not a.startswith(prefix)}
    lines = [
        f'    "{argument}": "{kinds}",\n' for argument, kinds in sorted((kept | unclear(prefix)).items())
    ]
    path = FOLDER / "gaps.py"
    head = re.split(r"^UNCLEAR = ", path.read_text(), flags=re.MULTILINE)[0]
    path.write_text(f"{head}UNCLEAR = {{\n{''.join(lines)}}}\n")
    print(f"{len(lines)} arguments are unclear for some kinds")


if __name__ == "__main__":
    main(*sys.argv[1:])
