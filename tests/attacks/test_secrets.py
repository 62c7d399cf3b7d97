"""L01: a card number planted where it has no business comes back in no refusal, and is kept in no table."""

from collections.abc import Mapping

import msgspec
import pytest

from attacks.arena import Arena, Call
from attacks.cases.money import GOOD
from attacks.cases.recharges import keyed

CARD = "6222020200012345678"


def _texts(fields: Mapping[str, object], path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The path of every text in a body."""
    found: list[tuple[str | int, ...]] = []
    for name, value in fields.items():
        if isinstance(value, str):
            found.append((*path, name))
        elif isinstance(value, dict):
            found += _texts(value, (*path, name))
        elif isinstance(value, list):
            found += _texts(value[0], (*path, name, 0))
    return found


PLANTED = [
    (what, path, text) for what, good in GOOD.items() for path in _texts(good)
    for text in (CARD, f"{CARD}\x00", CARD * 60)
]  # fmt: skip


@pytest.mark.parametrize(("what", "path", "text"), PLANTED, ids=str)
async def test_a_refusal_echoes_no_card_number(arena: Arena, what: str, path: tuple[str | int, ...], text: str) -> None:
    """Something else is wrong as well, so that it is refused whatever the field takes."""
    body = msgspec.json.decode(msgspec.json.encode(GOOD[what]))
    place = body
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = text
    method, _, address = what.partition(" ")
    content = arena.known.fill(msgspec.json.encode(body | {"surplus": 1}).decode()).encode()
    await arena.changes()
    answer = await arena.send(Call(method, arena.known.fill(address), content, keyed(Idempotency_Key="planted")))
    assert 400 <= answer.status_code < 500, answer.text
    assert CARD not in answer.text + str(answer.headers)
    assert await arena.changes() == set()


ADDRESSES = ["/v1/payments/{}", "/v1/refunds/{}", "/v1/transfers/{}", "/v1/transfer_batches/{}", "/v1/holds/{}",
             "/v1/payees/{}", "/v1/withdrawals/{}", "/v1/adjustments/{}", "/v1/approvals/{}", "/v1/lookup/{}",
             "/v1/accounts/{}", "/v1/risk/verdicts/withdrawal/{}", "/v1/payments?state={}", "/v1/payees?owner={}",
             "/v1/refunds?account_id={}"]  # fmt: skip


@pytest.mark.parametrize("address", ADDRESSES)
async def test_neither_does_one_of_an_address(arena: Arena, address: str) -> None:
    answer = await arena.send(Call("GET", address.format(CARD)))
    assert 400 <= answer.status_code < 500 or answer.json()["data"] == []
    assert CARD not in answer.text
