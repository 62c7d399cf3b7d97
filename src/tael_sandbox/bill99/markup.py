"""Reading and writing the XML of 99bill. A document type is refused before anything is parsed."""

from typing import TypeAlias
from xml.etree import ElementTree
from xml.sax.saxutils import escape

Inside: TypeAlias = "str | list[tuple[str, Inside]]"
_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'


class NotReadable(Exception):
    """Not a document of 99bill's."""


class Node:
    """An element that is asked for its parts by name."""

    def __init__(self, element: ElementTree.Element) -> None:
        """Wrap a parsed element."""
        self._element = element

    @classmethod
    def read(cls, raw: bytes, root: str) -> "Node":
        """Parse a document with this root, in whatever case: both spellings are in use. Raises ``NotReadable``."""
        if b"<!DOCTYPE" in raw or b"<!ENTITY" in raw:
            raise NotReadable("document type")
        try:
            element = ElementTree.fromstring(raw)  # noqa: S314
        except (ElementTree.ParseError, ValueError, LookupError) as error:
            raise NotReadable("not XML") from error
        if element.tag.lower() != root.lower():
            raise NotReadable("root")
        return cls(element)

    def part(self, name: str) -> "Node":
        """The part with this name. Raises ``NotReadable`` when there is not exactly one."""
        found = self._element.findall(name)
        if len(found) != 1:
            raise NotReadable(name)
        return Node(found[0])

    def text(self, name: str, default: str | None = None) -> str:
        """The text of a part; ``default`` when it is not there. Raises ``NotReadable``."""
        if default is not None and self._element.find(name) is None:
            return default
        return (self.part(name)._element.text or "").strip()


def write(root: str, parts: list[tuple[str, Inside]]) -> bytes:
    """A document."""
    return (_HEAD + _element(root, parts)).encode()


def _element(name: str, inside: Inside) -> str:
    text = escape(inside) if isinstance(inside, str) else "".join(_element(*part) for part in inside)
    return f"<{name}>{text}</{name}>"
