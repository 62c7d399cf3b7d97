"""Strict JSON: one meaning per document, or none."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tael.base.errors import TaelError, code
from tael.base.http import MAX_DEPTH, InvalidJson, InvalidText, language_of, strict_json

READ = [
    (b"{}", {}),
    (b' {"a": [1, -2, true, null, "x"]} ', {"a": [1, -2, True, None, "x"]}),
    (b'{"a":{"a":1},"b":{"a":1}}', {"a": {"a": 1}, "b": {"a": 1}}),
    ('{"说明":"充值\\n第二行\\t"}'.encode(), {"说明": "充值\n第二行\t"}),
    ('{"a":"👩‍👩‍👧"}'.encode(), {"a": "👩‍👩‍👧"}),
    (b"9007199254740993", 9007199254740993),
    (b"1.5", 1.5),
    (b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, json.loads("[" * MAX_DEPTH + "]" * MAX_DEPTH)),
]
REFUSED = [
    (b"", "invalid_json"), (b"{", "invalid_json"), (b"{}{}", "invalid_json"), (b"\xff", "invalid_json"),
    (b"\xef\xbb\xbf{}", "invalid_json"), (b'{"a":1,"a":1}', "invalid_json"), (b'{"a":1,"\\u0061":1}', "invalid_json"),
    (b'{"x":{"a":1,"a":2}}', "invalid_json"), (b"NaN", "invalid_json"), (b"-Infinity", "invalid_json"),
    (b"1e999", "invalid_json"), (b"9" * 5000, "invalid_json"), (b"[" * 100_000, "invalid_json"),
    (b"[" * (MAX_DEPTH + 2) + b"]" * (MAX_DEPTH + 2), "invalid_json"), (b'"\\u0000"', "invalid_text"),
    (b'{"\\u202e":1}', "invalid_text"), (b'["\\ud800"]', "invalid_text"), (b'"\\ud83d\\ude00\\u200b"', "invalid_text"),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "value"), READ)
def test_read(raw: bytes, value: object) -> None:
    assert strict_json(raw) == value


@pytest.mark.parametrize(("raw", "refusal"), REFUSED, ids=[str(raw[:30]) for raw, _ in REFUSED])
def test_refused(raw: bytes, refusal: str) -> None:
    with pytest.raises(TaelError) as refused:
        strict_json(raw)
    assert code(type(refused.value)) == refusal


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    with contextlib.suppress(InvalidJson, InvalidText):
        strict_json(raw)


LEAVES = st.none() | st.booleans() | st.integers() | st.text("ab 充\n")


@given(st.recursive(LEAVES, lambda part: st.lists(part) | st.dictionaries(st.text("ab充"), part), max_leaves=8))
def test_what_json_writes_is_read_back(value: object) -> None:
    assert strict_json(json.dumps(value).encode()) == value


LANGUAGES = [
    ("", "en"),
    ("en", "en"),
    ("zh", "zh"),
    ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
    ("en,zh", "en"),
    (" ZH-TW", "zh"),
]


@pytest.mark.parametrize(("accept", "language"), LANGUAGES)
def test_language(accept: str, language: str) -> None:
    assert language_of(accept) == language
