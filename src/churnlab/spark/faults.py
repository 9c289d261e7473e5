"""What of Spark's failures the user can mend, in one line each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException

from churnlab.errors import ChurnlabError, ConfigError, DataError, TryLaterError

FILE = re.compile(r"\[FAILED_READ_FILE\.\w+\][^:]*?file (\S+?)\.?\s")
DETAILS = re.compile(r'details = "(.*)"')
MENDED: dict[str, tuple[type[ChurnlabError], str]] = {
    "java.lang.OutOfMemoryError": (
        ConfigError,
        "engine.spark_conf: too little memory for this source: raise spark.driver.memory or "
        "spark.executor.memory",
    ),
    "No module named 'churnlab": (
        ConfigError,
        "engine.spark_master: Spark's workers have no churnlab: install the driver's version where they run",
    ),
    "PYTHON_VERSION_MISMATCH": (
        ConfigError,
        "engine.spark_master: Spark's workers run another Python than the driver: name one that fits in "
        "the environment variable PYSPARK_PYTHON",
    ),
    "StatusCode.UNAVAILABLE": (
        TryLaterError,
        "engine.spark_master: the Spark Connect server is gone: start it again, then run the same command",
    ),
}
"""What stands in the failure → what to tell."""


@contextmanager
def told() -> Iterator[None]:
    """A failure of Spark that the user can mend becomes one line; any other passes through.

    Raises
    ------
    DataError
        A file cannot be read to its end.
    ConfigError
        Spark's settings, or what is installed on its workers, do not do.
    TryLaterError
        The server has gone.
    """
    try:
        yield
    except (PySparkException, Py4JError) as error:
        said = str(error)
        file = FILE.search(said)
        if file is not None:
            name = PurePosixPath(unquote(urlsplit(file[1]).path)).name
            raise DataError(f"{name}: is damaged or changed while it was read: export it again") from error
        for sign, (kind, line) in MENDED.items():
            if sign in said:
                raise kind(line) from error
        raise


def first_line(error: Exception) -> str:
    """What a failure says, without its stack; of gRPC's the details."""
    details = DETAILS.search(str(error))
    return details[1] if details else next(iter(str(error).splitlines()), type(error).__name__)
