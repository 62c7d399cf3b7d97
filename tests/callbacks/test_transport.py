"""The connection itself: pinned to a checked address, TLS by name, no proxies, nothing of the answer kept."""

import asyncio
import hashlib
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tael.callbacks import Policy, Transport
from tael.callbacks.transport import MOST_RESPONSE_BYTES, Outcome
from tael_sandbox.receiver import Fault, Receiver

LOOPBACK = Policy("test", allow_loopback=True)


def certificate(folder: Path, *, names: list[x509.GeneralName], expired: bool = False) -> Path:
    """A self-signed certificate and its key in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=9))
        .not_valid_after(now + timedelta(days=-1 if expired else 9))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / "server.pem"
    file.write_bytes(
        built.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return file


@pytest.mark.parametrize(
    ("certified", "expired", "trusted", "outcome"),
    [
        ("shop.example.com", False, True, Outcome.DELIVERED),
        ("other.example.com", False, True, Outcome.TLS),
        ("shop.example.com", True, True, Outcome.TLS),
        ("shop.example.com", False, False, Outcome.TLS),
        ("127.0.0.1", False, True, Outcome.TLS),  # the name is certified, not the address it leads to
    ],
)
async def test_tls_is_checked_against_the_name_although_the_address_is_pinned(
    certified: str, expired: bool, trusted: bool, outcome: Outcome, tmp_path: Path
) -> None:
    name = x509.IPAddress(ip_address(certified)) if certified[0].isdigit() else x509.DNSName(certified)
    file = certificate(tmp_path, names=[name], expired=expired)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    seen: list[str | None] = []
    server.sni_callback = lambda _, server_name, __: seen.append(server_name)
    client = ssl.create_default_context(cafile=str(file) if trusted else None)

    async def look_up(host: str) -> list[str]:
        return ["127.0.0.1"]

    async with Receiver(tls=server) as receiver:
        receiver.faults["/hook"] = Fault.LOST
        transport = Transport(LOOPBACK, resolve=look_up, tls=client)
        reply = await transport.post(receiver.url("/", host="shop.example.com"), headers={}, body=b"{}")
        await transport.close()
        assert seen == ["shop.example.com"]
        if outcome is Outcome.DELIVERED:
            assert receiver.received[0].headers["host"] == f"shop.example.com:{receiver.port}"
            assert (reply.outcome, reply.status) == (Outcome.STATUS, 401)  # an answer came back: it has no secret
        else:
            assert (reply.outcome, receiver.received) == (outcome, [])


async def test_a_name_that_turns_inward_between_check_and_use_is_refused() -> None:
    """W05: public when the endpoint is registered, this machine when the message is sent."""
    answers = [["93.184.216.34"], ["127.0.0.1"]]

    async def rebind(host: str) -> list[str]:
        return answers.pop(0)

    async with Receiver() as receiver:
        transport = Transport(Policy("live"), resolve=rebind)
        await transport.check("https://rebind.example.com:8443/")
        reply = await transport.post("https://rebind.example.com:8443/", headers={}, body=b"{}")
        await transport.close()
        assert reply.outcome is Outcome.REFUSED
        assert answers == []
        assert receiver.received == []


async def test_the_name_is_asked_once_and_the_connection_goes_to_that_answer() -> None:
    asked: list[str] = []

    async def look_up(host: str) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    async with Receiver() as receiver:
        transport = Transport(LOOPBACK, resolve=look_up)
        reply = await transport.post(receiver.url("/", host="shop.example.com"), headers={}, body=b"{}")
        await transport.close()
        assert reply.status == 401
        assert asked == ["shop.example.com"]


async def test_addresses_are_tried_in_turn() -> None:
    async def look_up(host: str) -> list[str]:
        return ["::1", "127.0.0.1"]  # nobody listens on the first

    async with Receiver() as receiver:
        transport = Transport(LOOPBACK, resolve=look_up)
        reply = await transport.post(receiver.url("/", host="shop.example.com"), headers={}, body=b"{}")
        await transport.close()
        assert reply.status == 401


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [([], Outcome.NAME), (["127.0.0.1", "10.0.0.1"], Outcome.REFUSED), (["0.0.0.0"], Outcome.REFUSED)],
)
async def test_names_without_usable_addresses(answers: list[str], outcome: Outcome) -> None:
    async def look_up(host: str) -> list[str]:
        return answers

    transport = Transport(LOOPBACK, resolve=look_up)
    assert (await transport.post("http://shop.example.com:8701/", headers={}, body=b"{}")).outcome is outcome
    await transport.close()


async def test_nobody_listening_is_a_failure_to_connect() -> None:
    async with Receiver() as receiver:
        url = receiver.url("/")
    transport = Transport(LOOPBACK)
    assert (await transport.post(url, headers={}, body=b"{}")).outcome is Outcome.CONNECT
    await transport.close()


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Receiver() as receiver, Receiver() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url(""))
        transport = Transport(LOOPBACK)
        await transport.post(receiver.url("/"), headers={}, body=b"{}")
        await transport.close()
        assert (len(receiver.received), proxy.received) == (1, [])


@pytest.mark.parametrize(
    ("answer", "outcome", "status"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", Outcome.DELIVERED, 200),
        (b"HTTP/1.1 202 OK\r\ncontent-length: 0\r\n\r\n", Outcome.DELIVERED, 202),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", Outcome.DELIVERED, 200),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nshort", Outcome.PROTOCOL, None),
        (b"HTTP/1.1 307 X\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n", Outcome.REDIRECT, 307),
        (b"HTTP/1.1 404 X\r\ncontent-length: 0\r\n\r\n", Outcome.STATUS, 404),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 X\r\n\r\n", Outcome.DELIVERED, 204),
        (b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\nnope", Outcome.DELIVERED, 200),
        (b"SSH-2.0-OpenSSH_9.2\r\n", Outcome.PROTOCOL, None),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 200_000 + b"\r\n\r\n", Outcome.PROTOCOL, None),
        (b"", Outcome.PROTOCOL, None),
    ],
)
async def test_answers_as_they_come(answer: bytes, outcome: Outcome, status: int | None) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n{}")
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    transport = Transport(LOOPBACK)
    reply = await transport.post(f"http://127.0.0.1:{port}/", headers={}, body=b"{}")
    await transport.close()
    server.close()
    assert (reply.outcome, reply.status) == (outcome, status)


async def test_only_a_hash_of_the_first_kilobyte_is_kept() -> None:
    """W10: nothing of the body can be read back."""
    secret = b"s" * 1024

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n{}")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 500000\r\n\r\n" + secret + b"t" * MOST_RESPONSE_BYTES)
        await reader.read()  # the caller hangs up although the answer is not complete
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    transport = Transport(LOOPBACK)
    reply = await transport.post(f"http://127.0.0.1:{port}/", headers={}, body=b"{}")
    await transport.close()
    server.close()
    assert reply.outcome is Outcome.DELIVERED
    assert reply.sha256 == hashlib.sha256(secret).digest()
    assert b"s" * 32 not in repr(reply).encode()
