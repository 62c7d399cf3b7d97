"""The house rules that a program can check."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "src").rglob("*.py"))
EVERYTHING = sorted(
    path for folder in ("src", "tests", "benchmarks", "docs", "scripts", "requirements", ".ci")
    for path in (ROOT / folder).rglob("*") if path.is_file() and path.suffix not in {".pyc"}
)  # fmt: skip
STORYLESS = {"service", "utils", "util", "manager", "helpers", "helper", "models", "exceptions", "common", "misc"}
PACKAGES = sorted(path.parent for path in (ROOT / "src").rglob("__init__.py"))


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_a_file_is_short_and_tells_a_story(path: Path) -> None:
    text = path.read_text("utf-8")
    tree = ast.parse(text)
    assert text.count("\n") <= 400, "over 400 lines"
    assert path.stem not in STORYLESS, "the name tells no story"
    assert ast.get_docstring(tree), "no opening docstring"
    too_long = [one.name for one in functions(tree) if (one.end_lineno or 0) - one.lineno + 1 > 50]
    assert not too_long, f"over 50 lines: {too_long}"


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_no_wall_clock_no_commented_promises_no_bare_except(path: Path) -> None:
    text = path.read_text("utf-8")
    assert not re.search(r"\b(TODO|FIXME|XXX)\b", text)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, "bare except"
    if name(path).startswith("src/tael/") and not path.name.startswith("faults_"):
        assert "datetime.now(" not in text, "only a clock knows the time"
        assert "utcnow(" not in text


_WITH_MONEY = {
    "adjustments", "approvals", "ledger", "orders", "payments", "refunds", "risk", "routing", "transfers",
    "withdrawals",
}  # fmt: skip
MONEY = [path for path in SOURCES if _WITH_MONEY & set(path.relative_to(ROOT).parts)]


@pytest.mark.parametrize("path", MONEY, ids=name)
def test_no_float_where_money_is_touched(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        assert not (isinstance(node, ast.Constant) and type(node.value) is float), f"line {node.lineno}"
        assert not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "float")
        assert not (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and not _is_path(node)), node.lineno


def _is_path(node: ast.BinOp) -> bool:
    """`folder / "name"` is a path, not a division."""
    return isinstance(node.right, ast.Constant | ast.JoinedStr) and not isinstance(
        getattr(node.right, "value", ""), int
    )


@pytest.mark.parametrize("package", PACKAGES, ids=name)
def test_no_empty_rooms(package: Path) -> None:
    assert any(path.name != "__init__.py" for path in package.rglob("*.py"))


@pytest.mark.parametrize("path", [path for path in SOURCES if path.name == "store.py"], ids=name)
def test_statements_are_private_to_their_package(path: Path) -> None:
    package = ".".join(path.parent.relative_to(ROOT / "src").parts)
    outside = [
        other for other in SOURCES
        if not other.is_relative_to(path.parent)
        and re.search(rf"{re.escape(package)}(\.| import )store\b", other.read_text("utf-8"))
    ]  # fmt: skip
    assert not outside


def test_nothing_names_a_registry_or_a_path_of_one_machine() -> None:
    wrong = re.compile(r"index-url|extra-index|files\.pythonhosted|registry\.npmjs|pypi\.org/simple|/root/|/work/")
    found = [
        name(path) for path in EVERYTHING
        if path != Path(__file__) and wrong.search(path.read_bytes().decode("utf-8", "replace"))
        and path.name != "Makefile"
    ]  # fmt: skip
    assert not found


def test_every_message_has_two_languages() -> None:
    import tael.cli.commands  # noqa: F401
    from tael.base.errors import catalogue, message

    for error in catalogue():
        assert message(error, "en"), error
        assert re.search("[一-鿿]", message(error, "zh")), error
