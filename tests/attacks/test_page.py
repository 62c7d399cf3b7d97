"""The public page shows the table as it is run."""

from attacks.cases import ALL
from attacks.page import PAGE, page


def test_the_page_is_current() -> None:
    assert PAGE.read_text("utf-8") == page(), "run: python tests/attacks/page.py"


def test_no_two_rows_say_the_same() -> None:
    rows = [str(case) for cases in ALL.values() for case in cases]
    assert len(rows) == len(set(rows))
