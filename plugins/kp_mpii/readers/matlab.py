"""Matlab structs as scipy reads them: arrays of records whose fields hold arrays, any of which may be empty."""

from __future__ import annotations

from typing import Any

import numpy as np

from kpcore.tensors import AnyArray, Float64Array

NO_RECORDS: AnyArray = np.empty(0, np.dtype([("none", object)]))


def children(record: Any, field: str) -> AnyArray:
    """Return the records (n,) in a struct's field; none where the field is absent, empty, or holds no struct."""
    value = _value(record, field)
    return value.ravel() if isinstance(value, np.ndarray) and value.dtype.names else NO_RECORDS


def column(records: AnyArray, field: str) -> Float64Array:
    """Return one number of each record, (n,); NaN where the field is absent, empty, or holds no number."""
    if field not in (records.dtype.names or ()):
        return np.full(len(records), np.nan)
    return np.array([number(value) for value in records[field]], np.float64)


def first(record: Any, *fields: str) -> Float64Array:
    """Return the numbers in these fields of one record; NaN as in :func:`column`."""
    return np.array([number(_value(record, field)) for field in fields])


def text(record: Any, field: str) -> str:
    """Return the text in a field; "" where there is none."""
    value = np.asarray(_value(record, field))
    return str(value.flat[0]) if value.size == 1 and value.dtype.kind == "U" else ""


def number(value: Any) -> float:
    """Return the first number of an array, also where Matlab stored it as a character ('0', '1'); else NaN."""
    array = np.asarray(value)
    if array.size == 0 or array.dtype.kind not in "biufU":
        return np.nan
    entry = array.flat[0].item()
    return float(entry) if not isinstance(entry, str) or entry.isdecimal() else np.nan


def _value(record: Any, field: str) -> Any:
    return record[field] if field in (record.dtype.names or ()) else None
