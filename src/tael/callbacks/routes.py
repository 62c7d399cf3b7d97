"""Callbacks over HTTP: endpoints, deliveries, replay, and events to pull. Another company's objects do not exist."""

import re
from typing import Annotated, Literal

from fastapi import APIRouter, Query

from tael.base.http import BadCursor, StrictRoute
from tael.callbacks import deliveries, endpoints, events, replay, shapes
from tael.callbacks.callbacks import Callbacks
from tael.callbacks.endpoints import Change, EndpointNotFound
from tael.callbacks.events import EventNotFound
from tael.callbacks.fan_out import rendered
from tael.callbacks.replay import DeliveryNotFound, Window
from tael.guard import Caller, requires

Reader = Annotated[Caller, requires("webhooks:read")]
Writer = Annotated[Caller, requires("webhooks:write")]
EventReader = Annotated[Caller, requires("events:read")]
Limit = Annotated[int, Query(ge=1, le=100)]
Cursor = Annotated[str | None, Query(max_length=20)]
_ID = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)


def router(callbacks: Callbacks) -> APIRouter:
    """All routes of callbacks."""
    routes = APIRouter(route_class=StrictRoute)
    _endpoint_routes(routes, callbacks)
    _status_routes(routes, callbacks)
    _delivery_routes(routes, callbacks)
    _replay_routes(routes, callbacks)
    _event_routes(routes, callbacks)
    return routes


def _endpoint_routes(routes: APIRouter, callbacks: Callbacks) -> None:
    @routes.post("/v1/webhook_endpoints", status_code=201, tags=["webhooks"])
    async def create_webhook_endpoint(caller: Writer, body: shapes.NewEndpoint) -> shapes.EndpointWithSecret:
        """Register where to be told. The secret in the answer is shown this once."""
        made, secret = await endpoints.create(
            callbacks, book=caller.book, url=body.url, topics=body.topics, description=body.description
        )
        return shapes.with_secret(made, secret)

    @routes.get("/v1/webhook_endpoints", tags=["webhooks"])
    async def list_webhook_endpoints(caller: Reader) -> shapes.EndpointList:
        """All endpoints, oldest first; there are twenty at most."""
        found = await endpoints.listed(callbacks.db, book=caller.book)
        return shapes.EndpointList(data=[shapes.endpoint_out(endpoint) for endpoint in found])

    @routes.get("/v1/webhook_endpoints/{endpoint_id}", tags=["webhooks"])
    async def get_webhook_endpoint(caller: Reader, endpoint_id: str) -> shapes.EndpointOut:
        """One endpoint: whether it is in service, and if not, why."""
        return shapes.endpoint_out(
            await endpoints.get(callbacks.db, book=caller.book, endpoint_id=_endpoint(endpoint_id))
        )

    @routes.patch("/v1/webhook_endpoints/{endpoint_id}", tags=["webhooks"])
    async def change_webhook_endpoint(
        caller: Writer, endpoint_id: str, body: shapes.EndpointChange
    ) -> shapes.EndpointOut:
        """Change URL, topics or description; the secret stays."""
        wanted = Change(body.url, body.topics, body.description)
        changed = await endpoints.change(callbacks, wanted, book=caller.book, endpoint_id=_endpoint(endpoint_id))
        return shapes.endpoint_out(changed)

    @routes.delete("/v1/webhook_endpoints/{endpoint_id}", status_code=204, tags=["webhooks"])
    async def delete_webhook_endpoint(caller: Writer, endpoint_id: str) -> None:
        """Delete an endpoint; nothing is sent to it any more."""
        await endpoints.delete(callbacks, book=caller.book, endpoint_id=_endpoint(endpoint_id))


def _status_routes(routes: APIRouter, callbacks: Callbacks) -> None:
    @routes.post("/v1/webhook_endpoints/{endpoint_id}/enable", tags=["webhooks"])
    async def enable_webhook_endpoint(caller: Writer, endpoint_id: str) -> shapes.EndpointOut:
        """Put an endpoint that was disabled or paused into service again."""
        found = await endpoints.enable(callbacks, book=caller.book, endpoint_id=_endpoint(endpoint_id))
        return shapes.endpoint_out(found)

    @routes.post("/v1/webhook_endpoints/{endpoint_id}/disable", tags=["webhooks"])
    async def disable_webhook_endpoint(caller: Writer, endpoint_id: str) -> shapes.EndpointOut:
        """Take an endpoint out of service."""
        found = await endpoints.disable(callbacks, book=caller.book, endpoint_id=_endpoint(endpoint_id))
        return shapes.endpoint_out(found)

    @routes.post("/v1/webhook_endpoints/{endpoint_id}/rotate_secret", tags=["webhooks"])
    async def rotate_webhook_secret(
        caller: Writer, endpoint_id: str, body: shapes.Rotation
    ) -> shapes.EndpointWithSecret:
        """Get a new secret. Both sign for `overlap_hours`; 0 ends every older secret at once."""
        rotated, secret = await endpoints.rotate_secret(
            callbacks, book=caller.book, endpoint_id=_endpoint(endpoint_id), overlap_hours=body.overlap_hours
        )
        return shapes.with_secret(rotated, secret)

    @routes.post("/v1/webhook_endpoints/{endpoint_id}/ping", status_code=202, tags=["webhooks"])
    async def ping_webhook_endpoint(caller: Writer, endpoint_id: str) -> shapes.DeliveryOut:
        """Send a test message; five a minute at most."""
        sent = await replay.ping(callbacks, book=caller.book, endpoint_id=_endpoint(endpoint_id))
        return shapes.delivery_out(sent)


