"""Every case of the table is refused with its status and code, changes no row, and calls nobody."""

import json

import pytest

from attacks.arena import Arena, Case
from attacks.cases import ALL

CASES = [case for cases in ALL.values() for case in cases]


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_refused(arena: Arena, case: Case) -> None:
    call = case.call(arena)
    answer = await arena.send(call)
    changed = await arena.changes()
    assert (answer.status_code, _code(answer.text)) == (case.status, case.code or _code(answer.text)), answer.text
    assert changed <= {case.evidence}
    if call.method != "HEAD" and "/notices/" not in call.path:
        _is_a_problem(answer.headers["content-type"], answer.json(), case.status)


def _code(text: str) -> str:
    try:
        return str(json.loads(text)["code"])
    except ValueError:
        return ""


def _is_a_problem(media: str, document: dict[str, object], status: int) -> None:
    """RFC 9457, with a request id, and nothing of our insides."""
    assert media == "application/problem+json"
    assert document["type"] == f"/errors/{document['code']}"
    assert document["status"] == status
    assert str(document["request_id"]).startswith("req_")
    assert not any(word in str(document).lower() for word in ("traceback", "asyncpg", "pydantic", "select ", ".py"))
