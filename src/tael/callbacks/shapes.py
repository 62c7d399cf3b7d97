"""What callbacks look like over HTTP: bodies that come in, documents that go out. Ids are strings, times UTC."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, Field, JsonValue

from tael.base.http import Body
from tael.callbacks.fan_out import rfc3339
from tael.callbacks.replay import Replayed
from tael.callbacks.store import Attempt, Delivery, Endpoint


def _only_text(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("an RFC 3339 date and time with an offset is expected")
    return value


Instant = Annotated[AwareDatetime, BeforeValidator(_only_text), Field(strict=False)]
Url = Annotated[str, Field(max_length=2048, examples=["https://shop.example.com/tael"])]
Topics = Annotated[list[str], Field(min_length=1, max_length=50, examples=[["recharge.*"]])]
Description = Annotated[str, Field(max_length=200)]


class NewEndpoint(Body):
    """A callback endpoint to create. `topics` are names, families such as `recharge.*`, or `*`."""

    url: Url
    topics: Topics = Field(default=["*"])
    description: Description = ""


class EndpointChange(Body):
    """What is to be different; a field that is absent stays."""

    url: Url | None = None
    topics: Topics | None = None
    description: Description | None = None


class Rotation(Body):
    """How long the present secret goes on signing beside the new one."""

    overlap_hours: Annotated[int, Field(ge=0, le=24)] = 24


class ResendWindow(Body):
    """Events created from `start` until before `end`: what was not delivered, or all of them."""

    start: Instant
    end: Instant
    scope: Literal["undelivered", "all"] = "undelivered"
    starting_after: Annotated[str, Field(max_length=20)] | None = None


class EndpointOut(BaseModel):
    """A callback endpoint."""

    id: str
    url: str
    topics: list[str]
    description: str
    status: Literal["enabled", "disabled", "paused", "deleted"]
    reason: str
    failures: int
    failing_since: str | None
    previous_secret_until: str | None
    created_at: str


class EndpointWithSecret(EndpointOut):
    """A callback endpoint with its signing secret, which is shown this once."""

    secret: str


class EndpointList(BaseModel):
    """All callback endpoints."""

    data: list[EndpointOut]


class DeliveryOut(BaseModel):
    """One message to one endpoint; `id` is the event's id and the `webhook-id` header."""

    id: str
    endpoint_id: str
    topic: str
    status: Literal["waiting", "delivered", "dead"]
    attempts: int
    next_attempt_at: str | None
    last_error: str | None
    created_at: str
    finished_at: str | None


class AttemptOut(BaseModel):
    """One try. Of the receiver's answer only the status and a hash of its first kilobyte are kept."""

    number: int
    at: str
    outcome: str
    http_status: int | None
    duration_ms: int
    response_sha256: str | None


class DeliveryWithAttempts(DeliveryOut):
    """A delivery and every recorded try, oldest first."""

    tries: list[AttemptOut]


class DeliveryList(BaseModel):
    """A page of deliveries, newest event first."""

    data: list[DeliveryOut]
    has_more: bool


class ReplayedOut(BaseModel):
    """How many messages were queued; when `has_more`, repeat with `starting_after` set to `last_id`."""

    queued: int
    has_more: bool
    last_id: str | None


class EventOut(BaseModel):
    """An event, as it is sent to endpoints. `sequence` counts the subject's events without gaps."""

    id: str
    type: str
    timestamp: str
    sequence: int
    subject: str
    data: dict[str, JsonValue]


class EventList(BaseModel):
    """A page of events, newest first."""

    data: list[EventOut]
    has_more: bool


def endpoint_out(endpoint: Endpoint) -> EndpointOut:
    """An endpoint for the business it belongs to."""
    return EndpointOut(
        id=str(endpoint.id), url=endpoint.url, topics=list(endpoint.topics), description=endpoint.description,
        status=endpoint.status, reason=endpoint.reason, failures=endpoint.failures,
        failing_since=_when(endpoint.failing_since), previous_secret_until=_when(endpoint.previous_until),
        created_at=rfc3339(endpoint.created_at),
    )  # fmt: skip


def with_secret(endpoint: Endpoint, secret: str) -> EndpointWithSecret:
    """An endpoint with its secret."""
    return EndpointWithSecret(**endpoint_out(endpoint).model_dump(), secret=secret)


def delivery_out(delivery: Delivery) -> DeliveryOut:
    """A delivery for the business."""
    return DeliveryOut(
        id=str(delivery.event_id), endpoint_id=str(delivery.endpoint_id), topic=delivery.topic, status=delivery.status,
        attempts=delivery.attempts, next_attempt_at=rfc3339(delivery.due_at) if delivery.status == "waiting" else None,
        last_error=delivery.last_error, created_at=rfc3339(delivery.created_at),
        finished_at=_when(delivery.finished_at),
    )  # fmt: skip


def with_attempts(delivery: Delivery, attempts: list[Attempt]) -> DeliveryWithAttempts:
    """A delivery with its tries."""
    tries = [
        AttemptOut(
            number=attempt.number, at=rfc3339(attempt.at), outcome=attempt.outcome, http_status=attempt.status,
            duration_ms=attempt.duration_ms,
            response_sha256=attempt.response_sha256.hex() if attempt.response_sha256 else None,
        )
        for attempt in attempts
    ]  # fmt: skip
    return DeliveryWithAttempts(**delivery_out(delivery).model_dump(), tries=tries)


def replayed_out(replayed: Replayed) -> ReplayedOut:
    """What a bulk replay did."""
    last_id = None if replayed.last_id is None else str(replayed.last_id)
    return ReplayedOut(queued=replayed.queued, has_more=replayed.has_more, last_id=last_id)


def _when(instant: datetime | None) -> str | None:
    return None if instant is None else rfc3339(instant)
