"""The gate by itself: ids, limits at their edges, and what a caller sees when a route breaks."""

import asyncio
import json

import pytest
from starlette.types import Message, Receive, Scope, Send

from tael.base.gate import MAX_BATCH, MAX_BODY, MAX_HEADERS, Gate

JSON = (b"content-type", b"application/json")


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the number of bytes it was sent."""
    size, more = 0, True
    while more:
        event = await receive()
        size, more = size + len(event.get("body", b"")), event.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": str(size).encode()})


async def broken(scope: Scope, receive: Receive, send: Send) -> None:
    """Fails before it answers, and says why."""
    raise RuntimeError("the secret is tael_test_sk_canary")


async def half(scope: Scope, receive: Receive, send: Send) -> None:
    """Fails in the middle of its answer."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    raise RuntimeError("half")


async def ask(
    gate: Gate, *headers: tuple[bytes, bytes], parts: tuple[bytes, ...] = (b"",), path: str = "/v1/x",
    query: bytes = b"", ends: bool = True,
) -> tuple[int, dict[str, str], bytes]:  # fmt: skip
    """Status, headers and body of the answer to a POST whose body comes in `parts`, and perhaps never ends."""
    waiting, heard = list(parts), list[Message]()

    async def receive() -> Message:
        if not waiting:
            await asyncio.Event().wait()
        part = waiting.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(waiting) or not ends}

    async def send(event: Message) -> None:
        heard.append(event)

    scope = {
        "type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": query,
        "headers": list(headers),
    }  # fmt: skip
    await gate(scope, receive, send)
    answered = {name.decode(): value.decode() for name, value in heard[0]["headers"]}
    return heard[0]["status"], answered, b"".join(event.get("body", b"") for event in heard[1:])


def length(size: int) -> tuple[bytes, bytes]:
    """A Content-Length header."""
    return b"content-length", str(size).encode()


LIMITS = [
    ("a body of exactly 64 KiB", (JSON, length(MAX_BODY)), (b"x" * MAX_BODY,), 200),
    ("one byte more, announced", (JSON, length(MAX_BODY + 1)), (b"",), 413),
    ("one byte more, in parts", (JSON, (b"transfer-encoding", b"chunked")), (b"x" * MAX_BODY, b"x"), 413),
    ("less than announced would be", (JSON, length(1)), (b"x" * (MAX_BODY + 1),), 413),
    ("headers just small enough", ((b"x", b"y" * (MAX_HEADERS - 6)),), (b"",), 200),
    ("headers one byte too large", ((b"x", b"y" * (MAX_HEADERS - 5)),), (b"",), 431),
    ("no body and no type", (), (b"",), 200),
    ("a body of nothing", (length(0),), (b"",), 200),
    ("a body without a type", (length(1),), (b"x",), 415),
    ("JSON in capitals", ((b"content-type", b"Application/JSON"), length(2)), (b"{}",), 200),
    ("JSON in UTF-8", ((b"content-type", b'application/json; charset="UTF-8"'), length(2)), (b"{}",), 200),
    ("JSON in GBK", ((b"content-type", b"application/json; charset=gbk"), length(2)), (b"{}",), 415),
    ("JSON in something", ((b"content-type", b"application/json; version=1"), length(2)), (b"{}",), 415),
]


@pytest.mark.parametrize(
    ("headers", "parts", "status"), [case[1:] for case in LIMITS], ids=[case[0] for case in LIMITS]
)
async def test_limits(headers: tuple[tuple[bytes, bytes], ...], parts: tuple[bytes, ...], status: int) -> None:
    answered, _, body = await ask(Gate(echo), *headers, parts=parts)
    assert answered == status
    assert status != 200 or body == str(sum(map(len, parts))).encode()


@pytest.mark.parametrize(("size", "path", "status"), [
    (MAX_BATCH, "/batches", 200), (MAX_BATCH + 1, "/batches", 413), (MAX_BODY + 1, "/batches/1", 413),
])  # fmt: skip
async def test_only_a_path_that_takes_lists_takes_a_large_body(size: int, path: str, status: int) -> None:
    gate = Gate(echo, batches=frozenset({"/batches"}))
    assert (await ask(gate, JSON, length(size), parts=(b"x" * size,), path=path))[0] == status
    assert (await ask(gate, JSON, (b"transfer-encoding", b"chunked"), parts=(b"x" * size,), path=path))[0] == status


async def test_a_body_that_does_not_arrive_is_not_waited_for() -> None:
    status, _, body = await ask(Gate(echo, body_timeout_s=0.01), JSON, length(9), parts=(b"{",), ends=False)
    assert (status, json.loads(body)["code"]) == (408, "request_timeout")


async def test_notices_may_be_of_any_type() -> None:
    assert (await ask(Gate(echo), length(5), parts=(b"<xml>",), path="/v1/notices/wechat/1"))[0] == 200


@pytest.mark.parametrize(("query", "status"), [
    (b"a=1&b=2", 200), (b"a=1&a=2", 400), (b"a=1&%61=2", 400), (b"a&a", 400), (b"a[in]=1&a[in]=2", 400), (b"", 200),
])  # fmt: skip
async def test_a_parameter_has_one_value(query: bytes, status: int) -> None:
    assert (await ask(Gate(echo), query=query))[0] == status


@pytest.mark.parametrize("app", [echo, broken])
async def test_every_answer_has_an_id_of_its_own_and_is_not_sniffed(app: object) -> None:
    first, second = [(await ask(Gate(app)))[1] for _ in range(2)]
    assert first["request-id"].startswith("req_")
    assert first["request-id"] != second["request-id"]
    assert first["x-content-type-options"] == "nosniff"


async def test_a_route_that_breaks_tells_nothing() -> None:
    status, headers, body = await ask(Gate(broken), (b"accept-language", b"zh-CN"))
    document = json.loads(body)
    assert (status, document["code"], document["retryable"]) == (500, "internal_error", True)
    assert document["request_id"] == headers["request-id"]
    assert "canary" not in body.decode()
    assert "服务内部错误" in document["title"]


async def test_a_route_that_breaks_in_the_middle_is_not_answered_twice() -> None:
    status, _, body = await ask(Gate(half))
    assert (status, body) == (200, b"")
