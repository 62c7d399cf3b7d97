"""Lookups: one thread per name however many ask, and a caller that gives up takes nobody along."""

import asyncio
import socket
import threading

import pytest

from tael.callbacks.names import Names


async def test_many_ask_and_the_resolver_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    answer = threading.Event()

    def slow_resolver(host: str, port: None, *, type: int) -> list[tuple[object, ...]]:
        asked.append(host)
        answer.wait()
        if host == "unknown.example.com":
            raise socket.gaierror("no such name")
        return [(0, 0, 0, "", (address, 0)) for address in ("192.0.2.1", "192.0.2.1", "2001:db8::1")]

    monkeypatch.setattr(socket, "getaddrinfo", slow_resolver)
    names = Names()
    callers = [asyncio.create_task(names("shop.example.com")) for _ in range(100)]
    failing = asyncio.create_task(names("unknown.example.com"))
    abandoned = asyncio.create_task(names("nobody.example.com"))
    await asyncio.sleep(0)
    callers[0].cancel()
    abandoned.cancel()
    answer.set()
    assert await asyncio.gather(*callers[1:]) == [["192.0.2.1", "2001:db8::1"]] * 99
    with pytest.raises(OSError, match="no such name"):
        await failing
    assert asked.count("shop.example.com") == 1
    await names("shop.example.com")
    assert asked.count("shop.example.com") == 2, "answers are not kept: each connection asks anew"
    names.close()
