"""`tael callbacks`: what operators see, and a replay from the command line."""

import json

import pytest

import tael.cli.callbacks as command
from callbacks.conftest import Emit, Subscribe
from tael.base.clock import SteppedClock
from tael.callbacks import Callbacks, Courier
from tael.callbacks.courier import LADDER_S
from tael.callbacks.endpoints import EndpointNotFound
from tael_sandbox.receiver import Fault, Receiver


@pytest.fixture(autouse=True)
def database(monkeypatch: pytest.MonkeyPatch, dsn: str) -> None:
    monkeypatch.setenv("TAEL_DATABASE_URL", dsn)


async def run(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    await command.app.run_async([str(word) for word in words], result_action="return_value")
    return capsys.readouterr().out


async def test_dead_letters_are_listed_and_replayed(
    callbacks: Callbacks, courier: Courier, subscribe: Subscribe, emit: Emit, receiver: Receiver, clock: SteppedClock,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    endpoint = await subscribe()
    receiver.faults["/shop"] = Fault.ERROR
    clock.advance(-300_000)  # the command runs on the database's clock; this ladder lies in its past
    event_ids = await emit(2)
    for wait_s in LADDER_S:
        clock.advance(wait_s)
        await courier.run_due()
    (shown,) = json.loads(await run(capsys, "endpoints", "--json"))
    assert (shown["id"], shown["status"], shown["failures"]) == (str(endpoint.id), "enabled", 20)
    dead = json.loads(await run(capsys, "dead", "--json"))
    assert [one["id"] for one in dead] == [str(event_id) for event_id in event_ids]
    assert json.loads(await run(capsys, "dead", "--json", "--book", "2")) == []
    assert "http_500" in await run(capsys, "deliveries", str(endpoint.id), "--status", "dead")

    del receiver.faults["/shop"]
    one = await run(capsys, "replay", str(endpoint.id), str(event_ids[0]), "--json")
    rest = await run(capsys, "replay", str(endpoint.id), "--hours", "100", "--json")
    nothing = await run(capsys, "replay", str(endpoint.id), "--hours", "100")
    assert (json.loads(one), json.loads(rest), nothing) == ({"queued": 1}, {"queued": 1}, "0 queued\n")
    clock.advance(86400)
    assert await courier.run_due() == 2
    assert len(receiver.kept["/shop"]) == 2


async def test_a_refusal_says_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(EndpointNotFound):
        await run(capsys, "deliveries", "12")
