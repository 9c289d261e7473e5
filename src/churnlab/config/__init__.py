"""params.yaml as typed, frozen sections: the only reader of YAML."""

from churnlab.config.contacting import Audience, Contact, ContactRules, DiscountPolicy
from churnlab.config.data import (
    Columns,
    Contacts,
    CsvFormat,
    Customers,
    Data,
    Database,
    Interactions,
    Privacy,
    Source,
)
from churnlab.config.decisions import CustomerTypes, Decisions, Labels, Quota
from churnlab.config.loyalty import Loyalty
from churnlab.config.modelling import Churn, Clv, Engine, Evaluation, Features, Gates
from churnlab.config.reading import Params, read_params

__all__ = [
    "Audience",
    "Churn",
    "Clv",
    "Columns",
    "Contact",
    "ContactRules",
    "Contacts",
    "CsvFormat",
    "CustomerTypes",
    "Customers",
    "Data",
    "Database",
    "Decisions",
    "DiscountPolicy",
    "Engine",
    "Evaluation",
    "Features",
    "Gates",
    "Interactions",
    "Labels",
    "Loyalty",
    "Params",
    "Privacy",
    "Quota",
    "Source",
    "read_params",
]
