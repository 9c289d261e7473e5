"""Why an action is closed to a customer: the rules of contact, as codes and sentences."""

from __future__ import annotations

from enum import IntEnum


class Bar(IntEnum):
    """The first rule that closes an action to a customer, in the order that rules are asked in."""

    OPEN = 0
    OPTED_OUT = 1
    NO_CONSENT = 2
    OPEN_COMPLAINT = 3
    QUIET_TIME = 4
    RESTING = 5
    FREQUENCY_CAP = 6
    NOT_FOR_THEM = 7
    NOT_SELECTED = 8
    DISCOUNT_LATELY = 9
    BELOW_MARGIN = 10


SENTENCES = {
    Bar.OPEN: "Open",
    Bar.OPTED_OUT: "The customer asked not to be contacted",
    Bar.NO_CONSENT: "There is no consent for the channel",
    Bar.OPEN_COMPLAINT: "A complaint is in progress, which suspends sales contacts",
    Bar.QUIET_TIME: "The day is a quiet one",
    Bar.RESTING: "The customer was contacted a short while ago",
    Bar.FREQUENCY_CAP: "The customer has had as many contacts as are allowed",
    Bar.NOT_FOR_THEM: "The playbook has the action for other customers",
    Bar.NOT_SELECTED: "Discounts are for selected customers",
    Bar.DISCOUNT_LATELY: "The customer has had a discount lately",
    Bar.BELOW_MARGIN: "The offer would take more than the margin",
}
