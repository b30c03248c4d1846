"""Brings values of any library down to plain Python. Imports no library itself: a value's type names its home."""

import base64
import collections.abc
import dataclasses
import datetime
import decimal
import enum


def simplify(value):
    """One step towards dicts, lists and scalars; NotImplemented for what is none of them."""
    kind = type(value)
    home = kind.__module__.partition(".")[0]
    if home == "numpy":
        return _numpy(value)
    if home == "pandas":
        if kind.__name__ in ("NAType", "NaTType"):
            return None
        if hasattr(kind, "to_dict") and hasattr(kind, "columns"):
            return value.to_dict(orient="records")
        if hasattr(kind, "tolist"):
            return value.tolist()
    for method in ("to_dicts", "to_pylist", "as_py"):
        if home in ("polars", "pyarrow") and hasattr(kind, method):
            return getattr(value, method)()
    if home == "polars" and hasattr(kind, "to_list"):
        return value.to_list()
    if isinstance(value, enum.Enum):
        return value.value
    if callable(getattr(kind, "model_dump", None)):
        return value.model_dump(mode="json")
    if dataclasses.is_dataclass(kind) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, (set, frozenset)):
        return _ordered(value)
    if isinstance(value, memoryview):
        return bytes(value)
    if isinstance(value, collections.abc.Mapping):
        return dict(value)
    if isinstance(value, (collections.abc.Iterator, collections.abc.Sequence, collections.abc.MappingView)):
        return list(value)
    return NotImplemented


def plain(value):
    """What JSON should show for a value it does not know."""
    if isinstance(value, datetime.datetime):
        # pandas' NaT is a datetime that equals nothing.
        return value.isoformat() if value == value else None
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return _duration(value)
    if isinstance(value, decimal.Decimal):
        return _number(value)
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode("ascii")
    simpler = simplify(value)
    return str(value) if simpler is NotImplemented else simpler


def _numpy(value):
    dtype = getattr(value, "dtype", None)
    if dtype is None or not hasattr(value, "tolist"):
        return NotImplemented
    if dtype.kind in "mM":
        # Nanoseconds would come out as bare integers.
        value = value.astype(f"{dtype.kind}8[us]")
    simpler = value.tolist()
    if type(simpler) is type(value):
        return float(value) if dtype.kind == "f" else str(value)
    return simpler


def _ordered(items):
    try:
        return sorted(items)
    except TypeError:
        return sorted(items, key=repr)


def _number(value):
    """A number where a float shows the same digits, else the digits."""
    if not value.is_finite():
        return None
    if abs(value.adjusted()) > 30:
        return str(value)
    if value.as_tuple().exponent >= 0:
        return int(value)
    number = float(value)
    return number if decimal.Decimal(repr(number)) == value else str(value)


def _duration(value):
    """ISO 8601, e.g. `P1DT2H3M4.5S`."""
    if value < datetime.timedelta(0):
        return "-" + _duration(-value)
    minutes, seconds = divmod(value.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    date = f"{value.days}D" if value.days else ""
    time = (f"{hours}H" if hours else "") + (f"{minutes}M" if minutes else "")
    if value.microseconds:
        time += f"{seconds}.{value.microseconds:06d}".rstrip("0") + "S"
    elif seconds or not (date or time):
        time += f"{seconds}S"
    return "P" + date + ("T" + time if time else "")
