"""Everything churnlab raises on purpose.

ChurnlabError            a user can mend it: one line, exit code 2
├── ConfigError          params.yaml: an unknown, missing or out-of-range key
├── DataError            a source cannot be read, or breaks the contract as a whole
├── ModelError           a model cannot be fitted, loaded or applied
└── TrackingError        MLflow cannot be reached or refuses
"""


class ChurnlabError(Exception):
    """A mistake the user can mend. The message is one line: what, where, how to mend it."""


class ConfigError(ChurnlabError):
    """A key of params.yaml is unknown, missing or out of range."""


class DataError(ChurnlabError):
    """A source cannot be read, or what it holds cannot be used at all."""


class ModelError(ChurnlabError):
    """A model cannot be fitted, loaded or applied to these features."""


class TrackingError(ChurnlabError):
    """The MLflow server or store cannot be reached, or refuses what is asked."""
