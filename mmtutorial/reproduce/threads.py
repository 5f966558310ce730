"""One thread a process: the order of sums, and so the last digit, depends on their number.

Beside other processes, threads that wait for each other cost more than they give.
"""

from __future__ import annotations

import contextlib
import os
import sys

from threadpoolctl import threadpool_limits

ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"),
    "1",
)


def use_one_thread() -> None:
    """Let this process compute alone, with what is loaded already and with what will be."""
    threadpool_limits(1)
    os.environ |= ONE_THREAD
    if "tensorflow" in sys.modules:
        import tensorflow as tf

        with contextlib.suppress(RuntimeError):  # too late: it has been used in this process
            tf.config.threading.set_intra_op_parallelism_threads(1)
            tf.config.threading.set_inter_op_parallelism_threads(1)
