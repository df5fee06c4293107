"""Fields that refuse what a database, a log or a browser would choke on."""

import re
from typing import Any

from marshmallow import ValidationError, fields, validate

INTEGER = re.compile(r"-?[0-9]{1,19}")


class Whole(fields.Integer):
    """A JSON number without a fraction. A string or a boolean is not one, whatever Python thinks."""

    def _validated(self, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int | float) or value % 1 != 0:  # NaN for infinity
            raise self.make_error("invalid", input=value)
        return int(value)


class QueryWhole(fields.Integer):
    """Decimal digits in a query string: no blanks, underscores or other scripts' digits, which int() would take."""

    def _validated(self, value: Any) -> int:
        if not INTEGER.fullmatch(str(value)):
            raise self.make_error("invalid", input=value)
        return int(value)


class Pattern(validate.Regexp):
    """A pattern for the whole text; `$` alone would let a last line break pass."""

    def __call__(self, value: Any) -> Any:
        """Return the value, or raise ValidationError."""
        if not self.regex.fullmatch(value):
            raise ValidationError(self._format_error(value))
        return value


class Encodable(validate.Validator):
    """Refuses a lone surrogate: JSON can escape one, UTF-8 cannot hold it."""

    def __call__(self, value: str) -> str:
        """Return the value, or raise ValidationError."""
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValidationError("Must not hold half of a surrogate pair.") from None
        return value


# A line has no control characters; a text may have tabs and line breaks. None has NUL, which Postgres cannot store.
LINE = Pattern(r"^[^\u0000-\u001f\u007f]*$", error="Must not hold control characters.")
TEXT = Pattern(r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]*$", error="Must not hold control characters.")


def line(least: int, most: int, **options: Any) -> fields.String:
    """Return a field for one line of LEAST to MOST characters."""
    return fields.String(validate=[validate.Length(least, most), LINE, Encodable()], **options)


def text(most: int, **options: Any) -> fields.String:
    """Return a field for lines of text, MOST characters in all."""
    return fields.String(validate=[validate.Length(0, most), TEXT, Encodable()], **options)


def word(pattern: str, error: str, **options: Any) -> fields.String:
    """Return a field for a text that matches a pattern as a whole."""
    return fields.String(validate=[Pattern(pattern, error=error)], **options)
