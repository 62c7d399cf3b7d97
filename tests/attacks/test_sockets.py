"""What no honest HTTP client can send, over raw sockets to the real server: every answer is a 4xx or a closed door.

A case is bytes and the status that comes back; 0 means the connection ends without an answer.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest
import uvicorn

from attacks.arena import Arena
from tael.base.gate import Gate, PatientProtocol
from tael.payments.notice_endpoint import NoticeEndpoint
from tael.transfers.endpoint import TransferEndpoint


class Hasty(PatientProtocol):
    """Waits a tenth of a second for a head, so that a test need not wait ten."""

    head_timeout_s = 0.1


@pytest.fixture(scope="session")
async def port(arena: Arena) -> AsyncIterator[int]:
    """The arena's application behind the protocol that production uses, in a hurry."""
    system = arena.shop.system
    transfers = TransferEndpoint(system.api, system.key_ring, system.parts.transfers)
    app = Gate(NoticeEndpoint(transfers, system.parts.notices), body_timeout_s=0.1)
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listener:
        config = uvicorn.Config(app, log_config=None, lifespan="off", access_log=False, http=Hasty)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:
            await asyncio.sleep(0)
        yield listener.getsockname()[1]
        server.should_exit = True
        await serving


def post(*headers: str, body: bytes = b"", path: str = "/v1/recharges", auth: bool = True) -> bytes:
    """A POST with these header lines and nothing else; `KEY` in a line is the arena's key."""
    lines = [f"POST {path} HTTP/1.1", "Host: x", *(["Authorization: Bearer KEY"] if auth else []), *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


JSON = "Content-Type: application/json"
KEY = "Idempotency-Key: raw"
GOOD = b'{"amount":1}'
CASES = [
    ("V65 two kinds of length", post(JSON, KEY, "Content-Length: 3", "Transfer-Encoding: chunked",
     body=b"0\r\n\r\n"), 400),
    ("V65 the other way round", post(JSON, KEY, "Transfer-Encoding: chunked", "Content-Length: 3",
     body=b"0\r\n\r\n"), 400),
    ("V65 two lengths", post(JSON, KEY, "Content-Length: 12", "Content-Length: 13", body=GOOD), 400),
    ("V65 the same length twice", post(JSON, KEY, "Content-Length: 12", "Content-Length: 12", body=GOOD), 400),
    ("V65 a list of lengths", post(JSON, KEY, "Content-Length: 12, 12", body=GOOD), 400),
    ("V65 a length with a sign", post(JSON, KEY, "Content-Length: +12", body=GOOD), 400),
    ("V65 a negative length", post(JSON, KEY, "Content-Length: -1", body=GOOD), 400),
    ("V65 a hexadecimal length", post(JSON, KEY, "Content-Length: 0xc", body=GOOD), 400),
    ("V65 a length of 30 digits", post(JSON, KEY, f"Content-Length: {'9' * 30}"), 400),
    ("V65 a length of 5,000 digits", post(JSON, KEY, f"Content-Length: {'9' * 5000}"), 400),
    ("V65 an unknown transfer coding", post(JSON, KEY, "Transfer-Encoding: xchunked", body=GOOD), 400),
    ("V65 chunked twice", post(JSON, KEY, "Transfer-Encoding: chunked, chunked", body=b"0\r\n\r\n"), 400),
    ("V65 chunked before the name's colon", post(JSON, KEY, "Transfer-Encoding : chunked", body=b"0\r\n\r\n"), 400),
    ("V65 a chunk size that is none", post(JSON, KEY, "Transfer-Encoding: chunked", body=b"xyz\r\n"), 400),
    ("V65 a chunk size without end", post(JSON, KEY, "Transfer-Encoding: chunked", body=b"f" * 40 + b"\r\n"), 400),
    ("V65 a folded header", post(JSON, KEY, "X: a\r\n b", "Content-Length: 12", body=GOOD), 400),
    ("V65 a bare carriage return", post(JSON, KEY, "X: a\rb", "Content-Length: 12", body=GOOD), 400),
    ("V65 NUL in a header", post(JSON, KEY, "X: a\0b", "Content-Length: 12", body=GOOD), 400),
    ("V65 a space in a header's name", post(JSON, KEY, "X Y: a", "Content-Length: 12", body=GOOD), 400),
    ("V53 5 MB in one header", post(JSON, KEY, f"X: {'x' * 5_000_000}"), 431),
    ("V53 100,000 headers", post(JSON, KEY, *(f"X{n}: y" for n in range(100_000))), 431),
    ("V53 5 MB of path", post(JSON, KEY, path="/" + "x" * 5_000_000), 431),
    ("V47 a length of 100 MB", post(JSON, KEY, "Content-Length: 100000000", body=b" " * 1000), 413),
    ("V47 65 KB in chunks", post(JSON, KEY, "Transfer-Encoding: chunked",
     body=b"fa00\r\n" + b" " * 64_000 + b"\r\nfa00\r\n"
                                 + b" " * 64_000), 413),
    ("N23 100 MB to the notices", post("Content-Length: 100000000", path="/v1/notices/wechat/1",
     body=b"x" * 1000), 413),
    ("V66 a length of one, then nothing", post(JSON, KEY, "Content-Length: 1"), 408),
    ("V67 chunks that never end", post(JSON, KEY, "Transfer-Encoding: chunked", body=b"1\r\n{\r\n1\r\n \r\n"), 408),
    ("V67 a notice that never ends", post("Transfer-Encoding: chunked", path="/v1/notices/wechat/1",
     body=b"1\r\n{\r\n"), 408),
    ("V68 nothing at all", b"", 408),
    ("V68 half a request line", b"POST /v1/rech", 408),
    ("V68 headers that never end", b"POST /v1/recharges HTTP/1.1\r\nHost: x\r\nX: y\r\n", 408),
    ("S03 two keys", post("Authorization: Bearer KEY", JSON, KEY, "Content-Length: 2", body=b"{}"), 401),
    ("S03 a wrong key, then the right one", post("Authorization: Bearer x", "Authorization: Bearer KEY", JSON, KEY,
                                                 "Content-Length: 2", body=b"{}", auth=False), 401),
    ("K07 two idempotency keys", post(JSON, KEY, "Idempotency-Key: other", "Content-Length: 300", body=b"GOOD"), 400),
    ("V64 an absolute target elsewhere", b"GET http://127.0.0.1:9/v1/recharges HTTP/1.1\r\nHost: x\r\n\r\n", 401),
    ("V64 CONNECT", b"CONNECT 127.0.0.1:9 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("V64 OPTIONS of everything", b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    ("V64 an invented method", b"PAY /v1/recharges HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("V64 HTTP/0.9", b"GET /v1/recharges\r\n\r\n", 401),
    ("V64 HTTP/2 without asking", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    ("V64 TLS on a plain port", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 64, 400),
    ("V64 a line feed in the target", b"GET /v1/recharges\n/x HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("V64 UTF-8 in the target", "GET /v1/充值 HTTP/1.1\r\nHost: x\r\n\r\n".encode(), 400),
    ("V64 a WebSocket", b"GET /v1/recharges HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
     b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", 401),
]  # fmt: skip


@pytest.mark.parametrize(("sent", "status"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
async def test_bytes(arena: Arena, port: int, sent: bytes, status: int) -> None:
    good = b'{"account_id":"%s","amount":100,"currency":"CNY","channel":"wechat","method":"native","description":"%s"}'
    whole = good % (arena.known.account.encode(), b"x" * 127)
    sent = sent.replace(b"KEY", arena.keys["full"].encode()).replace(b"GOOD", whole.ljust(300))
    assert await _status(port, sent) == status
    assert await arena.changes() == set()


async def test_a_request_behind_a_refused_one_is_not_smuggled(arena: Arena, port: int) -> None:
    hidden = (
        b"GET /v1/recharges HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + arena.keys["full"].encode() + b"\r\n\r\n"
    )
    sent = post(JSON, KEY, "Content-Length: 4", "Transfer-Encoding: chunked", body=b"0\r\n\r\n" + hidden)
    answer = await _exchange(port, sent.replace(b"KEY", arena.keys["full"].encode()))
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b'"data"' not in answer


async def test_the_server_still_serves_after_all_that(arena: Arena, port: int) -> None:
    sent = b"GET /v1/recharges HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer %s\r\n\r\n"
    assert await _status(port, sent % arena.keys["full"].encode()) == 200


TRANSFERS = [(name, sent.replace(b"/v1/recharges", b"/v1/transfers"), status) for name, sent, status in CASES
             if sent.startswith(b"POST /v1/recharges")]  # fmt: skip


@pytest.mark.parametrize(("sent", "status"), [case[1:] for case in TRANSFERS], ids=[case[0] for case in TRANSFERS])
async def test_bytes_to_transfers(arena: Arena, port: int, sent: bytes, status: int) -> None:
    """The address that is answered before the framework takes no more than any other."""
    good = b'{"from_account_id":"{rich}","to_account_id":"{other}","amount":100,"currency":"CNY"}'
    whole = arena.known.fill(good.decode()).encode()
    sent = sent.replace(b"KEY", arena.keys["full"].encode()).replace(b"GOOD", whole.ljust(300))
    await arena.changes()
    assert await _status(port, sent) == status
    assert await arena.changes() == set()


async def _status(port: int, sent: bytes) -> int:
    answer = await _exchange(port, sent)
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0


async def _exchange(port: int, sent: bytes) -> bytes:
    """Send everything, or as much as the server takes; answers what it said until it hung up or paused."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    answer = b""
    with contextlib.suppress(ConnectionError):
        # The answer comes while the request is still being written: reading and writing do not wait for each other.
        answer = await reader.readuntil(b"\r\n\r\n")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.05):
                answer += await reader.read()
    writer.transport.abort()
    return answer
