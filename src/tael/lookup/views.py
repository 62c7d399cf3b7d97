"""What the outside sees of a look-up. Ids are strings in JSON, amounts are minor units."""

from datetime import datetime
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from tael.lookup.entries import Way
from tael.lookup.looking import Answer

AnyJson: TypeAlias = object
"""What each sort of thing shows besides its one line."""


class View(BaseModel):
    """Base of every answer."""

    model_config = ConfigDict(frozen=True)


class HitView(View):
    """A thing that bears the number, `by` which of its numbers, and the order, transfer or adjustment it is part of."""

    kind: str = Field(examples=["order", "attempt", "event", "posting", "suspense_item"])
    by: str = Field(examples=["order number", "channel number"])
    number: str
    about: str | None
    facts: AnyJson


class EntryView(View):
    """One thing that happened. Exchanges with channels are shown as they were kept: redacted, with their hashes."""

    at: datetime
    what: str = Field(examples=["order", "exchange", "notice", "posting", "callback"])
    number: str
    actor: str
    way: Way
    text: str
    data: AnyJson


class StoryView(View):
    """One timeline, oldest first. `cut`: there is more than is shown."""

    number: str
    entries: list[EntryView]
    cut: bool


class LookupView(View):
    """Everything in the book that bears the number, and the stories that these things are part of."""

    object: Literal["lookup"] = "lookup"
    query: str
    hits: list[HitView]
    stories: list[StoryView]


def lookup_view(answer: Answer) -> LookupView:
    """The view of an answer."""
    return LookupView(
        query=answer.query,
        hits=[
            HitView(kind=hit.kind, by=hit.by, number=hit.number, about=hit.about, facts=hit.facts)
            for hit in answer.hits
        ],
        stories=[
            StoryView(
                number=story.number, cut=story.cut,
                entries=[
                    EntryView(
                        at=one.at, what=one.what, number=one.number, actor=one.actor, way=one.way, text=one.text,
                        data=one.data,
                    )
                    for one in story.entries
                ],
            )
            for story in answer.stories
        ],
    )  # fmt: skip
