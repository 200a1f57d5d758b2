"""What methods need of vectors many times in a step, for any array library and without delay for NumPy's short ones."""

from typing import Any

import numpy as np
from array_api_compat import array_namespace

from deltarule.special import Array

ONE_THREAD = 8192
"""NumPy's BLAS shares a product of vectors among threads from 10,000 numbers on, which takes as long, keeps a second
processor busy for a while, and gives other last digits for each number of threads."""


def dot(a: Array, b: Array) -> float:
    """Return a · b of two vectors of any array library; of NumPy's short ones it takes half the time of ``@``."""
    n = a.shape[0]
    if n <= ONE_THREAD or type(a) is not np.ndarray:
        return float(a.dot(b))
    return sum(float(a[i : i + ONE_THREAD].dot(b[i : i + ONE_THREAD])) for i in range(0, n, ONE_THREAD))


def namespace(a: Array) -> Any:
    """Return the functions of an array's library: NumPy's own, which a layer in between would make slow."""
    return np if type(a) is np.ndarray else array_namespace(a)
