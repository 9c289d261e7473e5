"""Starts Spark, or joins the Spark that runs already, with settings that make answers equal to DuckDB's."""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import socket
import sys
import tempfile
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from churnlab.config import Engine
from churnlab.errors import ConfigError, TryLaterError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

EXTRA = 'pip install "churnlab[spark]"'
CONNECT = "sc"
REACHED_WITHIN_SECONDS = 10.0
PORTS = {CONNECT: 15002, "spark": 7077}
TEMPORARY = Path(tempfile.gettempdir())  # Spark outlives the folder of one run

SAME_ANSWERS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.timestampType": "TIMESTAMP_NTZ",  # moments are the clock's reading at the place of business
    "spark.sql.caseSensitive": "true",  # columns T and t are two
    "spark.sql.ansi.enabled": "true",  # a sum that overflows stops the run, as it does in DuckDB
    "spark.sql.decimalOperations.allowPrecisionLoss": "false",  # products keep their 12 decimals
    "spark.sql.parquet.binaryAsString": "true",
}
QUIET_LOG = """rootLogger.level = error
rootLogger.appenderRef.stderr.ref = stderr
logger.gateway.name = org.apache.spark.api.python.PythonGatewayServer
logger.gateway.level = error
logger.executor.name = org.apache.spark.executor.Executor
logger.executor.level = off
logger.tasks.name = org.apache.spark.scheduler.TaskSetManager
logger.tasks.level = off
appender.stderr.type = Console
appender.stderr.name = stderr
appender.stderr.target = SYSTEM_ERR
appender.stderr.layout.type = PatternLayout
appender.stderr.layout.pattern = %d{HH:mm:ss} %p %c{1}: %m%n
"""


def session(settings: Engine) -> SparkSession:
    """A session with its own settings and temporary views.

    A Spark that runs in this process already lends its context, and is not stopped: no other session of it
    sees a changed setting.

    Raises
    ------
    ConfigError
        PySpark or Java is not installed, Spark does not start, or a key of engine.spark_conf cannot be set.
    TryLaterError
        Nobody answers at engine.spark_master.
    """
    _require_pyspark()
    from py4j.protocol import Py4JError  # noqa: PLC0415 - an extra
    from pyspark.errors import PySparkException  # noqa: PLC0415

    from churnlab.spark.faults import first_line  # noqa: PLC0415 - there only if PySpark is

    # shown by PySpark at every conversion; churnlab's tests hold those conversions it uses
    warnings.filterwarnings("ignore", message="PySpark does not yet fully support pandas")
    logging.getLogger("SQLQueryContextLogger").setLevel(logging.CRITICAL)  # what it tells is raised as well
    _require_answer(settings.spark_master)
    try:
        own = _connected(settings) if settings.spark_master.startswith(f"{CONNECT}:") else _local(settings)
        _set(own, settings.spark_conf | SAME_ANSWERS)
    except (PySparkException, Py4JError, RuntimeError, ImportError) as error:
        raise ConfigError(
            f"engine.spark_master: Spark at {settings.spark_master} does not start ({first_line(error)}): "
            "check the master and engine.spark_conf"
        ) from error
    return own


def _require_pyspark() -> None:
    if find_spec("pyspark") is None:
        raise ConfigError(f"engine.backend: spark needs PySpark, which is not installed: {EXTRA}")


def _require_answer(master: str) -> None:
    """Asks the port before Spark does, which would try for minutes."""
    parts = urlsplit(master)
    if parts.scheme not in PORTS:
        return
    place = (parts.hostname or "", parts.port or PORTS[parts.scheme])
    try:
        socket.create_connection(place, timeout=REACHED_WITHIN_SECONDS).close()
    except OSError as error:
        raise TryLaterError(
            f"engine.spark_master: nobody answers at {place[0]}:{place[1]} ({error.strerror or error}): "
            "start Spark there, or correct the URL"
        ) from error


def _connected(settings: Engine) -> SparkSession:
    if any(find_spec(name) is None for name in ("grpc", "grpc_status", "zstandard")):
        raise ConfigError(f"engine.spark_master: Spark Connect needs gRPC, which is not installed: {EXTRA}")
    from pyspark.sql import SparkSession  # noqa: PLC0415

    return SparkSession.builder.remote(settings.spark_master).create()


def _local(settings: Engine) -> SparkSession:
    """A new session of the Spark in this process, which is started unless it runs."""
    from pyspark import SparkContext  # noqa: PLC0415
    from pyspark.sql import SparkSession  # noqa: PLC0415

    if SparkContext._active_spark_context is None:
        _start(settings)
    return SparkSession.builder.getOrCreate().newSession()


def _start(settings: Engine) -> None:
    from pyspark.sql import SparkSession  # noqa: PLC0415

    _require_java()
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    folder = Path(tempfile.mkdtemp(prefix="churnlab-spark-", dir=TEMPORARY))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    builder = SparkSession.builder.master(settings.spark_master).appName("churnlab")
    for key, value in (_defaults(settings.spark_master, folder) | settings.spark_conf).items():
        builder = builder.config(key, value)
    atexit.register(builder.getOrCreate().stop)


def _defaults(master: str, folder: Path) -> dict[str, str]:
    """What Spark is started with unless engine.spark_conf says otherwise."""
    log = folder / "log4j2.properties"
    log.write_text(QUIET_LOG, encoding="utf-8")
    defaults = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.defaultJavaOptions": f"-Dlog4j2.configurationFile={log} -Duser.timezone=UTC",
        "spark.executor.defaultJavaOptions": "-Duser.timezone=UTC",
        "spark.executorEnv.PYTHONWARNINGS": "ignore:PySpark does not yet",
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
    }
    if not master.startswith("local"):
        return defaults
    return defaults | {
        "spark.local.dir": str(folder),
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.memory": "2g",
        "spark.driver.maxResultSize": "0",
        "spark.sql.shuffle.partitions": str(2 * _cores(master)),
    }


def _cores(master: str) -> int:
    """N of local[N] or local[N, failures]; local[*] has all."""
    told = master.partition("[")[2].partition("]")[0].partition(",")[0].strip()
    if told == "*":
        return os.cpu_count() or 1
    return int(told) if told.isdigit() else 1


def _require_java() -> None:
    if not (os.environ.get("JAVA_HOME") or shutil.which("java")):
        raise ConfigError(
            "engine.backend: spark needs a JDK of Java 17 or later, and none is on the PATH or in JAVA_HOME: "
            "install one"
        )


def _set(own: SparkSession, settings: dict[str, str]) -> None:
    """Sets what differs.

    Raises
    ------
    ConfigError
        A setting cannot be changed once Spark runs.
    """
    conf: Any = own.conf
    for key, value in settings.items():
        if conf.get(key, None) == value:
            continue
        if not conf.isModifiable(key):
            raise ConfigError(
                f"engine.spark_conf: {key} cannot be changed where Spark runs already: set it where Spark is "
                "started"
            )
        conf.set(key, value)
