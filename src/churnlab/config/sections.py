"""What all sections of params.yaml have in common."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(ge=0, le=1)]
Days = Annotated[int, Field(ge=1, le=3650)]
PASSWORD = re.compile(r"://[^/@]*:[^/@]+@|[?&](password|passwd|pwd|secret|token)=", re.IGNORECASE)


class Section(BaseModel):
    """A part of params.yaml: unknown keys are refused, values cannot be changed after reading."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)
