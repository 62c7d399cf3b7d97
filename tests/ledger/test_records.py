"""Posting ids are derived from business keys, for ever the same, and ordered by their instant."""

from datetime import timedelta

import pytest

from tael.ledger import posting_id
from tael.ledger.records import expiry_id

from .conftest import START


def test_the_same_key_gives_the_same_id_for_ever() -> None:
    assert str(posting_id("recharge", "RC1")) == "68301bc7-aa02-8469-bc53-c82e8a271d2f"
    assert str(posting_id("recharge", "RC1", at=START)) == "019b8be1-f500-8001-bc53-c82e8a271d2f"
    assert posting_id("recharge", "RC1") not in (posting_id("refund", "RC1"), posting_id("recharge", "RC2"))


def test_ids_follow_their_instant() -> None:
    instants = [START + timedelta(microseconds=step) for step in (0, 1, 63, 64, 999, 1_000, 10**6, 86_400 * 10**6)]
    ids = [posting_id("order", str(number), at=at) for number, at in enumerate(instants)]
    assert ids == sorted(ids)
    assert {(one.version, one.variant) for one in ids} == {(8, "specified in RFC 4122")}


def test_nobody_else_makes_the_id_of_an_expiry() -> None:
    hold = posting_id("freeze", "1")
    assert expiry_id(hold) == expiry_id(hold)
    with pytest.raises(AssertionError):
        posting_id("expire", hold.hex)
