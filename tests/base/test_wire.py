"""What may have left this machine: every way a call can break, and whether the other side may have acted."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from channels.otherside import key, private_pem, scripted
from tael.base import wire as wire_module
from tael.base.wire import HttpRequest, NothingSent, ReplyLost, Wire, address

GET = HttpRequest("GET", "/v3/x?mchid=1", (("Accept", "application/json"),), b"")
POST = HttpRequest("POST", "/v3/x", (), b'{"a":1}')
LOOPS = pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
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
    ("another protocol", b"HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", False, "not_http"),
    ("endless interim replies", b"HTTP/1.1 100 Continue\r\n\r\n" * 50_000, False, "too_large"),
    ("two lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}", True, "not_http"),
    ("too large", b"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n" + b"x" * 3_000_000, False, "too_large"),
    ("endless head", b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 400_000, False, "too_large"),
    ("nothing within the time", b"", False, "timeout"),
    ("a body that never ends", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}", False, "timeout"),
]


@LOOPS
@pytest.mark.parametrize(("reply", "closes", "why"), [case[1:] for case in REPLIES], ids=[case[0] for case in REPLIES])
async def test_after_sending_every_failure_means_that_we_do_not_know(loop, reply: bytes, closes: bool, why: str):
    await asyncio.to_thread(run, loop, lambda: breaks(reply, closes, why))


@LOOPS
async def test_nothing_sent_is_the_same_in_both_loops(loop):
    await asyncio.to_thread(run, loop, unreachable)


def run(loop: Callable[[], asyncio.AbstractEventLoop], story: Callable[[], Coroutine[None, None, None]]) -> None:
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(story())


async def unreachable() -> None:
    with pytest.raises(NothingSent) as refused:
        await ask(await refused_port())
    assert refused.value.why == "connect"
    with pytest.raises(NothingSent) as refused:
        await ask("http://no-such-name.invalid")
    assert refused.value.why in ("dns", "connect_timeout")


async def breaks(reply: bytes, closes: bool, why: str) -> None:
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


@LOOPS
async def test_tls(loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    now = datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    certificate = (
        x509.CertificateBuilder(subject, subject, key("tls").public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key("tls"), hashes.SHA256())
    )
    (tmp_path / "certificate").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (tmp_path / "key").write_bytes(private_pem("tls"))
    await asyncio.to_thread(run, loop, lambda: distrusted(tmp_path))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate"))
    wire_module._trust.cache_clear()
    try:
        await asyncio.to_thread(run, loop, lambda: trusted(tmp_path))
    finally:
        wire_module._trust.cache_clear()


@asynccontextmanager
async def tls_server(folder: Path) -> AsyncIterator[int]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await reader.readuntil(b"}")
                writer.write(OK)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.transport.abort()

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "certificate", folder / "key")
    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context) as server:
        yield server.sockets[0].getsockname()[1]


async def trusted(folder: Path) -> None:
    async with tls_server(folder) as port:
        wire = Wire()
        for _ in range(2):
            assert (await wire.exchange(POST, address(f"https://localhost:{port}"))).body == b"{}"
        with pytest.raises(NothingSent) as other_name:
            await wire.exchange(POST, address(f"https://127.0.0.1:{port}"))
        assert other_name.value.why == "tls"
        wire.close()
        await asyncio.sleep(0.05)  # the server notices and closes its ends


async def distrusted(folder: Path) -> None:
    async with tls_server(folder) as port:
        with pytest.raises(NothingSent) as refused:
            await ask(f"https://localhost:{port}")
        assert refused.value.why == "tls"


@LOOPS
@pytest.mark.parametrize(("answers", "why"), [(True, {"tls", "connect"}), (False, {"connect_timeout"})])
async def test_a_handshake_that_fails_or_never_ends_sent_nothing(loop, answers: bool, why: set[str]):
    await asyncio.to_thread(run, loop, lambda: broken_handshake(answers, why))


async def broken_handshake(answers: bool, why: set[str]) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read(1)
            writer.write(b"this is not TLS at all, far from it" if answers else b"")
            await (writer.drain() if answers else reader.read())
        finally:
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        with pytest.raises(NothingSent) as failed:
            await ask(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}", connect_s=1)
        assert failed.value.why in why
        await asyncio.sleep(0.05)  # the server notices and closes its end


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
        await wire.exchange(GET, to)
        slow = asyncio.ensure_future(wire.exchange(HttpRequest("GET", "/slow", (), b""), to))
        await asyncio.sleep(0.05)
        slow.cancel()
        with pytest.raises(asyncio.CancelledError):
            await slow
        assert (await wire.exchange(GET, to)).body == b"fast"
        await asyncio.sleep(0.2)
        assert (await wire.exchange(GET, to)).body == b"fast"
        wire.close()


@pytest.mark.parametrize("forged", [b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged", b"HTTP/1.1 200 O", b"HT"])
@pytest.mark.parametrize("pause_s", [0, 0.02])
async def test_unasked_bytes_end_the_connection(pause_s: float, forged: bytes):
    async def answer(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(OK if pause_s else OK + forged)
        await asyncio.sleep(pause_s)
        writer.write(forged if pause_s else b"")

    async with scripted(answer) as server:
        wire, to = Wire(), address(server.base_url)
        assert (await wire.exchange(GET, to)).body == b"{}"
        await asyncio.sleep(2 * pause_s)
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
