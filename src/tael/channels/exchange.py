"""One HTTP exchange as values: what connectors build and read, and what is kept of it as evidence."""

from dataclasses import dataclass

from tael.base.wire import HttpRequest, HttpResponse

__all__ = ["HttpReply", "HttpRequest", "HttpResponse", "RawExchange"]


@dataclass(frozen=True, slots=True)
class HttpReply:
    """What we answer to a notice."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(frozen=True, slots=True)
class RawExchange:
    """One request and its reply kept as evidence: personal data blanked, bodies cut, but hashed whole before that.

    `status` and `response_sha256` are None when no complete reply came. Headers with signatures are not kept.
    """

    method: str
    target: str
    request_body: str
    request_sha256: str
    status: int | None
    response_body: str
    response_sha256: str | None
    request_id: str | None
    elapsed_ms: int
