"""Fibonacci numbers of any size: fibonacci(1) = 0, fibonacci(2) = 1, fibonacci(3) = 1, …"""

from collections.abc import Callable
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, Inexact, localcontext

# log10 of the golden ratio and of the square root of 5, in units of 10**-30.
_PER_STEP = 208987640249978733769272089237
_OF_ROOT = 349485002168009402393130552637
_UNIT = 10**30


class StoppedError(Exception):
    """The computation was told to stop before it had a result."""


def count_digits(n: int) -> int:
    """How many digits `fibonacci(n)` has, by Binet's formula: never off by more than one.

    Known without computing the number, so that a hopelessly large n costs nothing. Raises
    ValueError when n is not a positive integer.
    """
    if n < 1:
        raise ValueError("n must be a positive integer")
    return max(1, ((n - 1) * _PER_STEP - _OF_ROOT) // _UNIT + 1)


def fibonacci(n: int, *, interrupted: Callable[[], bool] = lambda: False) -> str:
    """The nth Fibonacci number in decimal, by fast doubling: about log2(n) multiplications.

    Decimal rather than int: its multiplication is faster for large numbers, and its conversion to
    text takes linear time and knows no limit of 4,300 digits. Every digit is exact: an operation
    that had to round would raise `decimal.Inexact`. `interrupted` is asked before each step.

    Raises ValueError when n is not a positive integer, StoppedError when told to stop.
    """
    precision = 2 * count_digits(n) + 10
    exact = Context(prec=precision, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[Inexact])
    with localcontext(exact):
        current, following = Decimal(0), Decimal(1)
        # With F(0) = 0 and F(1) = 1: F(2k) = F(k) (2 F(k+1) - F(k)), F(2k+1) = F(k)² + F(k+1)².
        for bit in bin(n - 1)[2:]:
            if interrupted():
                raise StoppedError
            current, following = (
                current * (2 * following - current),
                current * current + following * following,
            )
            if bit == "1":
                current, following = following, current + following
        return f"{current:f}"
