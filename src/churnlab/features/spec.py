"""Which columns the snapshots of a run have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any

from churnlab.errors import DataError


@dataclass(frozen=True)
class FeatureSpec:
    """Which columns a snapshot has: decided once, so that all snapshots of a run agree.

    `history_days` is the length of the history at the earliest snapshot, both ends included;
    `interaction_days` and `contact_days` are those of it that the interactions and the contacts cover.
    """

    windows_days: tuple[int, ...]
    half_lives_days: tuple[int, ...]
    horizon_days: int
    history_days: int
    has_items: bool = False
    has_discount: bool = False
    has_returns: bool = False
    has_products: bool = False
    has_categories: bool = False
    has_channel: bool = False
    has_complaints: bool = False
    has_tickets: bool = False
    has_csat: bool = False
    has_nps: bool = False
    has_intent: bool = False
    has_wishes: bool = False
    has_response: bool = False
    has_resolution: bool = False
    has_contacts: bool = False
    has_signup: bool = False
    has_business: bool = False
    has_referrer: bool = False
    has_consents: bool = False
    interaction_days: int = 0
    contact_days: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Lists, numbers and booleans only, ready for JSON."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> FeatureSpec:
        """The inverse of :meth:`to_dict`; columns that the saved spec does not know are not in its snapshots.

        Raises
        ------
        DataError
            A field is unknown, or one without a default is missing.
        """
        names = {field.name for field in fields(cls)}
        needed = {field.name for field in fields(cls) if field.default is MISSING}
        if wrong := (needed - set(saved)) | (set(saved) - names):
            odd = ", ".join(sorted(wrong))
            raise DataError(f"feature spec: missing or unknown {odd}: train the model again")
        values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in saved.items()}
        return cls(**values)
