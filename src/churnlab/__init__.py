"""Which customers are about to leave, what each is worth, and whom to contact first."""

import os
from pathlib import Path

__version__ = "0.1.0"


def _round_alike_on_every_processor() -> None:
    """Keep NumPy and OpenBLAS to AVX2, before they are loaded: fits end in the same digits on all processors.

    With AVX-512 their exp, log and products differ in the last bit (NumPy's issue 23523). What the
    environment says already stays; processors without AVX2 or of another kind are left as they are.
    """
    processor = Path("/proc/cpuinfo")
    if processor.exists() and " avx2 " in processor.read_text(encoding="utf-8", errors="replace"):
        os.environ.setdefault("NPY_DISABLE_CPU_FEATURES", "X86_V4 AVX512_ICL AVX512_SPR")
        os.environ.setdefault("OPENBLAS_CORETYPE", "Haswell")


_round_alike_on_every_processor()
