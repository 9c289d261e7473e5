"""Which instructions NumPy and OpenBLAS use, asked of a process that loads them after churnlab."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ASKED = """
import churnlab, json, numpy.linalg, threadpoolctl
from numpy._core._multiarray_umath import __cpu_features__ as found
newer = [name for name in ("X86_V4", "AVX512_ICL", "AVX512_SPR", "AVX512F", "AVX512_SKX") if found.get(name)]
pools = threadpoolctl.threadpool_info()
blas = sorted({pool["architecture"] for pool in pools if "architecture" in pool})
print(json.dumps({"newer": newer, "blas": blas}))
"""


@pytest.mark.parametrize("said", [{}, {"OPENBLAS_CORETYPE": "Sandybridge"}])
def test_avx2_is_the_newest_unless_the_environment_says_otherwise(said):
    others = {
        k: v for k, v in os.environ.items() if k not in ("NPY_DISABLE_CPU_FEATURES", "OPENBLAS_CORETYPE")
    }
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", ASKED],
        env=others | said,
        capture_output=True,
        check=True,
        text=True,
    )
    found = json.loads(done.stdout)
    assert not found["newer"]
    if " avx2 " in Path("/proc/cpuinfo").read_text():
        assert found["blas"] == [said.get("OPENBLAS_CORETYPE", "Haswell")]
