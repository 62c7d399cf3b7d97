"""The control interface ``/_sim/``: what a test or the demo does to the channels behind a merchant's back. JSON in and
out.

    GET  book | deliveries | requests | clock                    what all channels share
    POST clock, POST drain, DELETE faults (of every channel)
    ...  <channel>/<name>                                        a channel's own controls
    ...  <name>                                                  the same of the first channel

400: not understood, 404: no such thing, 409: its state does not allow that.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

import msgspec

from tael_sandbox.clock import Mode
from tael_sandbox.faults import Fault, Misarmed
from tael_sandbox.views import BookView, ClockView, DeliveriesView, PaidView, RequestsView, SetClock
from tael_sandbox.web import Answer, Request, as_json
from tael_sandbox.world import ClockMoved, State, World

PREFIX = "/_sim/"
_T = TypeVar("_T")
_S = TypeVar("_S", bound=State)
Controls = Mapping[tuple[str, str], Callable[[_S, str, Request], Awaitable[Answer]]]
"""What a channel does when asked, by method and word."""


class Unknown(Exception):
    """There is no such thing here."""


class NotPossible(Exception):
    """The state of the thing does not allow it; the text says why."""


async def serve(world: World, request: Request) -> Answer:
    """Answer one control call, after everything it did is on disk."""
    try:
        answer = await _answer(world, request)
    except (msgspec.DecodeError, UnicodeDecodeError, Misarmed) as error:
        return as_json({"error": str(error)}, status=400)
    except Unknown as error:
        return as_json({"error": str(error)}, status=404)
    except NotPossible as error:
        return as_json({"error": str(error)}, status=409)
    await world.journal.settled()
    return answer


async def dispatch(state: _S, controls: Controls[_S], name: str, request: Request) -> Answer:
    """Answer a call of a channel's own controls, found by method and the first word of the name. ``faults`` is the
    same everywhere: POST arms one, DELETE disarms all, GET shows them. Raises ``Unknown`` and ``NotPossible``.
    """
    key = (request.method, name.partition("/")[0])
    if key in controls:
        return await controls[key](state, name, request)
    match key:
        case ("POST", "faults"):
            state.faults.arm(read(request, Fault))
        case ("DELETE", "faults"):
            state.faults.clear()
        case ("GET", "faults"):
            pass
        case _:
            raise Unknown("no such control")
    return as_json(state.faults.armed)


def read(request: Request, kind: type[_T]) -> _T:
    """The body as ``kind``; an empty body is an empty object."""
    return msgspec.json.decode(request.body or b"{}", type=kind)


async def _answer(world: World, request: Request) -> Answer:
    name = request.path.removeprefix(PREFIX)
    shared = _HANDLERS.get((request.method, name))
    if shared is not None:
        return await shared(world, request)
    first, _, rest = name.partition("/")
    if first in world.channels:
        return await world.channels[first].control(rest, request)
    return await next(iter(world.channels.values())).control(name, request)


async def _book(world: World, request: Request) -> Answer:
    paid: dict[str, PaidView] = {}
    for channel in world.channels.values():
        paid |= channel.paid()
    balances = dict(world.book.balances)
    return as_json(BookView(balances, sum(balances.values()), paid, tuple(world.book.entries)))


async def _deliveries(world: World, request: Request) -> Answer:
    return as_json(DeliveriesView(tuple(world.witness.deliveries), tuple(world.courier.pending())))


async def _requests(world: World, request: Request) -> Answer:
    return as_json(RequestsView(dict(world.witness.counts), tuple(world.witness.calls)))


async def _clock(world: World, request: Request) -> Answer:
    if request.method == "POST":
        said = read(request, SetClock)
        if said.advance_s:
            await world.courier.advance(said.advance_s)
        mode: Mode = said.mode or world.clock.mode
        kept_ms = 0 if said.mode == "real" else world.clock.now_ms()
        now_ms = kept_ms if said.now_ms is None else said.now_ms
        world.record(ClockMoved(mode, said.wire or world.clock.wire, now_ms))
    return as_json(ClockView(world.clock.mode, world.clock.wire, world.clock.now_ms()))


async def _drain(world: World, request: Request) -> Answer:
    await world.courier.drain()
    return await _deliveries(world, request)


async def _heal(world: World, request: Request) -> Answer:
    for channel in world.channels.values():
        channel.heal()
    return as_json([])


_HANDLERS: dict[tuple[str, str], Callable[[World, Request], Awaitable[Answer]]] = {
    ("GET", "book"): _book,
    ("GET", "deliveries"): _deliveries,
    ("GET", "requests"): _requests,
    **{(method, "clock"): _clock for method in ("GET", "POST")},
    ("POST", "drain"): _drain,
    ("DELETE", "faults"): _heal,
}
