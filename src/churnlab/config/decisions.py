"""Labels, actions, limits and rules behind the priority list."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from churnlab.config.contacting import Contact, ContactRules, DiscountPolicy
from churnlab.config.sections import Days, Fraction, Section

OpenShare = Annotated[float, Field(gt=0, lt=1)]


class RiskShares(Section):
    """Shares of the base, riskiest first; the rest is `low`."""

    high: Fraction
    medium: Fraction


class ValueShares(Section):
    """Shares of the base, most valuable first; the rest is `low`."""

    top: Fraction
    high: Fraction
    medium: Fraction


class Labels(Section):
    """Cut points of the labels, as shares of the base at training, and how far beyond one a label is kept."""

    risk_shares: RiskShares
    value_shares: ValueShares
    hysteresis: float = Field(default=0.02, ge=0, le=0.5)


class CustomerTypes(Section):
    """Thresholds of life-cycle types and buying styles; see :mod:`churnlab.decisions.customer_types`."""

    silent_gaps: float = Field(default=3.0, gt=0, le=100)
    regular_gap_cv: float = Field(default=1.0, gt=0, le=10)
    loyal_repeats: int = Field(default=3, ge=2, le=1000)
    discount_share: OpenShare = 0.1
    varied_order_cv: float = Field(default=0.75, gt=0, le=10)
    narrow_new_share: OpenShare = 0.2
    recent_complaints: int = Field(default=1, ge=1, le=1000)
    low_csat: float = Field(default=0.25, ge=0, lt=1)
    detractor_nps: float = Field(default=6.0, ge=0, lt=10)
    returned_share: OpenShare = 0.5


class Quota(Section):
    """Contacts of one kind of customers: so many at most, and at least so many as far as limits allow."""

    column: Literal["risk_label", "value_label", "lifecycle_type", "buying_style"]
    value: str = Field(min_length=1)
    most: int | None = Field(default=None, ge=0)
    least: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _bounds(self) -> Quota:
        if self.most is None and not self.least:
            raise ValueError("name most or least")
        if self.most is not None and self.least > self.most:
            raise ValueError("least is more than most: lower it")
        return self


class Decisions(Section):
    """Labels, contacts and the budget behind the priority list."""

    labels: Labels
    new_customer_days: Days
    types: CustomerTypes = CustomerTypes()
    budget: float = Field(ge=0)
    max_contacts: int = Field(ge=0)
    channel_capacity: dict[str, Annotated[int, Field(ge=0)]] = {}
    segment_quotas: list[Quota] = []
    control_share: float = Field(ge=0, lt=1)
    salt: str
    learned_effects: str | None = None
    effect_prior_sd: float = Field(default=0.05, gt=0, le=1)
    contact_rules: ContactRules = ContactRules()
    discount_policy: DiscountPolicy = DiscountPolicy()
    templates: str = "params/templates"
    language: str = Field(default="en", pattern=r"^[a-z]{2,3}(-[a-z0-9]+)*$")
    actions: dict[str, Contact] = Field(min_length=1)

    @model_validator(mode="after")
    def _channels_are_used(self) -> Decisions:
        unknown = set(self.channel_capacity) - {contact.channel for contact in self.actions.values()}
        if unknown:
            raise ValueError(f"channel_capacity: no action uses the channel {min(unknown)}")
        return self

    @model_validator(mode="after")
    def _discounts_are_small(self) -> Decisions:
        largest = self.discount_policy.largest_share
        for name, contact in self.actions.items():
            if contact.discount_share is not None and contact.discount_share > largest:
                raise ValueError(
                    f"actions.{name}: a discount_share of {contact.discount_share:g} is more than "
                    f"discount_policy.largest_share, {largest:g}: lower it, or offer a perk beside it"
                )
        return self
