"""Keys: what is refused at start, which platform key is believed, and when certificates are downloaded."""

import asyncio
from datetime import timedelta

import pytest

from channels.otherside import (
    NOW,
    NUMBER,
    OTHER_APIV3,
    PUBLIC_KEY_ID,
    account,
    certificate,
    certificate_list,
    notice,
    payment,
    private_pem,
    problem,
    reply,
    scripted,
    secrets,
    serial,
    signature_headers,
    transaction,
    wired,
)
from tael.channels.contract import BadCredentials, Outcome, PaymentRef, PaymentState
from tael.channels.transport import Transport
from tael.channels.wechat import WechatPay
from tael.channels.wechat.certificates import build_certificates, parse_certificates
from tael.channels.wechat.keys import Certificate, Keyring, keys_of, load, normal_serial

CONFIG = {"serial_no": "3775B6A45ACD588826D15E583A95F5DD7F1C2B3A", "public_key_id": PUBLIC_KEY_ID}
EC = b"-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----\n"
BAD = [
    ("no merchant key", {"merchant_key": b""}, {}, "merchant_key"),
    ("merchant key is text", {"merchant_key": b"hello"}, {}, "merchant_key"),
    ("merchant key is a public key", {"merchant_key": secrets()["public_key"]}, {}, "merchant_key"),
    ("APIv3 key empty", {"apiv3_key": b""}, {}, "apiv3_key"),
    ("APIv3 key short", {"apiv3_key": b"k7Qw9ZrT2mXc4VbN8aLs6DfGhJ1pYe3"}, {}, "apiv3_key"),
    ("APIv3 key long", {"apiv3_key": b"k7Qw9ZrT2mXc4VbN8aLs6DfGhJ1pYe3U1"}, {}, "apiv3_key"),
    ("APIv3 key with signs", {"apiv3_key": b"k7Qw9ZrT2mXc4VbN8aLs6DfGhJ1pYe3!"}, {}, "apiv3_key"),
    ("APIv3 key of one letter", {"apiv3_key": b"a" * 32}, {}, "apiv3_key"),
    ("public key is a private key", {"public_key": private_pem("platform")}, {}, "public_key"),
    ("public key of another kind", {"public_key": EC}, {}, "public_key"),
    ("no serial", {}, {"serial_no": ""}, "serial_no"),
    ("serial in words", {}, {"serial_no": "my certificate"}, "serial_no"),
    ("no public key id", {}, {"public_key_id": ""}, "public_key_id"),
    ("public key id of another form", {}, {"public_key_id": "PUB_KEY_1"}, "public_key_id"),
    ("unknown mode", {}, {"platform_keys": "some"}, "platform_keys"),
]


