"""Values for others: rows as a pandas DataFrame, nested values as JSON has them."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

from deltarule.errors import SettingError


def frame(rows: Sequence[Any]) -> Any:
    """Return a pandas DataFrame of dicts or named tuples, one a row.

    Raises
    ------
    SettingError
        If pandas is not installed.
    """
    try:
        import pandas as pd  # type: ignore[import-untyped]
    except ImportError:
        raise SettingError(
            "A frame needs pandas, which is not installed: pip install pandas; or use to_dict()."
        ) from None
    return pd.DataFrame(list(rows))


def plain(value: Any) -> Any:
    """Return nested values with None in the place of numbers that are not finite, which JSON does not have."""
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return None if isinstance(value, float) and not isfinite(value) else value
