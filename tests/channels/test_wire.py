"""What may have left this machine: every way a call can break, and whether the other side may have acted."""

import asyncio

import pytest

from channels.otherside import scripted
from tael.channels.exchange import HttpRequest
from tael.channels.wire import NothingSent, ReplyLost, Wire, address

GET = HttpRequest("GET", "/v3/x?mchid=1", (("Accept", "application/json"),), b"")
POST = HttpRequest("POST", "/v3/x", (), b'{"a":1}')
OK = b"HTTP/1.1 200 OK\r\nX-Twice: 1\r\nX-Twice: 2\r\nContent-Length: 2\r\n\r\n{}"


async def ask(base_url: str, request: HttpRequest = POST, **limits: int):
    wire = Wire(**limits)
    try:
        return await wire.exchange(request, address(base_url))
    finally:
        wire.close()


async def test_a_complete_reply_keeps_duplicate_headers_and_raw_bytes():
    async def answer(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(OK)

    async with scripted(answer) as server:
        response = await ask(server.base_url)
    assert (response.status, response.body) == (200, b"{}")
    assert [value for name, value in response.headers if name == "x-twice"] == ["1", "2"]
    assert server.requests[0].startswith(b"POST /v3/x HTTP/1.1\r\nHost: 127.0.0.1")


REPLIES = [
    ("reset after send", b"", True, "reset"),
    ("half of a head", b"HTTP/1.1 200 OK\r\nContent-Le", True, "half_reply"),
    ("half of a body", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}", True, "half_reply"),
    ("body without length", b"HTTP/1.1 200 OK\r\n\r\n{}", True, "half_reply"),
    ("not http", b"hello\r\n\r\n", True, "not_http"),
    ("two lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}", True, "not_http"),
    ("too large", b"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n" + b"x" * 3_000_000, False, "too_large"),
    ("endless head", b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 400_000, False, "too_large"),
    ("nothing within the time", b"", False, "timeout"),
    ("a body that never ends", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}", False, "timeout"),
]


@pytest.mark.parametrize(("reply", "closes", "why"), [case[1:] for case in REPLIES], ids=[case[0] for case in REPLIES])
async def test_after_sending_every_failure_means_that_we_do_not_know(reply: bytes, closes: bool, why: str):
    async def answer(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(reply)
        if closes:
            writer.close()

    async with scripted(answer) as server:
        with pytest.raises(ReplyLost) as lost:
            await ask(server.base_url, total_s=1)
    assert lost.value.why == why
    assert len(server.requests) == 1, "nothing is sent twice"


async def refused_port() -> str:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    return f"http://127.0.0.1:{port}"


async def test_a_refused_connection_sent_nothing():
    with pytest.raises(NothingSent) as refused:
        await ask(await refused_port())
    assert refused.value.why == "connect"


async def test_a_failed_tls_handshake_sent_nothing():
    async def answer(request: bytes, writer: asyncio.StreamWriter) -> None:
        raise AssertionError("plain HTTP was sent")

    async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"this is not TLS at all, far from it")
        writer.close()

    server = await asyncio.start_server(garbage, "127.0.0.1", 0)
    async with server:
        with pytest.raises(NothingSent) as failed:
            await ask(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    assert failed.value.why in ("tls", "connect")


async def test_a_tls_handshake_that_never_answers_sent_nothing():
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with server:
        with pytest.raises(NothingSent) as failed:
            await ask(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}", connect_s=1)
    assert failed.value.why == "connect_timeout"


async def test_connections_are_used_again_and_a_dropped_one_is_not():
    async def answer(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(OK)
        if b"/last" in request:
            writer.close()

    async with scripted(answer) as server:
        wire, to = Wire(), address(server.base_url)
        for _ in range(3):
            await wire.exchange(GET, to)
        assert server.connections == 1
        await wire.exchange(HttpRequest("GET", "/last", (), b""), to)
        await asyncio.sleep(0.05)
        await wire.exchange(GET, to)
        assert server.connections == 2
        wire.close()


async def test_a_late_reply_never_answers_another_request():
    async def answer(request: bytes, writer: asyncio.StreamWriter) -> None:
        if b"/slow" in request:
            await asyncio.sleep(0.2)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow")
        else:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfast")

    async with scripted(answer) as server:
        wire, to = Wire(), address(server.base_url)
        slow = asyncio.ensure_future(wire.exchange(HttpRequest("GET", "/slow", (), b""), to))
        await asyncio.sleep(0.05)
        slow.cancel()
        with pytest.raises(asyncio.CancelledError):
            await slow
        assert (await wire.exchange(GET, to)).body == b"fast"
        await asyncio.sleep(0.2)
        assert (await wire.exchange(GET, to)).body == b"fast"
        wire.close()


async def test_unasked_bytes_end_the_connection():
    async def answer(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(OK + b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged")

    async with scripted(answer) as server:
        wire, to = Wire(), address(server.base_url)
        assert (await wire.exchange(GET, to)).body == b"{}"
        assert (await wire.exchange(GET, to)).body == b"{}"
        assert server.connections == 2
        wire.close()


async def test_interim_replies_redirects_and_chunks():
    async def answer(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 302 Found\r\nLocation: http://evil.example/\r\n")
        writer.write(b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")

    async with scripted(answer) as server:
        response = await ask(server.base_url)
    assert (response.status, response.body, len(server.requests)) == (302, b"{}", 1)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://x", "https://", "https://user@x", "https://x/path", "https://x?y", "https://x#y", "x", "https://x:99999",
        "https://a b", "https://x\r\ny", "https://" + "a" * 64 + ".com",
    ],
)  # fmt: skip
def test_an_address_is_scheme_host_and_port_only(url: str):
    with pytest.raises(ValueError):
        address(url)