@pytest.mark.parametrize(("bad_secrets", "config", "param"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_bad_credentials_are_refused_and_not_quoted(bad_secrets: dict[str, bytes], config: dict[str, str], param: str):
    with pytest.raises(BadCredentials) as refused:
        load(secrets() | bad_secrets, CONFIG | config)
    assert refused.value.param == param
    for secret in bad_secrets.values():
        assert not secret or secret.decode() not in str(refused.value)


def test_a_trailing_newline_of_the_key_file_does_no_harm():
    assert load(secrets() | {"apiv3_key": secrets()["apiv3_key"] + b"\n"}, CONFIG).serial == CONFIG["serial_no"]


def listed(*names: str, signer: str, apiv3: str | None = None, **signing):
    content = certificate_list(*names) if apiv3 is None else certificate_list(*names, apiv3=apiv3)
    return reply(200, content, signer=signer, name=serial(signer), **signing)


LISTS = [
    ("signed by its own certificate", listed("first", signer="first"), {"first"}),
    ("two in overlap, either signs", listed("first", "second", signer="second"), {"first", "second"}),
    ("signed by one that is not in it", listed("first", signer="second"), None),
    ("stale", listed("first", signer="first", age_s=400), None),
    ("sealed with another key", listed("first", signer="first", apiv3=OTHER_APIV3), None),
    ("empty", listed(signer="first"), None),
    ("no list", reply(200, {"data": [{}]}, signer="first", name=serial("first")), None),
    ("an error", problem(500, "SYSTEM_ERROR"), None),
]


@pytest.mark.parametrize(("response", "names"), [case[1:] for case in LISTS], ids=[case[0] for case in LISTS])
def test_certificate_lists(response, names: set[str] | None):
    ours = account(platform_keys="certificates")
    sent = build_certificates(ours, now=NOW, nonce="0" * 32)
    found = parse_certificates(ours, sent, response, now=NOW).value
    assert (None if found is None else {held.serial for held in found}) == (names and {serial(name) for name in names})


def ring(**certificates: int) -> Keyring:
    """A keyring with certificates by name and days left."""
    held = [
        Certificate(serial(name), certificate(name).public_key(), NOW + timedelta(days=days))
        for name, days in certificates.items()
    ]
    keyring = Keyring(None, None, downloads=True)
    keyring.replace(held, now=NOW)
    return keyring


def test_lookup_is_by_serial_and_expiry():
    keyring = ring(first=1, second=100)
    assert keyring.find(serial("first"), now=NOW) == certificate("first").public_key()
    assert keyring.find("00" + serial("first").lower(), now=NOW) == certificate("first").public_key()
    assert keyring.find(serial("first"), now=NOW + timedelta(days=1)) is None
    assert keyring.find("PUB_KEY_ID_01", now=NOW) is None
    assert keyring.announced(now=NOW) == serial("second")
    assert normal_serial("0aF") == "AF"


DUE = [
    ("never downloaded", Keyring(None, None, downloads=True), 0, True),
    ("just downloaded", ring(first=100), 1, False),
    ("downloaded half a day ago", ring(first=100), 12 * 3600, True),
    ("public key only", Keyring("PUB_KEY_ID_1", None, downloads=False), 10**6, False),
    ("all certificates about to expire", ring(first=0), 1, True),
]


@pytest.mark.parametrize(("keyring", "later_s", "due"), [case[1:] for case in DUE], ids=[case[0] for case in DUE])
def test_download_is_due(keyring: Keyring, later_s: int, due: bool):
    assert keyring.due(now=NOW + timedelta(seconds=later_s)) is due


async def test_rotation_while_running_downloads_once_and_sends_nothing_twice():
    current = ["first"]

    async def platform(request: bytes, writer: asyncio.StreamWriter) -> None:
        signing = {"signer": current[-1], "name": serial(current[-1])}
        if b"/v3/certificates" in request:
            writer.write(wired(reply(200, certificate_list(*current), **signing)))
        else:
            writer.write(wired(reply(200, transaction(), **signing)))

    transport = Transport()
    async with scripted(platform) as server:
        connector = WechatPay(transport)
        ours = account(platform_keys="certificates", base_url=server.base_url)
        ref = PaymentRef(NUMBER)
        results = await asyncio.gather(*[connector.query_payment(ours, ref, now=NOW) for _ in range(8)])
        assert all(result.value.state is PaymentState.PAID for result in results)
        assert downloads(server.requests) == 1, "eight callers at start wait for one download"
        current.append("second")
        soon = await connector.query_payment(ours, ref, now=NOW + timedelta(seconds=30))
        assert soon.outcome is Outcome.UNKNOWN, "not again within a minute"
        assert downloads(server.requests) == 1
        later = await connector.query_payment(ours, ref, now=NOW + timedelta(seconds=61))
        assert later.value.state is PaymentState.PAID
        assert downloads(server.requests) == 2
        assert len(server.requests) == 8 + 2 + 2
    transport.close()


async def test_nothing_is_sent_while_no_reply_could_be_verified():
    async def broken(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(wired(problem(500, "SYSTEM_ERROR")))

    transport = Transport()
    async with scripted(broken) as server:
        ours = account(platform_keys="certificates", base_url=server.base_url)
        result = await WechatPay(transport).create_payment(ours, payment(), now=NOW)
        assert (result.outcome, result.error.code) == (Outcome.NOT_SENT, "no_platform_key")
        assert [b"/v3/certificates" in request for request in server.requests] == [True]
    transport.close()


async def test_both_modes_at_once_during_migration():
    async def platform(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(wired(reply(200, certificate_list("first"), signer="first", name=serial("first"))))

    transport = Transport()
    async with scripted(platform) as server:
        ours = account(platform_keys="both", base_url=server.base_url)
        connector, raw = WechatPay(transport), notice()
        await connector.keep_keys(ours, now=NOW)
        await connector.keep_keys(ours, now=NOW)
        assert downloads(server.requests) == 1
        assert keys_of(ours).keyring.announced(now=NOW) == PUBLIC_KEY_ID
        for signing in ({}, {"signer": "first", "name": serial("first")}):
            event = connector.verify_notification(ours, signature_headers(raw, **signing), raw, now=NOW)
            assert event.subject.number == NUMBER
    transport.close()


async def test_public_key_mode_never_calls_for_keys():
    transport = Transport()
    ours = account(base_url="http://127.0.0.1:1")
    keys_of(ours).keyring.missed = True
    await WechatPay(transport).keep_keys(ours, now=NOW)
    assert keys_of(ours).keyring.attempted_at is None
    transport.close()


def downloads(requests: list[bytes]) -> int:
    return sum(b"GET /v3/certificates " in request for request in requests)
