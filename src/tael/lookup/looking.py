"""Look something up: what bears the number, and the stories that those things are part of."""

from collections.abc import Sequence
from dataclasses import dataclass

from tael.base.db import Tx
from tael.lookup.finding import Hit, NothingFound, find
from tael.lookup.story import Story, tell

MOST_STORIES = 5


@dataclass(frozen=True, slots=True)
class Answer:
    """All hits, and a story for each order, transfer or adjustment among them, five at most."""

    query: str
    hits: Sequence[Hit]
    stories: Sequence[Story]


async def look_up(tx: Tx, *, book: int, text: str) -> Answer:
    """Everything about a number. Raises `NothingFound`."""
    hits = await find(tx, book=book, text=text)
    if not hits:
        raise NothingFound
    stories: dict[str, Story] = {}
    for number in dict.fromkeys(hit.about for hit in hits if hit.about is not None):
        if len(stories) < MOST_STORIES and all(number != told.number for told in stories.values()):
            story = await tell(tx, book=book, number=number)
            stories[story.number] = story
    return Answer(text.strip(), hits, list(stories.values()))
