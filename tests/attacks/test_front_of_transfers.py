"""Transfers are answered before the framework; what is wrong with one is refused as anywhere else."""

import httpx
import pytest

from attacks.arena import Arena, Case
from attacks.cases import decisions, outgoing
from tael.base.gate import Gate

CASES = [
    case for case in (*outgoing.CASES, *decisions.OTHERS, *decisions.BUSINESS)
    if any(word in case.what for word in ("/v1/transfers", "/v1/transfer_batches", "a transfer", "a batch"))
]  # fmt: skip


async def _answer(app: object, arena: Arena, case: Case) -> tuple[int, dict[str, object]]:
    call = case.call(arena)
    headers = dict(call.headers)
    if call.key:
        headers["Authorization"] = f"Bearer {arena.keys[call.key]}"
    sent = {name: value.encode("latin-1") for name, value in headers.items()}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://tael") as http:
        answer = await http.request(call.method, call.path, content=call.content, headers=sent)
    return answer.status_code, answer.json() | {"request_id": ""}


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_the_front_refuses_with_the_framework_s_words(arena: Arena, case: Case) -> None:
    front, framework = arena.shop.system.app, Gate(arena.shop.system.api, batches=frozenset({"/v1/transfer_batches"}))
    said = await _answer(front, arena, case)
    assert said == await _answer(framework, arena, case)
    assert said[0] == case.status
