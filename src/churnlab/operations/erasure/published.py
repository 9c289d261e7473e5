"""Erases customers from published lists."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from churnlab.errors import ChurnlabError
from churnlab.operations.erasure.traces import Wanted
from churnlab.operations.sinks.publication import Sink, Trace


def traces(sinks: Sequence[Sink], wanted: Wanted) -> list[Trace]:
    """Where lists name the wanted, or cannot be read."""
    return [trace for sink in sinks for trace in sink.traces(wanted)]


def erase(sinks: Sequence[Sink], wanted: Wanted, moment: datetime) -> dict[str, str]:
    """Erase date after date; one that resists does not keep the others from being erased.

    Returns
    -------
    dict
        Place of a trace whose date resisted → why it did.
    """
    troubles: dict[str, str] = {}
    for sink in sinks:
        found = sink.traces(wanted)
        for day in sorted({trace.as_of for trace in found}):
            try:
                sink.erase(wanted, day, moment)
            except ChurnlabError as error:
                troubles |= {trace.place: str(error) for trace in found if trace.as_of == day}
    return troubles


def left(sinks: Sequence[Sink], wanted: Wanted, troubles: dict[str, str]) -> dict[str, str]:
    """Place of each trace that a new search finds → what is left there, and why."""
    return {
        trace.place: (trace.unreadable or f"{trace.hits.total} left")
        + (f", {troubles[trace.place]}" if trace.place in troubles else "")
        for trace in traces(sinks, wanted)
    }
