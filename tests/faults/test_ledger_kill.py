"""kill -9 of PostgreSQL and of a poster under load: nothing acknowledged is lost, nothing is done twice.

The long run is `tael faults ledger --rounds 20`.
"""

import pytest

from tael.cli.faults_ledger import run


@pytest.mark.slow
async def test_three_kills() -> None:
    rounds = [done async for done in run(rounds=3, seed=7)]
    assert [done.killed for done in rounds] == ["postgres", "poster", "postgres"]
    assert all(done.ok for done in rounds), rounds
    assert rounds[-1].acknowledged > rounds[0].acknowledged
