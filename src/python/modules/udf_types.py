"""SQL types of annotated plugin methods."""

import datetime
import decimal
import inspect
import types
import typing

# Python's int has no bound, so it gets the widest type that clients still read as a number.
_SCALARS = {
    str: "VARCHAR",
    int: "BIGINT",
    float: "DOUBLE",
    bool: "BOOLEAN",
    bytes: "BLOB",
    decimal.Decimal: "DECIMAL(18,3)",
    datetime.date: "DATE",
    datetime.time: "TIME",
    datetime.datetime: "TIMESTAMP",
    datetime.timedelta: "INTERVAL",
}


def sql_type(annotation):
    """The SQL type of an annotation; a TypeError says that it has none."""
    if annotation in _SCALARS:
        return _SCALARS[annotation]
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return sql_type(arguments[0])
    if origin in (typing.Union, types.UnionType):
        members = [member for member in arguments if member is not type(None)]
        if len(members) == 1:
            return sql_type(members[0])
    if origin is list and len(arguments) == 1:
        return f"{sql_type(arguments[0])}[]"
    if origin is dict and len(arguments) == 2:
        return f"MAP({sql_type(arguments[0])}, {sql_type(arguments[1])})"
    fields = struct_fields(annotation)
    if fields:
        inner = ", ".join(f'"{name.replace(chr(34), chr(34) * 2)}" {sql_type(ty)}' for name, ty in fields.items())
        return f"STRUCT({inner})"
    raise TypeError(f"`{getattr(annotation, '__name__', annotation)}` has no SQL type")


def struct_fields(annotation):
    """The annotated fields of a class of the user's."""
    if not isinstance(annotation, type) or annotation.__module__ in ("builtins", "typing"):
        return {}
    return typing.get_type_hints(annotation)


def signature(method):
    """Parameter types and return type of a bound method; None without a return annotation."""
    hints = typing.get_type_hints(method)
    if "return" not in hints:
        return None
    parameters = []
    for name in inspect.signature(method).parameters:
        if name not in hints:
            raise TypeError(f"parameter `{name}` has no type annotation")
        parameters.append(sql_type(hints[name]))
    return parameters, sql_type(hints["return"])
