"""The pages a person sees instead of a phone: the latest bills, one bill with a Pay and a Decline button, no
JavaScript, Chinese and English. A bill is whatever a channel lets a person pay: an order, a trade.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar
from urllib.parse import parse_qs, urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined

from tael_sandbox.web import HTML, Answer, Request
from tael_sandbox.words import FRAME, Language, Words

_MOST_LISTED = 100
_PAGES = Environment(
    loader=PackageLoader("tael_sandbox", "pages"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'; frame-ancestors 'none'"
_State = TypeVar("_State")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill(Generic[_State]):
    """What a page shows. ``name`` finds the bill again, ``number`` is the merchant's; ``back`` leads to the shop."""

    name: str
    number: str
    what: str
    merchant: str
    amount: str
    state: _State
    until: str
    payable: bool
    back: str = ""


@dataclass(frozen=True, slots=True)
class Cashier(Generic[_State]):
    """The pages of one channel: the list is at ``home``, a bill at ``<desk>?<key>=<name>``, and its buttons post to
    ``<buttons>/pay`` and ``<buttons>/decline``.
    """

    home: str
    desk: str
    buttons: str
    key: str
    words: Mapping[Language, Words[_State]]

    def latest(self, request: Request, newest_first: Iterable[Bill[_State]]) -> Answer:
        """The list of the latest bills."""
        return self._page("latest.html", request, bills=list(islice(newest_first, _MOST_LISTED)))

    def show(self, request: Request, bill: Bill[_State]) -> Answer:
        """One bill."""
        refused = request.asked.get("declined") == "1" and bill.payable
        return self._page("bill.html", request, bill=bill, refused=refused)

    def gone(self, request: Request) -> Answer:
        """There is no such bill."""
        return self._page("gone.html", request, status=404)

    def back(self, name: str, *, language: str, declined: bool) -> Answer:
        """After a button was pressed: back to the bill."""
        said = {self.key: name, "lang": language, "declined": "1" if declined else "0"}
        return Answer(303, headers=(("Location", f"{self.desk}?{urlencode(said)}"),))

    def _page(self, name: str, request: Request, *, status: int = 200, **shown: object) -> Answer:
        language = _language(request)
        other: Language = "en" if language == "zh" else "zh"
        here = request.path if request.method == "GET" else self.home
        text = _PAGES.get_template(name).render(
            t=FRAME[language],
            own=self.words[language],
            cashier=self,
            lang=language,
            other=other,
            here_in_other=f"{here}?{urlencode({**request.asked, 'lang': other})}",
            **shown,
        )
        headers = (("Content-Security-Policy", _POLICY), ("Cache-Control", "no-store"))
        return Answer(status, text.encode(), HTML, headers)


def pressed(request: Request) -> dict[str, str]:
    """The fields of the form that a button sent; empty when they cannot be read."""
    try:
        return {name: values[-1] for name, values in parse_qs(request.body.decode()).items()}
    except UnicodeDecodeError:
        return {}


def _language(request: Request) -> Language:
    asked = request.asked.get("lang") or request.headers.get("accept-language", "")
    return "zh" if asked.lower().startswith("zh") else "en"
