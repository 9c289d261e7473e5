"""The playbook of actions, and the rules that every contact keeps to."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator

from churnlab.config.sections import Fraction, Section

LifecycleType = Literal["potential", "new", "active", "loyal", "inactive", "dissatisfied"]
BuyingStyle = Literal["loyal", "discount", "impulse", "need-based", "wandering", "unassigned"]
Label = Literal["low", "medium", "high", "top"]
RiskLabel = Literal["low", "medium", "high"]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class Audience(Section):
    """For whom an action is: one of the words of every key that is named; a key left out says nothing."""

    lifecycle_type: tuple[LifecycleType, ...] | None = None
    buying_style: tuple[BuyingStyle, ...] | None = None
    risk_label: tuple[RiskLabel, ...] | None = None
    value_label: tuple[Label, ...] | None = None
    top_of_year: Literal[True] | None = None

    @model_validator(mode="after")
    def _words(self) -> Audience:
        if () in (self.lifecycle_type, self.buying_style, self.risk_label, self.value_label):
            raise ValueError("an empty list is for nobody: name words, or leave the key out")
        return self


class Contact(Section):
    """What one contact costs, is assumed to do, says, and for whom it is."""

    model_config = ConfigDict(populate_by_name=True)

    channel: str = Field(min_length=1)
    contact_cost: float = Field(ge=0)
    incentive_cost: float = Field(ge=0)
    save_rate: Fraction
    source: str = ""
    purpose: Literal["sales", "service"] = "sales"
    audience: Audience = Field(default=Audience(), alias="for")
    offer: Literal["none", "perk", "discount"] = "none"
    discount_share: float | None = Field(default=None, gt=0, lt=1)
    template: str | None = Field(default=None, pattern=r"^[a-z][a-z0-9_]*$")
    control_share: float | None = Field(default=None, ge=0, lt=1)

    @model_validator(mode="after")
    def _offer(self) -> Contact:
        if (self.offer == "discount") != (self.discount_share is not None):
            raise ValueError("name discount_share, a share of an order, with offer: discount and only there")
        if self.purpose == "sales" and "dissatisfied" in (self.audience.lifecycle_type or ()):
            raise ValueError(
                "for: dissatisfied customers are never sent sales messages: set purpose: service"
            )
        return self


class Playbook(Section):
    """A file of actions."""

    actions: dict[str, Contact] = Field(min_length=1)


class ContactRules(Section):
    """What keeps contacts rare, wanted and at the right time."""

    max_contacts: int = Field(default=2, ge=1)
    window_days: int = Field(default=30, ge=1, le=3650)
    rest_days: int = Field(default=14, ge=0, le=3650)
    require_consent: bool | Literal["known"] = "known"
    quiet_dates: tuple[tuple[date, date], ...] = ()
    quiet_weekdays: tuple[Weekday, ...] = ()

    @model_validator(mode="after")
    def _periods(self) -> ContactRules:
        for first, last in self.quiet_dates:
            if first > last:
                raise ValueError(
                    f"quiet_dates: {first} comes after {last}: name the first day, then the last"
                )
        return self


class DiscountPolicy(Section):
    """Who may be given a discount, how often, and how much."""

    min_orders: int = Field(default=3, ge=0)
    min_tenure_days: int = Field(default=180, ge=0, le=3650)
    largest_late_share: float | None = Field(default=None, ge=0, le=1)
    min_referrals: int | None = Field(default=None, ge=0)
    rest_days: int = Field(default=365, ge=0, le=3650)
    largest_share: Annotated[float, Field(gt=0, lt=1)] = 0.05
    top_customers: int = Field(default=100, ge=0)
