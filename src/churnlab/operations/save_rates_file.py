"""The file of learned effects: written by `churnlab measure`, read wherever contacts are weighed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from churnlab.config import Params
from churnlab.decisions.save_rates import SaveRate, with_save_rates
from churnlab.engine import write_text
from churnlab.errors import ConfigError
from churnlab.models.uplift import Response

DEFAULT = Path("params/effects.json")


def in_force(params: Params) -> Params:
    """The parameters with the save rates of `decisions.learned_effects`; as they are where it is null.

    The `source` of an action whose customers have save rates of their own names the model by its digest, so
    that the version of the parameters tells one model from another.

    Raises
    ------
    ConfigError
        The file is missing or damaged.
    """
    path = _named(params)
    if path is None:
        return params
    decisions = with_save_rates(params.decisions, read_save_rates(path))
    actions = dict(decisions.actions)
    for name, response in _used(params, path).items():
        source = f"each customer's own, by the model {_digest(response)[:12]}"
        actions[name] = actions[name].model_copy(update={"source": source})
    return params.model_copy(update={"decisions": decisions.model_copy(update={"actions": actions})})


def responses_in_force(params: Params) -> dict[str, Response]:
    """Who responds to which action, of the actions of `params`, as far as `decisions.learned_effects` tells.

    Raises
    ------
    ConfigError
        The file is missing or damaged.
    """
    path = _named(params)
    return {} if path is None else _used(params, path)


def read_save_rates(path: Path) -> dict[str, float]:
    """Save rates by action.

    Raises
    ------
    ConfigError
        The file is missing, or a rate in it is not a number from 0 to 1.
    """
    told = _read(path)
    try:
        rates = {name: float(one["save_rate"]) for name, one in told.items()}
    except (ValueError, LookupError, TypeError) as error:
        raise _damaged(path) from error
    for name, rate in rates.items():
        if not 0 <= rate <= 1:
            raise ConfigError(
                f"decisions.learned_effects: {path} has a save_rate of {rate:g} for {name}, which is not "
                "between 0 and 1: write it again with churnlab measure --write-effects"
            )
    return rates


def read_responses(path: Path) -> dict[str, Response]:
    """Who responds, by action; actions of which only the average is known are missing.

    Raises
    ------
    ConfigError
        The file is missing, or a model in it is not as it was written.
    """
    responses = {}
    try:
        for name, one in _read(path).items():
            if "response" in one:
                told = {**one["response"], "features": tuple(one["response"]["features"])}
                digest, response = told.pop("sha256"), Response(**told)
                if digest != _digest(response):  # LightGBM need not notice that a text was changed
                    raise _damaged(path)
                responses[name] = response
    except (LookupError, TypeError) as error:
        raise _damaged(path) from error
    return responses


def write_save_rates(
    rates: Mapping[str, SaveRate],
    plans: list[dict[str, Any]],
    path: Path,
    responses: Mapping[str, Response] | None = None,
) -> None:
    """Write what was learned, and from which plans: equal content gives equal bytes.

    Parameters
    ----------
    plans
        What each plan was, for those who read the file.
    responses
        Who responds, of those of the actions where it is known better than by the average.
    """
    actions = {name: asdict(rate) for name, rate in rates.items()}
    for name, response in (responses or {}).items():
        actions[name]["response"] = {**asdict(response), "sha256": _digest(response)}
    content = {"actions": actions, "plans": plans}
    write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", path)


def _named(params: Params) -> Path | None:
    named = params.decisions.learned_effects
    return None if named is None else Path(named).expanduser()


def _used(params: Params, path: Path) -> dict[str, Response]:
    return {name: one for name, one in read_responses(path).items() if name in params.decisions.actions}


def _read(path: Path) -> dict[str, dict[str, Any]]:
    """What the file tells of each action."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))["actions"]
        return {str(name): dict(one) for name, one in told.items()}
    except OSError as error:
        raise ConfigError(
            f"decisions.learned_effects: {path} cannot be read ({error.strerror}): write it with "
            "churnlab measure --write-effects, or set the key to null"
        ) from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise _damaged(path) from error


def _damaged(path: Path) -> ConfigError:
    return ConfigError(
        f"decisions.learned_effects: {path} is damaged: write it again with churnlab measure "
        "--write-effects, or set the key to null"
    )


def _digest(response: Response) -> str:
    return hashlib.sha256(json.dumps(asdict(response), sort_keys=True).encode()).hexdigest()
