"""Keys: what is refused at start, which certificate of Alipay is believed, and when one is downloaded."""

import base64
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, x25519

from channels.otherside import NOW, NUMBER, key, private_pem, public_pem, scripted, wired
from channels.otherside_alipay import (
    SHORT,
    account,
    certificate,
    elliptic_root,
    form,
    namesake,
    pem,
    refusal,
    reply,
    secrets,
    sn,
    told,
    trade,
)
from tael.channels.alipay import Alipay
from tael.channels.alipay.certificates import build_download, parse_download
from tael.channels.alipay.keys import RETRY, certificate_sn, keys_of, load, trusted
from tael.channels.contract import BadCredentials, BadNotification, Outcome, PaymentRef, PaymentState
from tael.channels.transport import Transport

DOWNLOAD = "open.app.alipaycert.download"
KEY_MODE, BY_CERTIFICATE = secrets("public_key"), secrets("certificate")
BAD = [
    ("no private key", KEY_MODE | {"app_private_key": b""}, {}, "app_private_key"),
    ("private key is text", KEY_MODE | {"app_private_key": b"hello"}, {}, "app_private_key"),
    ("private key is public", KEY_MODE | {"app_private_key": public_pem("app")}, {}, "app_private_key"),
    ("no public key", {"app_private_key": private_pem("app")}, {}, "alipay_public_key"),
    ("public key is private", KEY_MODE | {"alipay_public_key": private_pem("app")}, {}, "alipay_public_key"),
    ("public key is a certificate", KEY_MODE | {"alipay_public_key": pem(certificate("app"))}, {}, "alipay_public_key"),
    ("unknown mode", KEY_MODE, {"mode": "both"}, "mode"),
    ("key mode with certificates", BY_CERTIFICATE, {"mode": "public_key"}, "alipay_public_key"),
    ("certificate mode with a key", KEY_MODE, {"mode": "certificate"}, "app_cert"),
    ("no root", {k: v for k, v in BY_CERTIFICATE.items() if k != "alipay_root_cert"}, {}, "alipay_root_cert"),
    ("a root without RSA", BY_CERTIFICATE | {"alipay_root_cert": pem(elliptic_root())}, {}, "alipay_root_cert"),
    ("certificate of another key", BY_CERTIFICATE | {"app_cert": pem(certificate("alipay"))}, {}, "app_cert"),
    ("certificate of another kind", BY_CERTIFICATE | {"alipay_cert": pem(elliptic_root())}, {}, "alipay_cert"),
    ("certificate is text", BY_CERTIFICATE | {"alipay_cert": b"hello"}, {}, "alipay_cert"),
]


