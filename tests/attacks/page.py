"""docs/attacks.md from the table: `python tests/attacks/page.py` writes it, a test holds it to the table."""

import sys
from collections.abc import Iterator
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "attacks.md"
_OPENING = """\
# Bad input and attacks · 恶意输入与攻击

Every row below is sent to a running system by `tests/attacks/test_refused.py`. Each must be answered with the status
and code shown, and must leave **every row of every table as it was** (a digest of all tables is compared) and **call
nobody**: no request reaches the channel or a business. A verified notice is the one exception: it is kept as evidence
before it is refused.

What needs a raw socket (two lengths, headers without end, bodies that never end) is in
`tests/attacks/test_sockets.py`; repeated and parallel requests in `tests/attacks/test_idempotency.py` and
`tests/orders/`; addresses that callbacks may not go to in `tests/callbacks/test_destination.py`; random input made
from the API's own description in `tests/attacks/test_openapi.py`.

`python tests/attacks/page.py` makes this page.
"""


def page() -> str:
    """The page as the table makes it."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    from attacks.cases import ALL

    yield _OPENING
    yield f"{sum(len(cases) for cases in ALL.values())} cases."
    for title, cases in ALL.items():
        yield from ("", f"## {title}", "", "| id | what is sent | status | code |", "|---|---|---|---|")
        for case in cases:
            yield f"| {case.id} | {_plain(case.what)} | {case.status} | {f'`{case.code}`' if case.code else ''} |"


def _plain(text: str) -> str:
    """Text that a table cell shows as it is."""
    visible = "".join(letter if letter.isprintable() else f"\\u{ord(letter):04x}" for letter in text)
    for letter in "\\|<>*_[]`":
        visible = visible.replace(letter, f"\\{letter}")
    return visible


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    PAGE.write_text(page(), "utf-8")
