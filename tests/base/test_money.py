"""Money: whole minor units, nothing rounded by accident, and every division says who gets the rest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tael.base.money import (
    EXPONENTS,
    MAX_MINOR,
    InvalidAmount,
    InvalidCurrency,
    Money,
    format_minor,
    round_half_up,
    split,
)

MADE = [
    (0, "CNY", None), (1, "CNY", None), (MAX_MINOR, "CNY", None), (100, "JPY", None),
    (-1, "CNY", InvalidAmount), (MAX_MINOR + 1, "CNY", InvalidAmount), (1.0, "CNY", InvalidAmount),
    (True, "CNY", InvalidAmount), ("1", "CNY", InvalidAmount), (None, "CNY", InvalidAmount),
    (1, "cny", InvalidCurrency), (1, "XXX", InvalidCurrency), (1, "", InvalidCurrency), (1, "CNY ", InvalidCurrency),
]  # fmt: skip


@pytest.mark.parametrize(("minor", "currency", "refusal"), MADE)
def test_making(minor: int, currency: str, refusal: type[Exception] | None) -> None:
    if refusal is None:
        assert Money(minor, currency).minor == minor
    else:
        with pytest.raises(refusal):
            Money(minor, currency)


SHOWN = [
    (0, "CNY", "0.00"), (5, "CNY", "0.05"), (99, "CNY", "0.99"), (123_456, "CNY", "1,234.56"),
    (100_000_000, "CNY", "1,000,000.00"), (-5, "CNY", "-0.05"), (-123_456, "CNY", "-1,234.56"),
    (1_234_567, "JPY", "1,234,567"), (7, "JPY", "7"), (1, "KWD", "0.001"), (1_234_567, "KWD", "1,234.567"),
    (MAX_MINOR, "CNY", "92,233,720,368,547,758.07"), (999, "???", "999"),
]  # fmt: skip


@pytest.mark.parametrize(("minor", "currency", "text"), SHOWN)
def test_shown_to_people(minor: int, currency: str, text: str) -> None:
    assert format_minor(minor, currency) == text


def test_as_text() -> None:
    assert str(Money(1, "CNY")) == "0.01 CNY"


@given(st.integers(0, MAX_MINOR), st.sampled_from(sorted(EXPONENTS)))
def test_what_is_shown_says_every_digit(minor: int, currency: str) -> None:
    assert int(format_minor(minor, currency).replace(",", "").replace(".", "")) == minor


@given(st.integers(0, MAX_MINOR), st.integers(1, 1000))
def test_a_split_loses_nothing_and_favours_nobody_by_more_than_one_unit(total: int, parts: int) -> None:
    shares = split(total, parts)
    assert (len(shares), sum(shares)) == (parts, total)
    assert max(shares) - min(shares) <= 1
    assert shares == sorted(shares, reverse=True)


@pytest.mark.parametrize("parts", [0, -1])
def test_a_split_needs_parts(parts: int) -> None:
    with pytest.raises(InvalidAmount):
        split(100, parts)


ROUNDED = [(5, 2, 3), (4, 2, 2), (1, 3, 0), (2, 3, 1), (0, 7, 0), (1, 2, 1), (3 * 10**18, 2, 15 * 10**17), (7, 7, 1)]


@pytest.mark.parametrize(("numerator", "denominator", "rounded"), ROUNDED)
def test_rounding(numerator: int, denominator: int, rounded: int) -> None:
    assert round_half_up(numerator, denominator) == rounded


@given(st.integers(0, 10**30), st.integers(1, 10**15))
def test_rounding_is_never_off_by_more_than_half(numerator: int, denominator: int) -> None:
    assert abs(2 * (round_half_up(numerator, denominator) * denominator - numerator)) <= denominator


@pytest.mark.parametrize(("numerator", "denominator"), [(-1, 2), (1, 0), (1, -2)])
def test_rounding_what_has_no_meaning(numerator: int, denominator: int) -> None:
    with pytest.raises(InvalidAmount):
        round_half_up(numerator, denominator)