@pytest.mark.parametrize(("bad", "config", "param"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_bad_credentials_are_refused_and_not_quoted(bad: dict[str, bytes], config: dict[str, str], param: str):
    with pytest.raises(BadCredentials) as refused:
        load(bad, config)
    assert refused.value.param == param
    for secret in bad.values():
        assert not secret or secret.decode() not in str(refused.value)


def test_keys_may_be_the_bare_text_of_the_console():
    def bare(pem_: bytes) -> bytes:
        return b"".join(pem_.strip().split(b"\n")[1:-1])

    loaded = load({"app_private_key": bare(private_pem("app")), "alipay_public_key": bare(public_pem("alipay"))}, {})
    assert not loaded.by_certificate
    assert loaded.keyring.public_key.public_numbers() == load(KEY_MODE, {}).keyring.public_key.public_numbers()


def test_the_mode_follows_from_the_secrets_and_the_issuer_may_follow_in_the_file():
    files = BY_CERTIFICATE | {"alipay_cert": pem(certificate("alipay"), certificate("ali-root"))}
    loaded = load(files, {})
    assert (loaded.app_sn, loaded.root_sn) == (sn("app"), sn("ali-root"))
    assert list(loaded.keyring.certificates) == [sn("alipay")]


def test_an_expired_certificate_verifies_nothing():
    after = NOW + timedelta(days=2000)
    ours = account()
    assert keys_of(ours).keyring.find(sn("alipay"), now=NOW) is not None
    assert keys_of(ours).keyring.find(sn("alipay"), now=after) is None
    assert keys_of(ours).keyring.every(now=after) == []


def _delivery(*chain, **signing):
    said = SHORT | {"alipay_cert_content": base64.b64encode(pem(*chain)).decode()}
    return reply(DOWNLOAD, said, **signing)


def _child(issuer: str):
    return certificate("next", issuer=issuer)


NEXT = certificate("next")
MIDDLE = certificate("middle", ca=True)
NO_CA = certificate("no-ca")
BY_NEXT = {"signer": "next"}
DELIVERED = [
    ("signed by a root", (NEXT,), BY_NEXT, True),
    ("and delivered by an older one", (NEXT,), {"signer": "alipay"}, True),
    ("through an authority", (_child("middle"), MIDDLE), BY_NEXT, True),
    ("through a mere certificate", (_child("no-ca"), NO_CA), BY_NEXT, False),
    ("signed by nobody we know", (_child("stranger"),), BY_NEXT, False),
    ("a chain with a gap", (_child("stranger"), MIDDLE), BY_NEXT, False),
    ("of another organisation, such as another app", (certificate("next", organisation="Shop"),), BY_NEXT, False),
    ("delivered by a stranger", (NEXT,), {"signer": "stranger"}, False),
    ("not signed", (NEXT,), {"signed": False}, False),
    ("expired", (certificate("next", days=-1),), BY_NEXT, False),
]


@pytest.mark.parametrize(
    ("chain", "signing", "believed"), [case[1:] for case in DELIVERED], ids=[case[0] for case in DELIVERED]
)
def test_a_delivered_certificate_is_believed_if_it_ends_in_our_root(chain: tuple, signing: dict, believed: bool):
    ours, asked = account(), certificate_sn(chain[0])
    named = {"name": asked} if signing.get("signer") == "next" else {}
    sent = build_download(ours, asked, now=NOW)
    result = parse_download(ours, asked, sent, _delivery(*chain, **signing, **named), now=NOW)
    assert (result.outcome is Outcome.SUCCEEDED) is believed, result.error
    assert list(keys_of(ours).keyring.certificates) == [sn("alipay")], "parsing believes nothing by itself"


def _of_an_unknown_kind() -> x509.Certificate:
    """The root's certificate, which says of its key that it is of a kind that does not exist."""
    kind = bytes.fromhex("06092a864886f70d0101")
    written = certificate("ali-root").public_bytes(serialization.Encoding.DER)
    assert written.count(kind + b"\x01") == 1
    return x509.load_der_x509_certificate(written.replace(kind + b"\x01", kind + b"\x63"))


ISSUERS = [
    ("another name", certificate("stranger"), ValueError),
    ("another RSA key", namesake(key("stranger").public_key()), InvalidSignature),
    ("a key on a curve", namesake(ec.generate_private_key(ec.SECP256R1()).public_key()), ValueError),
    ("a key that cannot sign", namesake(x25519.X25519PrivateKey.generate().public_key()), TypeError),
    ("a key of an unknown kind", _of_an_unknown_kind(), UnsupportedAlgorithm),
]


@pytest.mark.parametrize(("issuer", "raised"), [case[1:] for case in ISSUERS], ids=[case[0] for case in ISSUERS])
def test_an_issuer_that_does_not_fit_makes_no_certificate_trusted(issuer: x509.Certificate, raised: type[Exception]):
    with pytest.raises(raised):
        NEXT.verify_directly_issued_by(issuer)
    assert not trusted([NEXT], (issuer,), now=NOW)
    assert trusted([NEXT], (issuer, certificate("ali-root")), now=NOW), "one that does not fit is passed over"


def test_another_certificate_than_the_one_asked_for_is_not_believed():
    ours, other = account(), certificate("another")
    sent = build_download(ours, sn("next"), now=NOW)
    response = _delivery(other, signer="another", name=certificate_sn(other))
    assert parse_download(ours, sn("next"), sent, response, now=NOW).outcome is Outcome.UNKNOWN


async def _query(replies: list[bytes], times: list[timedelta]):
    async def answer(request: bytes, writer) -> None:
        writer.write(replies[min(len(server.requests) - 1, len(replies) - 1)])

    transport = Transport()
    async with scripted(answer) as server:
        ours, connector = account(base_url=server.base_url), Alipay(transport)
        results = [await connector.query_payment(ours, PaymentRef(NUMBER), now=NOW + late) for late in times]
    transport.close()
    return ours, server, results


async def test_a_new_certificate_is_fetched_once_and_the_reply_is_read_again():
    new = wired(reply("trade.query", trade(), signer="next"))
    replies = [new, wired(_delivery(NEXT, signer="next")), new]
    ours, server, results = await _query(replies, [timedelta(), timedelta()])
    assert [result.value.state for result in results] == [PaymentState.PAID] * 2
    assert len(server.requests) == 3, "one question, one download, one question"
    assert b"alipaycert.download" in server.requests[1]
    for signer in ("alipay", "next"):
        raw = form(told(), signer=signer)
        assert Alipay(Transport()).verify_notification(ours, [], raw, now=NOW).subject.state is PaymentState.PAID


async def test_a_certificate_that_does_not_exist_is_asked_for_once_a_minute_at_most():
    forged = wired(reply("trade.query", trade(), signer="stranger"))
    refused = wired(refusal(DOWNLOAD, "CERT_NOT_EXIST"))
    replies = [forged, refused, forged, forged, refused]
    _, server, results = await _query(replies, [timedelta(), timedelta(seconds=1), RETRY])
    assert [result.outcome for result in results] == [Outcome.UNKNOWN] * 3
    assert sum(b"alipaycert.download" in request for request in server.requests) == 2


async def test_a_notice_never_causes_a_call():
    ours = account()
    with pytest.raises(BadNotification):
        Alipay(Transport()).verify_notification(ours, [], form(told(), signer="next"), now=NOW)
    assert not keys_of(ours).keyring.due(now=NOW)
