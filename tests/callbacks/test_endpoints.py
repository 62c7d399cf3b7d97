"""Endpoints: secrets that are shown once and rotate without a gap, bounds, and what a business may change."""

import asyncio

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from callbacks.conftest import BOOK, OTHER_BOOK, Emit, Subscribe
from tael.base.clock import SteppedClock
from tael.base.db import Database
from tael.callbacks import Callbacks, Courier, endpoints
from tael.callbacks.destination import UrlNotAllowed
from tael.callbacks.endpoints import Change
from tael_sandbox.receiver import Received, Receiver


def accepts(secret: str, request: Received) -> bool:
    try:
        Webhook(secret).verify(request.body, dict(request.headers))
    except WebhookVerificationError as problem:
        if "timestamp" in str(problem):  # the clock of this test leaps
            raise
        return False
    return True


async def test_during_rotation_both_secrets_are_accepted_and_afterwards_the_new_one_only(
    callbacks: Callbacks, subscribe: Subscribe, emit: Emit, courier: Courier, receiver: Receiver, clock: SteppedClock
) -> None:
    endpoint = await subscribe()
    old = receiver.secrets["/shop"]
    _, new = await endpoints.rotate_secret(callbacks, book=BOOK, endpoint_id=endpoint.id, overlap_hours=24)
    assert old != new
    await emit()
    await courier.run_due()
    during = receiver.received[-1]
    assert (accepts(old, during), accepts(new, during)) == (True, True)
    assert len(during.headers["webhook-signature"].split(" ")) == 2

    with pytest.raises(endpoints.RotationUnderWay):
        await endpoints.rotate_secret(callbacks, book=BOOK, endpoint_id=endpoint.id, overlap_hours=24)

    clock.advance(24 * 3600)
    await emit()
    await courier.run_due()
    receiver.secrets["/shop"] = new
    assert receiver.received[-1].genuine is False, "the old secret no longer signs"
    clock.advance(5)
    await courier.run_due()
    assert receiver.received[-1].genuine is True, "the receiver changed over and gets the message again"


async def test_a_leaked_secret_can_be_ended_at_once_even_during_a_rotation(
    callbacks: Callbacks, subscribe: Subscribe, emit: Emit, courier: Courier, receiver: Receiver
) -> None:
    endpoint = await subscribe()
    secrets = [receiver.secrets["/shop"]]
    for overlap_hours in (24, 0):
        _, secret = await endpoints.rotate_secret(
            callbacks, book=BOOK, endpoint_id=endpoint.id, overlap_hours=overlap_hours
        )
        secrets.append(secret)
    await emit()
    await courier.run_due()
    assert [accepts(secret, receiver.received[-1]) for secret in secrets] == [False, False, True]


async def test_no_secret_is_in_the_database_and_none_is_shared(
    callbacks: Callbacks, subscribe: Subscribe, receiver: Receiver, db: Database
) -> None:
    await subscribe("/a")
    await subscribe("/b")
    await subscribe("/c", book=OTHER_BOOK)
    assert len(set(receiver.secrets.values())) == 3
    assert all(secret.startswith("whsec_") for secret in receiver.secrets.values())
    async with db.transaction() as tx:
        dump = "".join(str(dict(row)) for row in await tx.fetch("select * from callback_endpoint"))
    assert "whsec_" not in dump
    assert not any(secret.removeprefix("whsec_") in dump for secret in receiver.secrets.values())
    assert "mmmm" not in repr(callbacks), "the master key is not printed"


async def test_a_company_has_twenty_endpoints_at_most_also_when_it_asks_for_many_at_once(
    callbacks: Callbacks, subscribe: Subscribe, receiver: Receiver
) -> None:
    await subscribe("/other", book=OTHER_BOOK)
    made = await asyncio.gather(*(subscribe(f"/{n}") for n in range(30)), return_exceptions=True)
    assert sum(isinstance(one, endpoints.TooManyEndpoints) for one in made) == 10
    listed = await endpoints.listed(callbacks.db, book=BOOK)
    assert len(listed) == 20
    await endpoints.delete(callbacks, book=BOOK, endpoint_id=listed[0].id)
    await subscribe("/again")


async def test_a_change_takes_effect_and_a_refused_one_changes_nothing(
    callbacks: Callbacks, subscribe: Subscribe, emit: Emit, courier: Courier, receiver: Receiver
) -> None:
    endpoint = await subscribe()
    secret = receiver.secrets["/shop"]
    for refused in (Change(url="http://10.0.0.1/"), Change(topics=["NOT A TOPIC"], url=receiver.url("/new"))):
        with pytest.raises((UrlNotAllowed, endpoints.InvalidTopic)):
            await endpoints.change(callbacks, refused, book=BOOK, endpoint_id=endpoint.id)
    assert await endpoints.get(callbacks.db, book=BOOK, endpoint_id=endpoint.id) == endpoint

    wanted = Change(url=receiver.url("/new"), topics=["order.*"], description="moved")
    changed = await endpoints.change(callbacks, wanted, book=BOOK, endpoint_id=endpoint.id)
    assert changed == await endpoints.get(callbacks.db, book=BOOK, endpoint_id=endpoint.id)
    receiver.secrets["/new"] = secret  # it stays
    await emit(topic="order.closed", subject="O1")
    await emit(topic="recharge.paid", subject="R1")
    assert await courier.run_due() == 1
    assert [(one.path, one.genuine) for one in receiver.received] == [("/new", True)]


async def test_enabling_disabling_and_deleting_twice(callbacks: Callbacks, subscribe: Subscribe) -> None:
    endpoint = await subscribe()
    for step, status in ((endpoints.disable, "disabled"), (endpoints.enable, "enabled")):
        for _ in range(2):
            assert (await step(callbacks, book=BOOK, endpoint_id=endpoint.id)).status == status
    await endpoints.delete(callbacks, book=BOOK, endpoint_id=endpoint.id)
    with pytest.raises(endpoints.EndpointNotFound):
        await endpoints.delete(callbacks, book=BOOK, endpoint_id=endpoint.id)
    with pytest.raises(endpoints.EndpointNotFound):
        await endpoints.enable(callbacks, book=BOOK, endpoint_id=endpoint.id)
    assert await endpoints.listed(callbacks.db, book=BOOK) == []
