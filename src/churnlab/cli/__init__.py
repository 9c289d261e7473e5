"""The command line: `churnlab …`.

Heavy libraries are imported inside the commands: `churnlab --help` must not wait for them.
"""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import NoReturn

from churnlab.cli.options import app
from churnlab.errors import exit_code, is_ending, one_line, quotes_data, withheld

# isort: off
# each adds its commands, in the order of the help
from churnlab.cli import stages, lists, contacts, shop, registry, privacy  # noqa: F401

__all__ = ["app", "main"]

MOMENT_SECONDS = 0.001


def main() -> None:
    """Run the command line: what is no defect is one line on stderr and exit code 2, or 75 to try again."""
    signal.signal(signal.SIGTERM, _terminated)
    try:
        app()
    except Exception as error:
        if is_ending():  # an interrupted query is no defect
            sys.exit(128 + signal.SIGTERM)
        line = one_line(error)
        if line is not None:
            _end(line, exit_code(error))
        if not quotes_data(error):
            raise
        sys.stderr.write(withheld(error))
        sys.exit(1)


def _terminated(_number: int, frame: FrameType | None) -> None:
    """Unwind as after an error, so that files and transactions are taken back.

    An import that is broken off may leave its lock held, and a thread that imports too would wait for it for
    ever: the machinery of imports is left first.
    """
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.unraisablehook = _swallowed
    if frame is not None and frame.f_code.co_filename.startswith("<frozen importlib"):
        _in_a_moment()
        return
    sys.exit(128 + signal.SIGTERM)


def _swallowed(error: sys.UnraisableHookArgs) -> None:
    """Nothing can be raised out of a finalizer: the run would go on."""
    if isinstance(error.exc_value, SystemExit):
        _in_a_moment()
    else:
        sys.__unraisablehook__(error)


def _in_a_moment() -> None:
    signal.signal(signal.SIGALRM, _terminated)
    signal.setitimer(signal.ITIMER_REAL, MOMENT_SECONDS)


def _end(message: str, code: int) -> NoReturn:
    sys.stderr.write(f"{message}\n")
    sys.exit(code)
