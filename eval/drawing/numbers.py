"""Numbers as a reader wants them: three significant digits and a real minus sign."""

import math


def minus(text: str) -> str:
    """Replace the hyphen of a negative number by a minus sign, and drop the sign of zero."""
    if not any(digit in text for digit in "123456789∞"):
        return text.lstrip("+-")
    return text.replace("-", "−")


def significant(value: float, digits: int = 3) -> str:
    """``value`` with ``digits`` significant digits, never in exponent form (412, 38.1, 4.21)."""
    if math.isinf(value):
        return minus("∞" if value > 0 else "-∞")
    if value == 0:
        return "0"
    decimals = digits - 1 - math.floor(math.log10(abs(value)))
    return minus(f"{value:,.{max(0, decimals)}f}")


def trimmed(text: str) -> str:
    """``text`` without the trailing zeros of its number, as a tick wants it (``30.0 ms``)."""
    number, space, unit = text.partition(" ")
    if "." in number:
        number = number.rstrip("0").rstrip(".")
    return number + space + unit
