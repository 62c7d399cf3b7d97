"""Sealed values open where they were sealed, under their key, unchanged; anything else is one and the same refusal."""

import pytest

from tael.base.sealing import SealBroken, Sealer

KEY, OTHER = b"k" * 32, b"o" * 32
CARD = b"6222020200012345678"
PLACE = "payee.sealed.1.42"


def test_what_is_sealed_opens_and_shows_nothing() -> None:
    sealer = Sealer(KEY)
    one, other = sealer.seal(CARD, place=PLACE), sealer.seal(CARD, place=PLACE)
    assert one != other, "a fresh nonce each time"
    assert (sealer.open(one, place=PLACE), sealer.open(other, place=PLACE)) == (CARD, CARD)
    assert CARD not in one
    assert one.startswith(b"v1|")
    assert len(one) == len(b"v1|") + 8 + 1 + 12 + len(CARD) + 16


@pytest.mark.parametrize("content", [b"", b"x", "王小明".encode(), bytes(range(256)) * 100], ids=len)
def test_any_content(content: bytes) -> None:
    assert Sealer(KEY).open(Sealer(KEY).seal(content, place=PLACE), place=PLACE) == content


def test_content_and_nonce_may_hold_the_separator() -> None:
    sealer = Sealer(KEY)
    assert all(sealer.open(sealer.seal(b"|" * 40, place=PLACE), place=PLACE) == b"|" * 40 for _ in range(500))


@pytest.mark.parametrize("place", ["payee.sealed.1.43", "payee.sealed.2.42", "payee.holder.1.42", ""])
def test_copied_elsewhere_it_does_not_open(place: str) -> None:
    with pytest.raises(SealBroken):
        Sealer(KEY).open(Sealer(KEY).seal(CARD, place=PLACE), place=place)


def test_every_changed_byte_is_noticed() -> None:
    sealer = Sealer(KEY)
    sealed = sealer.seal(CARD, place=PLACE)
    for at in range(len(sealed)):
        with pytest.raises(SealBroken) as refusal:
            sealer.open(sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :], place=PLACE)
        assert CARD.decode() not in str(refusal.value)
    for end in range(len(sealed)):
        with pytest.raises(SealBroken):
            sealer.open(sealed[:end], place=PLACE)


def test_after_a_change_of_the_master_key() -> None:
    old = Sealer(KEY).seal(CARD, place=PLACE)
    with pytest.raises(SealBroken):
        Sealer(OTHER).open(old, place=PLACE)
    both = Sealer(OTHER, older=[KEY])
    assert both.open(old, place=PLACE) == CARD
    assert Sealer(OTHER).open(both.seal(CARD, place=PLACE), place=PLACE) == CARD


def test_the_blind_index_is_keyed_and_takes_parts_for_what_they_are() -> None:
    sealer = Sealer(KEY)
    assert sealer.blind("card", "6222") == Sealer(KEY).blind("card", "6222")
    assert sealer.blind("card", "6222") != Sealer(OTHER).blind("card", "6222")
    assert len({sealer.blind(*parts) for parts in (("ab", "c"), ("a", "bc"), ("abc",), ("abc", ""), ("", "abc"))}) == 5
