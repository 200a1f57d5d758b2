"""The product of two vectors, which methods take many times in a step."""

from deltarule.special import Array


def dot(a: Array, b: Array) -> float:
    """Return a · b of two vectors of any array library; of NumPy's short ones it takes half the time of ``@``."""
    return float(a.dot(b))
