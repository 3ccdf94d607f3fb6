"""What callers give, as Arrow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from .errors import BadInput


def table(data: Any) -> Any:
    """Something with ``__arrow_c_stream__``; a dict of columns, numpy arrays among them, becomes a table."""
    if hasattr(data, "__arrow_c_stream__"):
        return data
    if hasattr(data, "__arrow_c_array__"):
        return pa.table(pa.record_batch(data))
    if isinstance(data, Mapping):
        try:
            return pa.table({name: array(column) for name, column in data.items()})
        except (pa.ArrowInvalid, TypeError) as error:
            raise BadInput(f"the columns make no table: {error}") from error
    raise BadInput(
        f"a {type(data).__name__} is no table",
        hint="give a pyarrow, pandas or polars table, or a dict of columns (lists and numpy arrays)",
    )


def array(data: Any) -> Any:
    """Something with ``__arrow_c_array__``. Numpy arrays are not copied; a second and third dimension become lists."""
    if isinstance(data, pa.ChunkedArray):
        return data.combine_chunks()
    if hasattr(data, "__arrow_c_array__"):
        return data
    shape = getattr(data, "shape", None)
    if shape is not None and hasattr(data, "__array__"):
        return _from_numpy(data)
    try:
        return pa.array(data)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, TypeError) as error:
        raise BadInput(f"a {type(data).__name__} is no array: {error}") from error


def _from_numpy(data: Any) -> pa.Array:
    import numpy as np

    data = np.asarray(data)
    if data.ndim == 0:
        raise BadInput("a single number is no array")
    if data.dtype == object:
        return pa.array(list(data))
    values = pa.array(np.ascontiguousarray(data).reshape(-1))
    for length in reversed(data.shape[1:]):
        if length == 0:
            raise BadInput(f"an array of shape {data.shape} holds vectors of no numbers")
        values = pa.FixedSizeListArray.from_arrays(values, length)
    return values


def matrix(vectors: Any) -> Any:
    """An array with one vector a row."""
    found = array(vectors)
    if pa.types.is_floating(getattr(found, "type", pa.null())) or pa.types.is_integer(
        getattr(found, "type", pa.null())
    ):
        raise BadInput("one list of numbers is one vector; a batch is a list of vectors")
    return found
