"""The command line: ``python -m brainmass_delays demo``."""

import argparse
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status.

    Examples
    --------
    >>> from brainmass_delays.cli import main
    >>> main(['demo', '--speed', '99', '--connectome', 'synthetic'])
    2
    """
    options = _parser().parse_args(arguments)

    from ._core.checks import ArgumentError
    from .demo import run_demo

    try:
        run_demo(options.connectome, options.speed, options.out, options.quick)
    except (ArgumentError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(
        prog="brainmass-delays", description="Neural-mass networks with trainable delays."
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    demo = commands.add_parser(
        "demo",
        help="recover a conduction speed from a recording",
        description="Simulate a recording at a known conduction speed, recover the speed by gradient "
        "descent, print a table and write three figures.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    demo.add_argument(
        "--connectome",
        default="hcp",
        metavar="NAME|FILE",
        help="hcp, gw, tvb76, synthetic, or a file",
    )
    demo.add_argument("--speed", type=float, default=4.5, help="true speed in mm/ms")
    demo.add_argument("--out", default="figures", metavar="DIR", help="folder of the figures")
    demo.add_argument("--quick", action="store_true", help="compute less")
    return parser
