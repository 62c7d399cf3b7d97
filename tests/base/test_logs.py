"""Logs: whatever has a secret's name is blank, at any depth of named values."""

import pytest

from tael.base.logs import scrub

CANARY = "tael_test_sk_canary"
NAMED = [
    "authorization", "Authorization", "api_key", "apikey", "ApiKey", "password", "db_password", "client_secret",
    "secret", "private_key", "merchant_private_key", "token", "access_token", "cvv", "card_no", "apiv3_key",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMED)
def test_a_secret_s_value_is_blank(name: str) -> None:
    assert scrub(None, "", {"event": "x", name: CANARY}) == {"event": "x", name: "[scrubbed]"}


@pytest.mark.parametrize("name", NAMED)
def test_and_inside_other_values(name: str) -> None:
    event = scrub(None, "", {"event": "x", "request": {"headers": {name: CANARY}, "path": "/v1"}})
    assert CANARY not in repr(event)
    assert event["request"]["path"] == "/v1"


def test_everything_else_stays() -> None:
    event = {"event": "channel_call", "merchant_account": 1, "code": None, "outcome": "succeeded", "key_id": "abc"}
    assert scrub(None, "", dict(event)) == event


def test_keys_are_blanked_in_texts_lists_and_exceptions() -> None:
    key = "tael_test_sk_abcdefgh_" + "x" * 43 + "_abcdef"
    event = {"event": f"refused {key}", "list": [key, {"deep": (key,)}], "exception": f"ValueError: whsec_{key}"}
    assert key not in str(scrub(None, "", event))
    assert "refused [scrubbed]" in str(scrub(None, "", event))
