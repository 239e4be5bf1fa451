import sys
from collections.abc import Iterator

import pytest

from fibonacci import StoppedError, count_digits, fibonacci


@pytest.fixture
def long_integers() -> Iterator[None]:
    limit = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    yield
    sys.set_int_max_str_digits(limit)


def by_adding(n: int) -> int:
    """The definition of the sequence, one addition at a time."""
    current, following = 0, 1
    for _ in range(n - 1):
        current, following = following, current + following
    return current


def test_the_sequence_begins_with_zero_and_one() -> None:
    numbers = [fibonacci(n) for n in range(1, 11)]
    assert numbers == ["0", "1", "1", "2", "3", "5", "8", "13", "21", "34"]


def test_every_number_up_to_2000_is_what_adding_gives() -> None:
    current, following = 0, 1
    for n in range(1, 2001):
        assert fibonacci(n) == str(current)
        assert count_digits(n) == len(str(current))
        current, following = following, current + following


@pytest.mark.usefixtures("long_integers")
@pytest.mark.parametrize("n", [20_578, 20_580, 65_536, 65_537, 100_000])
def test_numbers_beyond_pythons_conversion_limit_are_exact(n: int) -> None:
    expected = str(by_adding(n))
    assert fibonacci(n) == expected
    assert abs(count_digits(n) - len(expected)) <= 1


def test_a_number_beyond_pythons_conversion_limit_needs_no_setting() -> None:
    assert sys.get_int_max_str_digits() == 4300
    assert len(fibonacci(100_000)) == 20_899


def test_a_million_digits_end_as_arithmetic_modulo_says() -> None:
    modulus = 10**12
    current, following = 0, 1
    for bit in bin(5_000_000 - 1)[2:]:
        current, following = (
            current * (2 * following - current) % modulus,
            (current * current + following * following) % modulus,
        )
        if bit == "1":
            current, following = following, (current + following) % modulus
    result = fibonacci(5_000_000)
    assert result.endswith(f"{current:012d}")
    assert len(result) == count_digits(5_000_000)


@pytest.mark.parametrize("n", [0, -1, -(10**30)])
def test_only_positive_integers_have_a_number(n: int) -> None:
    with pytest.raises(ValueError, match="positive"):
        fibonacci(n)


def test_the_size_of_a_hopelessly_large_number_is_known_without_computing_it() -> None:
    assert count_digits(10**18 + 1) == 208_987_640_249_978_734
    assert count_digits(10**400) > 10**399


def test_a_computation_stops_when_it_is_told_to() -> None:
    asked = 0

    def told_to_stop() -> bool:
        nonlocal asked
        asked += 1
        return asked > 3

    with pytest.raises(StoppedError):
        fibonacci(10**6, interrupted=told_to_stop)
    assert asked == 4
