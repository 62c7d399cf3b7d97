"""99bill's seal against vectors of OpenSSL, its keys, and the XML reader against hostile documents."""

import base64
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from channels.bill99_side import NOW, keys, opened, private_pem, public_pem, sealed
from channels.bill99_vectors import BILL99, FOUND, MEMBER, PAY
from tael.channels.bill99.documents import read, write
from tael.channels.bill99.keys import load
from tael.channels.bill99.sealing import BadSeal, Sealed, seal, unseal
from tael.channels.contract import BadCredentials
from tael.channels.reading import Unreadable


def test_our_seal_is_what_openssl_makes():
    ours = seal(PAY.plaintext, data_key=PAY.data_key, signer=MEMBER, receiver=BILL99.public_key())
    assert (ours.signed_data, ours.encrypted_data) == (PAY.signed_data, PAY.encrypted_data)
    parts = {"signedData": ours.signed_data, "encryptedData": ours.encrypted_data}
    assert opened(parts | {"digitalEnvelope": ours.digital_envelope}) == PAY.plaintext


@pytest.mark.parametrize("broken_into", [10_000, 76, 64])
def test_we_open_what_openssl_sealed(broken_into: int):
    def lines(text: str) -> str:
        return "\r\n".join(text[at : at + broken_into] for at in range(0, len(text), broken_into))

    parts = Sealed(lines(FOUND.signed_data), lines(FOUND.encrypted_data), lines(FOUND.digital_envelope))
    assert unseal(parts, receiver=MEMBER, signer=BILL99.public_key()) == FOUND.plaintext


def flipped(text: str, place: int) -> str:
    raw = bytearray(base64.b64decode(text))
    raw[place] ^= 1
    return base64.b64encode(raw).decode()


SPOILT = [
    {name: change} for name in ("signedData", "encryptedData", "digitalEnvelope")
    for change in ("", "*", "AAAA", "=", *(lambda text, place=place: flipped(text, place) for place in (0, 20, -1)))
]  # fmt: skip


@pytest.mark.parametrize("change", SPOILT)
def test_whatever_is_wrong_with_a_seal_has_one_answer(change: dict):
    good = sealed(b"<a>1</a>" * 9)
    name, how = next(iter(change.items()))
    parts = good | {name: how(good[name]) if callable(how) else how}
    with pytest.raises(BadSeal) as refused:
        _open(parts)
    assert str(refused.value) == ""


def test_a_seal_by_or_for_somebody_else_is_bad():
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    for parts in (sealed(b"x", signer=stranger), sealed(b"x", reader=stranger), sealed(b"x", signer=MEMBER)):
        with pytest.raises(BadSeal):
            _open(parts)
    assert _open(sealed(b"x")) == b"x"


def _open(parts: dict[str, str]) -> bytes:
    seal_ = Sealed(parts["signedData"], parts["encryptedData"], parts["digitalEnvelope"])
    return unseal(seal_, receiver=MEMBER, signer=BILL99.public_key())


def _certificate(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "99bill")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(NOW).not_valid_after(NOW + timedelta(days=1))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def test_keys_come_as_a_key_or_as_a_certificate():
    for pem in (public_pem(BILL99), _certificate(BILL99)):
        assert load(keys() | {"bill99_certificate": pem}).bill99 == BILL99.public_key()


SMALL = rsa.generate_private_key(public_exponent=65537, key_size=1024)
CURVE = ec.generate_private_key(ec.SECP256R1())
BAD_KEYS = [
    *(("member_key", value) for value in (b"", b"garbage", public_pem(MEMBER), private_pem(SMALL))),
    *(("bill99_certificate", value) for value in (b"", b"garbage", public_pem(SMALL), _certificate(CURVE))),
    ("bill99_certificate", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
]


@pytest.mark.parametrize(("name", "value"), BAD_KEYS)
def test_bad_keys_are_refused_by_name(name: str, value: bytes):
    with pytest.raises(BadCredentials) as refused:
        load(keys() | {name: value})
    assert refused.value.param == name


LAUGHS = b"""<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "ha">%s]><a>&l9;</a>""" % b"".join(
    b'<!ENTITY l%d "%s">' % (level, (b"&l%d;" % (level - 1)) * 10 if level else b"ha") for level in range(10)
)
HOSTILE = [
    LAUGHS,
    b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
    b'<!DOCTYPE a SYSTEM "http://127.0.0.1:9/a.dtd"><a/>',
    b'<!DOCTYPE a [<!ENTITY % x SYSTEM "http://127.0.0.1:9/a.dtd"> %x;]><a/>',
    b"<!DOCTYPE a><a/>",
    b"<a>&x;</a>",
    b"<a>" * 50 + b"</a>" * 50,
    b"<a>" + b"x" * 300_000 + b"</a>",
    b"",
    b"<a>",
    b"<a></b>",
    b"<a/><a/>",
    b"<b/>",
    b"{}",
    b"<a>\xff</a>",
    b"<a>\x00</a>",
    "<?xml version='1.0' encoding='UTF-16'?><a/>".encode("utf-16"),
]


@pytest.mark.parametrize("raw", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_documents_are_unreadable(raw: bytes):
    with pytest.raises(Unreadable):
        read(raw, "a")


def test_reading_and_writing():
    content = [("b", "1 < 2 & 张三"), ("c", [("d", ""), ("d", "2")])]
    raw = write("a", content)
    assert raw == write("a", content)
    top = read(raw.replace(b"<b>", b"<!-- c --><?p i?><unknown x='1'><b>no</b></unknown>\n <b z='1'> "), "A")
    assert (top.said("b"), top.child("c").said("e"), len(top.child("c").all("d"))) == ("1 < 2 & 张三", "", 2)
    for ask in (top.child("c").said, top.child("c").child):
        with pytest.raises(Unreadable):
            ask("d")
    with pytest.raises(Unreadable):
        top.child("e")
    assert read(b"<a><b><![CDATA[<x>]]></b>&amp;&#65;</a>", "a").said("b") == "<x>"
