"""The file of learned save rates: written by `churnlab measure`, read wherever contacts are weighed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from churnlab.config import Params
from churnlab.decisions.save_rates import SaveRate, with_save_rates
from churnlab.engine import write_text
from churnlab.errors import ConfigError

DEFAULT = Path("params/effects.json")


def in_force(params: Params) -> Params:
    """The parameters with the save rates of `decisions.learned_effects`; as they are where it is null.

    Raises
    ------
    ConfigError
        The file is missing or damaged.
    """
    named = params.decisions.learned_effects
    if named is None:
        return params
    learned = read_save_rates(Path(named).expanduser())
    return params.model_copy(update={"decisions": with_save_rates(params.decisions, learned)})


def read_save_rates(path: Path) -> dict[str, float]:
    """Save rates by action.

    Raises
    ------
    ConfigError
        The file is missing, or a rate in it is not a number from 0 to 1.
    """
    try:
        told = json.loads(path.read_text(encoding="utf-8"))["actions"]
        rates = {str(name): float(one["save_rate"]) for name, one in told.items()}
    except OSError as error:
        raise ConfigError(
            f"decisions.learned_effects: {path} cannot be read ({error.strerror}): write it with "
            "churnlab measure --write-effects, or set the key to null"
        ) from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"decisions.learned_effects: {path} is damaged: write it again with churnlab measure "
            "--write-effects, or set the key to null"
        ) from error
    for name, rate in rates.items():
        if not 0 <= rate <= 1:
            raise ConfigError(
                f"decisions.learned_effects: {path} has a save_rate of {rate:g} for {name}, which is not "
                "between 0 and 1: write it again with churnlab measure --write-effects"
            )
    return rates


def write_save_rates(rates: Mapping[str, SaveRate], plans: list[dict[str, Any]], path: Path) -> None:
    """Write what was learned, and from which plans: equal content gives equal bytes.

    Parameters
    ----------
    plans
        What each plan was, for those who read the file.
    """
    content = {"actions": {name: asdict(rate) for name, rate in rates.items()}, "plans": plans}
    write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", path)
