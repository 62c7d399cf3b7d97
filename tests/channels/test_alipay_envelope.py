"""Cutting a reply up: what is a member, byte for byte, and what is no object at all."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tael.channels.alipay.envelope import members, text
from tael.channels.reading import Unreadable

CUT = [
    (b"{}", {}),
    (b' { "a" : 1 } ', {"a": b"1"}),
    (b'{"a":{"b":"}{]["},"sign":"x=="}', {"a": b'{"b":"}{]["}', "sign": b'"x=="'}),
    (rb'{"a":{"b":"\"}"},"c":"\\"}', {"a": rb'{"b":"\"}"}', "c": rb'"\\"'}),
    (rb'{"a":{"u":"http:\/\/x"}}', {"a": rb'{"u":"http:\/\/x"}'}),
    (b'{"a":[1,[2,{}]],"b":null,"c":-1.5e3}', {"a": b"[1,[2,{}]]", "b": b"null", "c": b"-1.5e3"}),
    ('{"a":{"b":"咖啡"}}'.encode(), {"a": '{"b":"咖啡"}'.encode()}),
    (rb'{"\u0061":1}', {"a": b"1"}),
]
BROKEN = [
    b"", b"[]", b"{", b"}", b'"a"', b'{"a"}', b'{"a":}', b'{"a":1', b'{"a":{}', b'{"a":1}}', b'{"a":1}x', b'{"a":1,}',
    b'{,"a":1}', b'{"a":"', b'{"a":{"b":"}', b'{"a":[1}', b"{a:1}", b'{"a":1 "b":2}', b'{"a":1,"a":2}',
    rb'{"a":1,"\u0061":2}', b'{"a":"\n"}', b'{"a":1}{"a":1}', b"\xff\xfe", b"<html></html>", b"{" * 10_000,
    b'{"a":' + b"[" * 10_000,
]  # fmt: skip


@pytest.mark.parametrize(("body", "found"), CUT)
def test_members_are_the_very_bytes(body: bytes, found: dict[str, bytes]):
    assert members(body) == found


@pytest.mark.parametrize("body", BROKEN)
def test_anything_else_is_unreadable(body: bytes):
    with pytest.raises(Unreadable):
        members(body)


@pytest.mark.parametrize("raw", [b"", b"1", b'"', b'"\\x"', b'"\xff"', b"[]"])
def test_what_is_no_string_is_unreadable(raw: bytes):
    with pytest.raises(Unreadable):
        text(raw)


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), _values, max_size=5), st.booleans(), st.sampled_from([None, 1]))
def test_every_object_is_cut_into_what_it_holds(content: dict[str, object], ascii_only: bool, indent: int | None):
    body = json.dumps(content, ensure_ascii=ascii_only, indent=indent).encode("utf-8", "surrogatepass")
    try:
        found = members(body)
    except Unreadable:
        assert any(0xD800 <= ord(char) <= 0xDFFF for char in json.dumps(content, ensure_ascii=False))
        return
    assert {name: json.loads(raw) for name, raw in found.items()} == content
    assert all(raw in body for raw in found.values())


@given(st.binary(max_size=200))
def test_no_bytes_break_it(body: bytes):
    with suppress(Unreadable):
        members(b'{"a":' + body)
