"""What `db.execute` raises: DuckDB's own exceptions where the code has imported its package.

Every one is a `RuntimeError` too, so that code without the package can catch it by that name.
"""

import sys

# How DuckDB's messages begin, and the class its Python package raises for them.
_CLASSES = {
    "Binder Error": "BinderException",
    "Catalog Error": "CatalogException",
    "Connection Error": "ConnectionException",
    "Constraint Error": "ConstraintException",
    "Conversion Error": "ConversionException",
    "Dependency Error": "DependencyException",
    "FATAL Error": "FatalException",
    "HTTP Error": "HTTPException",
    "INTERNAL Error": "InternalException",
    "INTERRUPT Error": "InterruptException",
    "IO Error": "IOException",
    "Invalid Input Error": "InvalidInputException",
    "Invalid type Error": "InvalidTypeException",
    "Mismatch Type Error": "TypeMismatchException",
    "Not implemented Error": "NotImplementedException",
    "Out of Memory Error": "OutOfMemoryException",
    "Out of Range Error": "OutOfRangeException",
    "Parser Error": "ParserException",
    "Permission Error": "PermissionException",
    "Sequence Error": "SequenceException",
    "Serialization Error": "SerializationException",
    "Syntax Error": "SyntaxException",
    "TransactionContext Error": "TransactionException",
}

_made = {}


def database_error(message):
    """The exception for a message of the database."""
    name = _CLASSES.get(message.partition(":")[0], "DatabaseError")
    return _class(name)(message)


def _class(name):
    package = sys.modules.get("duckdb")
    foreign = getattr(package, name, None) or getattr(package, "Error", None)
    if not (isinstance(foreign, type) and issubclass(foreign, Exception)):
        foreign = None
    key = (name, foreign)
    found = _made.get(key)
    if found is None:
        bases = (RuntimeError,) if foreign is None else (foreign, RuntimeError)
        found = _made[key] = type(name, bases, {"__module__": "duckdb"})
    return found
