"""The values of rows that the plain types of Python would serve less well.

Code that reads rows expects what a data frame gives: days and moments that can be compared, lists with
`tolist`. These are the plain types with that added; they travel to other processes as plain values.
"""

import datetime

_OF_TIMESTAMP = frozenset(
    "asm8 as_unit ceil day_name day_of_week day_of_year dayofweek dayofyear days_in_month daysinmonth floor "
    "is_leap_year is_month_end is_month_start is_quarter_end is_quarter_start is_year_end is_year_start "
    "month_name nanosecond normalize quarter round to_datetime64 to_julian_date to_numpy to_period tz "
    "tz_convert tz_localize unit value week weekofyear".split()
)
_OF_TIMEDELTA = frozenset(
    "asm8 as_unit ceil components floor isoformat nanoseconds round to_numpy to_timedelta64 unit value view".split()
)
_OF_ARRAY = frozenset(
    "T all any argmax argmin argsort astype cumsum dtype flatten item max mean min ndim nonzero prod ravel "
    "reshape shape size std sum tobytes transpose var".split()
)


def _lend(value, package, kind, names, name):
    """An attribute of the type that a data frame would hold, if its package is there."""
    if name in names:
        try:
            lender = getattr(__import__(package), kind)
        except ImportError:
            lender = None
        if lender is not None:
            return getattr(lender(value), name)
    raise AttributeError(f"'{type(value).__name__}' object has no attribute '{name}'")


class Timestamp(datetime.datetime):
    """A TIMESTAMP."""

    __slots__ = ()

    def to_pydatetime(self, warn=True):
        return _plain(self)

    def __getattr__(self, name):
        return _lend(self, "pandas", "Timestamp", _OF_TIMESTAMP, name)

    def __repr__(self):
        return repr(_plain(self))

    def __reduce_ex__(self, protocol):
        return _plain(self).__reduce_ex__(protocol)

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self


def _plain(moment):
    return datetime.datetime.combine(moment.date(), moment.timetz())


class Date(Timestamp):
    """A DATE: a day that also compares with moments, as its midnight."""

    __slots__ = ()

    def __new__(cls, *parts, **named):
        # Arithmetic makes new objects through the class.
        return _day(datetime.datetime(*parts, **named))

    def date(self):
        return datetime.date(self.year, self.month, self.day)

    def timetz(self):
        return datetime.time()

    def isoformat(self, *sep, **how):
        return self.date().isoformat()

    __str__ = isoformat

    def __format__(self, spec):
        return self.strftime(spec) if spec else self.isoformat()

    def __repr__(self):
        return repr(self.date())

    def __reduce_ex__(self, protocol):
        return self.date().__reduce_ex__(protocol)

    def replace(self, *parts, **named):
        return _day(_plain(self).replace(*parts, **named))

    def astimezone(self, tz=None):
        return _plain(self).astimezone(tz)

    def __add__(self, other):
        return _day(_plain(self) + other) if isinstance(other, datetime.timedelta) else NotImplemented

    __radd__ = __add__

    def __sub__(self, other):
        if isinstance(other, datetime.timedelta):
            return _day(_plain(self) - other)
        mine, other = _pair(self, other)
        return NotImplemented if mine is None else mine - other

    def __rsub__(self, other):
        mine, other = _pair(self, other)
        return NotImplemented if mine is None else other - mine

    def __eq__(self, other):
        mine, other = _pair(self, other)
        return NotImplemented if mine is None else mine == other

    def __lt__(self, other):
        mine, other = _pair(self, other)
        return NotImplemented if mine is None else mine < other

    def __le__(self, other):
        mine, other = _pair(self, other)
        return NotImplemented if mine is None else mine <= other

    def __gt__(self, other):
        mine, other = _pair(self, other)
        return NotImplemented if mine is None else mine > other

    def __ge__(self, other):
        mine, other = _pair(self, other)
        return NotImplemented if mine is None else mine >= other

    def __hash__(self):
        return hash(self.date())


def _pair(day, other):
    """Both as what they can be compared as; None where they cannot."""
    if isinstance(other, Date):
        return day.date(), other.date()
    if isinstance(other, datetime.datetime):
        return _plain(day), other
    if isinstance(other, datetime.date):
        return day.date(), other
    return None, None


def _day(moment):
    """A moment as a day, if it is a midnight."""
    if moment.tzinfo is not None or moment.time() != datetime.time():
        return moment
    return datetime.datetime.__new__(Date, moment.year, moment.month, moment.day)


class Interval(datetime.timedelta):
    """An INTERVAL."""

    __slots__ = ()

    def to_pytimedelta(self):
        return datetime.timedelta(self.days, self.seconds, self.microseconds)

    def __getattr__(self, name):
        return _lend(self, "pandas", "Timedelta", _OF_TIMEDELTA, name)

    def __repr__(self):
        return repr(self.to_pytimedelta())

    def __reduce__(self):
        return self.to_pytimedelta().__reduce__()

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self


class Array(list):
    """A LIST or an ARRAY."""

    __slots__ = ()

    def tolist(self):
        return [item.tolist() if isinstance(item, Array) else item for item in self]

    def __getattr__(self, name):
        return _lend(self, "numpy", "array", _OF_ARRAY, name)

    def __reduce_ex__(self, protocol):
        return list, (list(self),)
