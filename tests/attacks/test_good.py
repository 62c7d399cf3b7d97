"""The bodies from which hostile requests are made would be accepted: it is the one thing wrong that is refused."""

from dataclasses import replace
from pathlib import Path

from attacks.arena import open_arena
from attacks.cases.money import GOOD, money


async def test_each_would_be_accepted(dsn: str, tmp_path: Path) -> None:
    async with open_arena(dsn, tmp_path) as arena:
        answers = {}
        for number, what in enumerate(GOOD):
            changes = {"business_transfer_no": "t-2"} if "batches" in what else {}
            call = money(what, "li" if "approve" in what else "full", **changes)(arena)
            call = replace(call, headers={**call.headers, "Idempotency-Key": f"good-{number}"})
            answers[what] = await arena.send(call)
        refused = {what: answer.text for what, answer in answers.items() if answer.status_code not in {200, 201, 202}}
        assert refused == {}
        assert await arena.changes()
