"""The command line: one thin command per stage, for models and for the search.

OpenBLAS' threads, which NumPy starts when it is imported, wait for work by spinning for 2**26 cycles: an eighth of a
second of CPU time on two cores, in commands that have no work for them. Here they sleep after 2**20 (OpenBLAS 0.3,
driver/others/blas_server.c); nothing imports NumPy before.
"""

import os

os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "20")
