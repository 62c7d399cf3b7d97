"""XML as 99bill writes it: elements with text or with elements, no attributes that matter. Strict on what it reads.

Refused: a document type (so there are no entities to expand or fetch), anything too large or too deep, a second element
of a name where one is meant. Ignored: elements that nobody asks for, attributes, comments.
"""

import html
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NoReturn, TypeAlias
from xml.parsers import expat

from tael.channels.reading import Unreadable

LIMIT = 256 * 1024
DEPTH = 16
HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'

Content: TypeAlias = "str | Sequence[tuple[str, Content]]"


@dataclass(slots=True)
class Element:
    """One element; `text` is all the text directly in it, without the white space around it."""

    name: str
    text: str = ""
    children: list["Element"] = field(default_factory=list["Element"])

    def all(self, name: str) -> list["Element"]:
        """Every child of this name, in order."""
        return [child for child in self.children if child.name == name]

    def child(self, name: str) -> "Element":
        """The only child of this name. Raises `Unreadable`."""
        found = self.all(name)
        if len(found) != 1:
            raise Unreadable(f"{len(found)} {name}")
        return found[0]

    def said(self, name: str) -> str:
        """The text of the child of this name, empty when there is none. Raises `Unreadable` when there are several."""
        return self.child(name).text if self.all(name) else ""


def read(raw: bytes, root: str) -> Element:
    """The root element, which must be called `root` in whatever case. Raises `Unreadable`, whatever the bytes are."""
    if len(raw) > LIMIT:
        raise Unreadable("too large")
    reading = _Reading()
    try:
        reading.parser.Parse(raw.decode("utf-8-sig"), True)
    except (expat.ExpatError, ValueError) as problem:
        raise Unreadable("not XML") from problem
    found = reading.top.children[0]
    # Public integrations spell root elements both ways, pay2bankOrder and pay2BankOrder.
    if found.name.lower() != root.lower():
        raise Unreadable("root")
    return found


def write(name: str, content: Content) -> bytes:
    """A whole document, the same bytes for the same content."""
    return (HEAD + _written(name, content)).encode()


def _written(name: str, content: Content) -> str:
    if isinstance(content, str):
        text = html.escape(content, quote=False)
    else:
        text = "".join(_written(one, more) for one, more in content)
    return f"<{name}>{text}</{name}>"


class _Reading:
    """The parser's state: the elements that are open, from the outside in."""

    def __init__(self) -> None:
        self.top = Element("")
        self._open = [self.top]
        # Whatever encoding the document claims, it is read as UTF-8.
        self.parser = expat.ParserCreate("UTF-8")
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self._refuse
        self.parser.EntityDeclHandler = self._refuse
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._open) > DEPTH:
            raise Unreadable("too deep")
        element = Element(name)
        self._open[-1].children.append(element)
        self._open.append(element)

    def _end(self, name: str) -> None:
        ended = self._open.pop()
        ended.text = ended.text.strip()

    def _text(self, text: str) -> None:
        self._open[-1].text += text

    def _refuse(self, *what: object) -> NoReturn:
        raise Unreadable("document type")
