"""`tael alerts`, `tael alerts acknowledge` and `tael jobs`."""

import json
from datetime import datetime

import pytest

import tael.cli.alerts as command
from tael.base.clock import SteppedClock
from tael.base.db import Database
from tael.base.jobs import Job, Jobs
from tael.cli.commands import app

from .conftest import BOOK, Raise, Shown, lost


@pytest.fixture(autouse=True)
def database(monkeypatch: pytest.MonkeyPatch, dsn: str) -> None:
    monkeypatch.setenv("TAEL_DATABASE_URL", dsn)
    monkeypatch.setenv("COLUMNS", "200")


async def run(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()  # what was logged before
    await app.run_async(list(words), result_action="return_value")
    return capsys.readouterr().out


async def test_alerts_are_listed_and_acknowledged(
    raised: Raise, shown: Shown, capsys: pytest.CaptureFixture[str]
) -> None:
    await raised(lost(), lost("job", book=0), lost("other", book=2))
    assert [one["book"] for one in json.loads(await run(capsys, "alerts", "--json"))] == [0, BOOK]
    text = await run(capsys, "alerts")
    assert "1 of T-1 lost." in text
    assert "other" not in text
    (mine,) = await shown()
    assert "thing_lost T-1: acknowledged by" in await run(capsys, "alerts", "acknowledge", str(mine.id))
    said = json.loads(await run(capsys, "alerts", "acknowledge", str(mine.id), "--json"))
    assert said["acknowledged_by"] == (await shown())[0].acknowledged_by
    with pytest.raises(command.alerts.AlertNotFound):
        await run(capsys, "alerts", "acknowledge", str(mine.id), "--book", "2")


async def test_jobs_are_listed(db: Database, clock: SteppedClock, capsys: pytest.CaptureFixture[str]) -> None:
    async def fail(now: datetime) -> None:
        raise ValueError("no broom")

    await Jobs(db, [Job("sweep", 5, fail)], clock.now).run_due()
    (row,) = json.loads(await run(capsys, "jobs", "--json"))
    assert (row["name"], row["failures"], row["last_error"], row["running"]) == (
        "sweep", 1, "ValueError: no broom", False,
    )  # fmt: skip
    assert row["lag_s"] > 0
    assert "no broom" in await run(capsys, "jobs")
