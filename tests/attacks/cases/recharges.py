"""How the table's requests are made: a recharge with something wrong, or raw bytes where JSON could not say it."""

from collections.abc import Callable

import msgspec

from attacks.arena import JSON, Arena, Call

Build = Callable[[Arena], Call]


def recharge(**changes: object) -> Build:
    """POST /v1/recharges with some fields changed; `...` leaves a field out."""

    def build(arena: Arena) -> Call:
        return Call("POST", "/v1/recharges", msgspec.json.encode(arena.recharge(**changes)), keyed())

    return build


def raw(name: str, text: bytes) -> Build:
    """POST /v1/recharges whose field `name` has the value `text` exactly as these bytes."""

    def build(arena: Arena) -> Call:
        body = msgspec.json.encode(arena.recharge(**{name: "@"})).replace(f'"{name}":"@"'.encode(), b'"%s":%s' % (
            name.encode(), text))  # fmt: skip
        return Call("POST", "/v1/recharges", body, keyed())

    return build


def body(content: bytes | Callable[[bytes], bytes], **headers: str) -> Build:
    """POST /v1/recharges with this body, or with what a function makes of a good one."""

    def build(arena: Arena) -> Call:
        good = msgspec.json.encode(arena.recharge())
        sent = content if isinstance(content, bytes) else content(good)
        return Call("POST", "/v1/recharges", sent, keyed(**headers))

    return build


def account(**changes: object) -> Build:
    """POST /v1/accounts with some fields changed."""

    def build(arena: Arena) -> Call:
        del arena
        fields: dict[str, object] = {"owner": "4711", "currency": "CNY"} | changes
        sent = {name: value for name, value in fields.items() if value is not ...}
        return Call("POST", "/v1/accounts", msgspec.json.encode(sent), JSON)

    return build


def get(path: str, *, key: str = "full", **headers: str) -> Build:
    """GET a path in which {account}, {order}, {foreign_account} and {foreign_order} stand for known objects."""
    return ask("GET", path, key=key, **headers)


def ask(method: str, path: str, content: bytes = b"", *, key: str = "full", **headers: str) -> Build:
    """Any method on a path with known objects; a body is announced as JSON."""

    def build(arena: Arena) -> Call:
        announced = {_name(name): value for name, value in headers.items()} | (JSON if content else {})
        return Call(
            method,
            arena.known.fill(path),
            arena.known.fill(content.decode("latin-1")).encode("latin-1"),
            announced,
            key,
        )

    return build


def by(key: str, build: Build) -> Build:
    """The same request with another of the arena's keys."""

    def changed(arena: Arena) -> Call:
        call = build(arena)
        return Call(call.method, call.path, call.content, call.headers, key)

    return changed


def with_headers(build: Build, **headers: str) -> Build:
    """The same request with further headers; an underscore in a name is a hyphen."""

    def changed(arena: Arena) -> Call:
        call = build(arena)
        more = {_name(name): value for name, value in headers.items()}
        kept = {name: value for name, value in call.headers.items() if name.lower() not in {m.lower() for m in more}}
        return Call(call.method, call.path, call.content, kept | more, call.key)

    return changed


def keyed(**headers: str) -> dict[str, str]:
    """JSON with an idempotency key that nobody used; refused requests leave it free."""
    return JSON | {"Idempotency-Key": "hostile"} | {_name(name): value for name, value in headers.items()}


def _name(name: str) -> str:
    return name.replace("_", "-")
