"""The wire towards many receivers: who says where a name leads, how much of a reply is read, what is kept open."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine

import pytest
import uvloop

from channels.otherside import Scripted, scripted
from tael.base.wire import CONNECTIONS, MOST_IDLE, Address, HttpRequest, NothingSent, ReplyLost, Wire, address

POST = HttpRequest("POST", "/hook", (), b'{"a":1}')
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
LOOPS = pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])


def run(loop: Callable[[], asyncio.AbstractEventLoop], story: Callable[[], Coroutine[None, None, None]]) -> None:
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(story())


NAMED = "shop.example.com"


def pinned(
    server: Scripted, asked: list[Address], *hosts: str
) -> tuple[Callable[[Address], Awaitable[list[str]]], Address]:
    """A finder that leads everybody to `hosts`, and the address of a shop at the server's port."""

    async def find(to: Address) -> list[str]:
        asked.append(to)
        return list(hosts)

    port = address(server.base_url).port
    return find, Address(NAMED, port, False, f"{NAMED}:{port}")


async def answer_ok(request: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(OK)


async def test_the_caller_says_where_a_name_leads_and_is_asked_for_new_connections_only():
    async with scripted(answer_ok) as server:
        asked: list[Address] = []
        find, to = pinned(server, asked, "::1", "127.0.0.1")  # nobody listens on the first
        wire = Wire(find=find)
        for _ in range(3):
            assert (await wire.exchange(POST, to)).status == 200
        other = Address("other.example.com", to.port, False, "other.example.com")
        await wire.exchange(POST, other)
        wire.close()
    assert asked == [to, other]
    assert server.connections == 2, "a connection that was opened for one name serves no other"
    hosts = [request.split(b"\r\n")[1].decode() for request in server.requests]
    assert hosts == [f"Host: {NAMED}:{to.port}"] * 3 + ["Host: other.example.com"]


class NotThere(Exception):
    pass


@pytest.mark.parametrize(("refusal", "raised"), [(NotThere("no"), NotThere), (OSError("no such name"), NothingSent)])
async def test_a_refused_name_sends_nothing_and_leaves_no_place_taken(refusal: Exception, raised: type[Exception]):
    async def find(to: Address) -> list[str]:
        raise refusal

    async with scripted(answer_ok) as server:
        wire, to = Wire(find=find), address(server.base_url)
        for _ in range(2 * CONNECTIONS):
            with pytest.raises(raised):
                await wire.exchange(POST, to)
        wire.close()
    assert server.connections == 0


async def test_a_name_that_is_looked_up_for_too_long_sent_nothing():
    async def find(to: Address) -> list[str]:
        await asyncio.sleep(60)
        return []

    with pytest.raises(NothingSent) as given_up:
        await Wire(find=find, total_s=0.05).exchange(POST, address("http://127.0.0.1:9"))
    assert given_up.value.why == "busy"


BEGINNINGS = [
    ("short", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", False, b"{}"),
    ("announced and never sent whole", b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n" + b"x" * 5000, False, b"x"),
    ("endless chunks", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 900, False, b"x"),
    ("until the end", b"HTTP/1.1 200 OK\r\n\r\nall of it", True, b"all of it"),
    ("no length and no end", b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 5000, False, b"x"),
    ("half of a body", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}", True, "half_reply"),
    ("half of the chunks", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", True, "half_reply"),
    ("head alone too large", b"HTTP/1.1 200 OK\r\nX: " + b"y" * 5000 + b"\r\n\r\n", False, "too_large"),
    ("interim replies only", b"HTTP/1.1 100 Continue\r\n\r\n" * 200, False, "too_large"),
    ("only an interim reply", b"HTTP/1.1 100 Continue\r\n\r\n", True, "half_reply"),
    ("half of a head", b"HTTP/1.1 200 OK\r\nX: y\r\n", True, "half_reply"),
    ("nothing", b"", True, "reset"),
]


@LOOPS
@pytest.mark.parametrize(
    ("reply", "closes", "outcome"), [case[1:] for case in BEGINNINGS], ids=[case[0] for case in BEGINNINGS]
)
async def test_who_wants_the_beginning_reads_no_more_than_the_limit(
    loop, reply: bytes, closes: bool, outcome: bytes | str
):
    await asyncio.to_thread(run, loop, lambda: begins(reply, closes, outcome))


async def begins(reply: bytes, closes: bool, outcome: bytes | str) -> None:
    async def answer(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(reply)
        if closes:
            writer.close()

    async with scripted(answer) as server:
        wire, to = Wire(reading="beginning", reply_limit=4096, total_s=5), address(server.base_url)
        if isinstance(outcome, str):
            with pytest.raises(ReplyLost) as lost:
                await wire.exchange(POST, to)
            assert lost.value.why == outcome
        else:
            response = await wire.exchange(POST, to)
            assert response.status == 200
            assert len(response.body) < 4096
            assert response.body == outcome or set(response.body) == set(outcome)
            again = not closes and len(reply) < 4096
            assert (len(wire._idle._by_age) == 1) is again, "what was cut off is not used again"
        wire.close()


async def test_an_idle_connection_is_dropped_although_nobody_asks_again():
    gone = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"}")
        writer.write(OK)
        assert await reader.read() == b""
        gone.set()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        wire = Wire(idle_s=0.05)
        await wire.exchange(POST, address(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"))
        await gone.wait()
        assert (len(wire._idle._by_age), len(wire._idle._by_address), wire._idle._sweep) == (0, 0, None)
        assert len(wire._slots) == 0, "an address that nobody talks to takes no room"
        wire.close()


async def test_of_too_many_idle_connections_the_oldest_is_dropped():
    async with scripted(answer_ok) as server:
        asked: list[Address] = []
        find, to = pinned(server, asked, "127.0.0.1")
        wire = Wire(find=find)
        shops = [Address(f"{n}.example.com", to.port, False, f"{n}.example.com") for n in range(MOST_IDLE + 1)]
        for shop in shops:
            await wire.exchange(POST, shop)
        assert len(wire._idle._by_age) == MOST_IDLE
        await wire.exchange(POST, shops[-1])
        await wire.exchange(POST, shops[1])
        assert len(asked) == MOST_IDLE + 1
        await wire.exchange(POST, shops[0])
        assert len(asked) == MOST_IDLE + 2
        wire.close()
