"""Fields that reject values that a database, a log or a browser cannot handle."""

import re
from typing import Any

from marshmallow import ValidationError, fields, validate

INTEGER = re.compile(r"-?[0-9]{1,19}")


class StrictInteger(fields.Integer):
    """A JSON number without a fraction; rejects strings and booleans, which int() accepts."""

    def _validated(self, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int | float) or value % 1 != 0:  # infinity % 1 is NaN
            raise self.make_error("invalid", input=value)
        return int(value)


class QueryInteger(fields.Integer):
    """ASCII digits in a query string; rejects spaces, underscores and other scripts' digits, which int() accepts."""

    def _validated(self, value: Any) -> int:
        if not INTEGER.fullmatch(str(value)):
            raise self.make_error("invalid", input=value)
        return int(value)


class Pattern(validate.Regexp):
    """A regular expression for the whole text; `$` alone would accept a trailing newline."""

    def __call__(self, value: Any) -> Any:
        """Return the value, or raise ValidationError."""
        if not self.regex.fullmatch(value):
            raise ValidationError(self._format_error(value))
        return value


class Encodable(validate.Validator):
    """Rejects lone surrogates, which JSON can escape and UTF-8 cannot encode."""

    def __call__(self, value: str) -> str:
        """Return the value, or raise ValidationError."""
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValidationError("Must not contain half of a surrogate pair.") from None
        return value


# A line contains no control characters; a text may contain tabs and newlines. Postgres cannot store NUL in either.
LINE = Pattern(r"^[^\u0000-\u001f\u007f]*$", error="Must not contain control characters.")
TEXT = Pattern(r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]*$", error="Must not contain control characters.")


def line(least: int, most: int, **options: Any) -> fields.String:
    """Return a field for one line of LEAST to MOST characters."""
    return fields.String(validate=[validate.Length(least, most), LINE, Encodable()], **options)


def text(most: int, **options: Any) -> fields.String:
    """Return a field for text of up to MOST characters."""
    return fields.String(validate=[validate.Length(0, most), TEXT, Encodable()], **options)


def matching(pattern: str, error: str, **options: Any) -> fields.String:
    """Return a field for a text that matches the whole pattern."""
    return fields.String(validate=[Pattern(pattern, error=error)], **options)
