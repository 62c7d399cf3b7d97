"""The raw parts of a JSON object, byte for byte as they were sent.

Alipay signs the text of one member of the reply, not the reply: what is verified must be exactly the bytes that were
signed, and what is read must be exactly what was verified. So the object is cut up by a scanner that knows strings
(a brace inside one ends nothing), a name that stands twice is refused (a forged copy could follow the genuine one), and
so is anything after the end.
"""

import re
from collections.abc import Mapping

import msgspec

from tael.channels.reading import Unreadable, read_as

_STRING = rb'"(?:[^"\\\x00-\x1f]++|\\.)*+"'
_NAME = re.compile(rb"[ \t\r\n]*(" + _STRING + rb")[ \t\r\n]*:[ \t\r\n]*")
_PLAIN = re.compile(rb"[-+.0-9A-Za-z]{1,64}|" + _STRING)
# Outside of strings only brackets matter; a lone quote is a string that never ends.
_STEP = re.compile(_STRING + rb'|[{}\[\]"]')
_NEXT = re.compile(rb"[ \t\r\n]*([,}])")
_OPEN = re.compile(rb"[ \t\r\n]*\{")
_EMPTY = re.compile(rb"[ \t\r\n]*\{[ \t\r\n]*\}[ \t\r\n]*")
_SPACE = b" \t\r\n"
_text = msgspec.json.Decoder(str)


def members(body: bytes) -> Mapping[str, bytes]:
    """The members of a JSON object: name -> the raw text of its value. Raises `Unreadable`."""
    if _EMPTY.fullmatch(body):
        return {}
    opening = _OPEN.match(body)
    if opening is None:
        raise Unreadable("not an object")
    found: dict[str, bytes] = {}
    place, sign = opening.end(), b","
    while sign == b",":
        named = _NAME.match(body, place)
        if named is None:
            raise Unreadable("name")
        name, end = text(named[1]), _end(body, named.end())
        if name in found:
            raise Unreadable("a name stands twice")
        found[name] = body[named.end() : end]
        following = _NEXT.match(body, end)
        if following is None:
            raise Unreadable("member")
        place, sign = following.end(), following[1]
    if body[place:].strip(_SPACE):
        raise Unreadable("something follows")
    return found


def text(raw: bytes) -> str:
    """The string that a JSON string stands for. Raises `Unreadable`."""
    return read_as(_text, raw, "string")


def _end(body: bytes, start: int) -> int:
    """Where the value that starts at `start` ends."""
    if body[start : start + 1] not in (b"{", b"["):
        plain = _PLAIN.match(body, start)
        if plain is None:
            raise Unreadable("value")
        return plain.end()
    depth = 0
    for step in _STEP.finditer(body, start):
        match step[0]:
            case b"{" | b"[":
                depth += 1
            case b"}" | b"]":
                depth -= 1
                if depth == 0:
                    return step.end()
            case b'"':
                raise Unreadable("string")
            case _:
                pass
    raise Unreadable("no end")
