"""Points and tiers of the loyalty programme."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from churnlab.config.sections import Days, Fraction, Section


class Loyalty(Section):
    """What earns points, from how many on a tier is reached, and what that costs and brings.

    Attributes
    ----------
    money_per_point
        Money spent for one point.
    points_per_purchase_day, points_per_year, points_if_regular
        For each purchase day of the window; each full year as a customer; a life-cycle type `loyal`.
    tiers
        Name → points from which on.
    cost_per_point
        Money that a point is worth when it is spent.
    redeemed_share
        Of the points, those that are ever spent.
    more_spend
        How much more members are assumed to spend for it, as a share.
    """

    window_days: Days = 365
    money_per_point: float = Field(default=1.0, gt=0)
    points_per_purchase_day: float = Field(default=5.0, ge=0)
    points_per_year: float = Field(default=10.0, ge=0)
    points_if_regular: float = Field(default=25.0, ge=0)
    tiers: dict[str, Annotated[float, Field(gt=0)]] = Field(
        default={"silver": 100.0, "gold": 300.0, "platinum": 1000.0}, min_length=1
    )
    near_share: Fraction = 0.2
    cost_per_point: float = Field(default=0.01, ge=0)
    redeemed_share: Fraction = 0.7
    more_spend: float = Field(default=0.03, ge=0)

    @field_validator("tiers")
    @classmethod
    def _rising(cls, tiers: dict[str, float]) -> dict[str, float]:
        """From the lowest to the highest, however they are written down."""
        if len(set(tiers.values())) < len(tiers):
            raise ValueError("tiers: two begin at the same points: give each its own")
        return dict(sorted(tiers.items(), key=lambda tier: tier[1]))
