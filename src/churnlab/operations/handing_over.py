"""Hands the messages of a list over batch by batch, and keeps a record of those that were accepted."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from churnlab.engine import write_text
from churnlab.errors import DataError
from churnlab.operations.sinks.locks import exclusive
from churnlab.operations.webhook import digest

Message = dict[str, Any]


@dataclass(frozen=True)
class Outgoing:
    """The messages of one list.

    Attributes
    ----------
    as_of
        The date of the list.
    messages
        customer_id, channel, action, language, text; one per treated customer.
    ledger
        File of JSON lines, one per message that was accepted; not there before the first.
    """

    as_of: date
    messages: Sequence[Message]
    ledger: Path

    def accepted(self) -> list[dict[str, str]]:
        """as_of, customer_id and action of what was accepted, in that order.

        Raises
        ------
        DataError
            The ledger is damaged.
        """
        try:
            return [{name: str(row[name]) for name in NAMES} for row in read_lines(self.ledger)]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"{self.ledger}: is damaged: restore it, for without it everybody is sent to again"
            ) from error

    def waiting(self, accepted: Sequence[Mapping[str, str]]) -> list[Message]:
        """Messages to customers who had none of this list yet: another action is no reason for a second."""
        had = {row["customer_id"] for row in accepted}
        return [message for message in self.messages if message["customer_id"] not in had]


NAMES = ("as_of", "customer_id", "action")


def read_lines(path: Path) -> list[Any]:
    """JSON line by line; a text may hold other signs that end a line elsewhere."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def hand_over(outgoing: Outgoing, post: Callable[[Sequence[Message]], None], batch_rows: int) -> int:
    """Post what is waiting; after each batch that is accepted, the ledger is replaced by a longer one.

    A run that dies between the two posts that batch again next time, with the same keys.

    Parameters
    ----------
    post
        Takes messages, each with its as_of and an idempotency_key made of as_of, customer_id and action;
        raises where they are not accepted, which ends the run.

    Returns
    -------
    int
        How many were accepted.

    Raises
    ------
    DataError
        The ledger is damaged or cannot be written.
    TryLaterError
        Another run is handing over this list.
    """
    lock = outgoing.ledger.with_name(f".{outgoing.ledger.name}.lock")
    with exclusive(lock, f"messages of {outgoing.as_of} are being sent"):
        accepted = outgoing.accepted()
        waiting = [_keyed(message, outgoing.as_of) for message in outgoing.waiting(accepted)]
        for start in range(0, len(waiting), batch_rows):
            batch = waiting[start : start + batch_rows]
            post(batch)
            accepted += [{name: row[name] for name in NAMES} for row in batch]
            text = "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in accepted)
            write_text(text, outgoing.ledger)
    return len(waiting)


def _keyed(message: Message, as_of: date) -> Message:
    keyed = {**message, "as_of": as_of.isoformat()}
    return {**keyed, "idempotency_key": digest([keyed[name] for name in NAMES])}
