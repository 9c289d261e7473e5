"""Erases customers from published lists."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from churnlab.errors import ChurnlabError
from churnlab.operations.erasure.traces import Wanted
from churnlab.operations.sinks.publication import Sink, Trace


def search(sinks: Sequence[Sink], wanted: Wanted) -> dict[Sink, list[Trace]]:
    """Where lists name the wanted, or cannot be read."""
    return {sink: sink.traces(wanted) for sink in sinks}


def erase(found: dict[Sink, list[Trace]], wanted: Wanted, moment: datetime) -> dict[str, str]:
    """Erase date after date; one that resists does not keep the others from being erased.

    Parameters
    ----------
    found
        What :func:`search` gave.

    Returns
    -------
    dict
        Place of a trace whose date resisted → why it did.
    """
    troubles: dict[str, str] = {}
    for sink, traces in found.items():
        for day in sorted({trace.as_of for trace in traces}):
            try:
                sink.erase(wanted, day, moment)
            except ChurnlabError as error:
                troubles |= {trace.place: str(error) for trace in traces if trace.as_of == day}
    return troubles


def left(sinks: Sequence[Sink], wanted: Wanted, troubles: dict[str, str]) -> dict[str, str]:
    """Place of each trace that a new search finds → what is left there, and why."""
    return {
        trace.place: (trace.unreadable or f"{trace.hits.total} left")
        + (f", {troubles[trace.place]}" if trace.place in troubles else "")
        for traces in search(sinks, wanted).values()
        for trace in traces
    }
