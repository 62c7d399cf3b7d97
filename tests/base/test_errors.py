"""Refusals: a stable code, a message in two languages, and a problem document that tells no secrets."""

import json
import re

import pytest

from tael.base.db import DatabaseUnavailable
from tael.base.errors import TaelError, catalogue, code, message
from tael.base.gate import HeadersTooLarge
from tael.base.http import InternalError, InvalidField, NotFound, problem_response
from tael.base.money import InvalidAmount
from tael.guard import IdempotencyInFlight
from tael.guard.keys import InvalidApiKey

CODES = [(InvalidAmount, "invalid_amount"), (NotFound, "not_found"), (InvalidApiKey, "invalid_api_key")]


@pytest.mark.parametrize(("error", "name"), CODES)
def test_the_code_is_the_class_name(error: type[TaelError], name: str) -> None:
    assert code(error) == name


@pytest.mark.parametrize("error", catalogue(), ids=code)
def test_every_refusal_speaks_two_languages(error: type[TaelError]) -> None:
    assert re.search("[a-z]{3}", message(error, "en"))
    assert not re.search("[一-鿿]", message(error, "en"))
    assert re.search("[一-鿿]", message(error, "zh"))
    assert 400 <= error.status < 600


HEADERS = [
    (NotFound(), {}),
    (InvalidApiKey(), {"www-authenticate": "Bearer"}),
    (DatabaseUnavailable(), {"retry-after": "1"}),
    (IdempotencyInFlight(), {"retry-after": "1"}),
    (DatabaseUnavailable(retry_after_s=7), {"retry-after": "7"}),
    (HeadersTooLarge(), {}),
    (InternalError(), {}),
]


@pytest.mark.parametrize(("error", "expected"), HEADERS, ids=[code(type(error)) for error, _ in HEADERS])
def test_headers(error: TaelError, expected: dict[str, str]) -> None:
    response = problem_response(error, language="en", request_id="req_1")
    telling = {name: response.headers[name] for name in ("www-authenticate", "retry-after") if name in response.headers}
    assert telling == expected
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["cache-control"] == "no-store"
    assert response.status_code == error.status


def test_the_document() -> None:
    error = InvalidField("too long", param="description", hint="at most 127", order_no="RC1")
    document = json.loads(problem_response(error, language="en", request_id="req_1").body)
    assert document == {
        "type": "/errors/invalid_field", "title": "A field has a value that is not allowed.", "status": 422,
        "code": "invalid_field", "retryable": False, "request_id": "req_1", "detail": "too long",
        "param": "description", "hint": "at most 127", "order_no": "RC1",
    }  # fmt: skip


def test_the_document_in_chinese() -> None:
    response = problem_response(NotFound(), language="zh", request_id="req_1")
    assert json.loads(response.body)["title"] == "对象不存在。"
    assert response.headers["content-language"] == "zh-CN"