def _delivery_routes(routes: APIRouter, callbacks: Callbacks) -> None:
    @routes.get("/v1/webhook_endpoints/{endpoint_id}/deliveries", tags=["webhooks"])
    async def list_webhook_deliveries(
        caller: Reader,
        endpoint_id: str,
        status: Literal["waiting", "delivered", "dead"] | None = None,
        starting_after: Cursor = None,
        limit: Limit = 20,
    ) -> shapes.DeliveryList:
        """What was sent or waits to be sent, newest event first."""
        found = await deliveries.listed(
            callbacks.db, book=caller.book, endpoint_id=_endpoint(endpoint_id), status=status,
            before=_cursor(starting_after), limit=limit + 1,
        )  # fmt: skip
        data = [shapes.delivery_out(delivery) for delivery in found[:limit]]
        return shapes.DeliveryList(data=data, has_more=len(found) > limit)

    @routes.get("/v1/webhook_endpoints/{endpoint_id}/deliveries/{delivery_id}", tags=["webhooks"])
    async def get_webhook_delivery(caller: Reader, endpoint_id: str, delivery_id: str) -> shapes.DeliveryWithAttempts:
        """One delivery and every try."""
        delivery, attempts = await deliveries.get(
            callbacks.db, book=caller.book, endpoint_id=_endpoint(endpoint_id), event_id=_delivery(delivery_id)
        )
        return shapes.with_attempts(delivery, attempts)


def _replay_routes(routes: APIRouter, callbacks: Callbacks) -> None:
    @routes.post("/v1/webhook_endpoints/{endpoint_id}/deliveries/resend", status_code=202, tags=["webhooks"])
    async def resend_webhook_window(caller: Writer, endpoint_id: str, body: shapes.ResendWindow) -> shapes.ReplayedOut:
        """Send again what a time window holds, 1,000 messages at most, each with its first `webhook-id`."""
        window = Window(body.start, body.end, body.scope, _cursor(body.starting_after) or 0)
        replayed = await replay.resend_window(
            callbacks.db, window, book=caller.book, endpoint_id=_endpoint(endpoint_id), now=callbacks.now()
        )
        callbacks.queued.set()
        return shapes.replayed_out(replayed)

    @routes.post(
        "/v1/webhook_endpoints/{endpoint_id}/deliveries/{delivery_id}/resend", status_code=202, tags=["webhooks"]
    )
    async def resend_webhook_delivery(caller: Writer, endpoint_id: str, delivery_id: str) -> shapes.DeliveryOut:
        """Send one message again, with the `webhook-id` it had."""
        sent = await replay.resend(
            callbacks.db,
            book=caller.book,
            endpoint_id=_endpoint(endpoint_id),
            event_id=_delivery(delivery_id),
            now=callbacks.now(),
        )
        callbacks.queued.set()
        return shapes.delivery_out(sent)


def _event_routes(routes: APIRouter, callbacks: Callbacks) -> None:
    @routes.get("/v1/events", tags=["events"])
    async def list_events(
        caller: EventReader,
        subject: Annotated[str | None, Query(max_length=100, pattern=r"^[^\x00-\x1f]*$")] = None,
        starting_after: Cursor = None,
        ending_before: Cursor = None,
        limit: Limit = 20,
    ) -> shapes.EventList:
        """Events, newest first. To catch up, pass the id of the last one you have as `ending_before`."""
        before, after = _cursor(starting_after), _cursor(ending_before)
        found = await events.listed(
            callbacks.db, book=caller.book, before=before, after=after, subject=subject, limit=limit + 1
        )
        has_more = len(found) > limit
        # One more was asked for to know `has_more`; it stands at the far end of the direction that was read.
        page = found[:limit] if after is None else found[-limit:]
        return shapes.EventList(
            data=[shapes.EventOut.model_validate(rendered(event)) for event in page], has_more=has_more
        )

    @routes.get("/v1/events/{event_id}", tags=["events"])
    async def get_event(caller: EventReader, event_id: str) -> shapes.EventOut:
        """One event."""
        number = _number(event_id)
        if number is None:
            raise EventNotFound
        return shapes.EventOut.model_validate(
            rendered(await events.get(callbacks.db, book=caller.book, event_id=number))
        )


def _number(text: str) -> int | None:
    """The id in a text, None when it cannot be one."""
    number = int(text) if _ID.fullmatch(text) else 0
    return number if 0 < number < 2**63 else None


def _endpoint(text: str) -> int:
    number = _number(text)
    if number is None:
        raise EndpointNotFound
    return number


def _delivery(text: str) -> int:
    number = _number(text)
    if number is None:
        raise DeliveryNotFound
    return number


def _cursor(text: str | None) -> int | None:
    number = None if text is None else _number(text)
    if text is not None and number is None:
        raise BadCursor
    return number
