"""Runs alipay-sdk-python, the official SDK, on commands from standard input.

It always connects to port 80 of the gateway's host, so connections are led to the simulator's port here, below the
SDK. First line: ``port``, ``config`` (attributes of AlipayClientConfig). Then one command a line: ``call`` is
``execute``, ``page`` or ``canonical``; ``request`` and ``model`` name the SDK's classes.
"""

import datetime as real
import importlib
import json
import socket
import sys

from alipay.aop.api import DefaultAlipayClient as module
from alipay.aop.api.AlipayClientConfig import AlipayClientConfig


class _Then:
    """Stands in for the SDK's clock while a canonical text is recorded."""

    def __init__(self, text: str) -> None:
        moment = real.datetime.fromisoformat(text)
        self.datetime = type("datetime", (), {"now": staticmethod(lambda: moment)})


def main() -> None:
    settings = json.loads(sys.stdin.readline())
    connect = socket.create_connection
    socket.create_connection = lambda address, *rest, **more: connect(("127.0.0.1", settings["port"]), *rest, **more)
    config = AlipayClientConfig()
    for name, value in settings["config"].items():
        setattr(config, name, value)
    client = module.DefaultAlipayClient(config)
    calls = {"execute": client.execute, "page": lambda request: client.page_execute(request, http_method="GET")}
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            request = make(asked["said"])
            if asked["call"] == "canonical":
                answer = {"returned": canonical(client, request, asked["said"]["timestamp"])}
            else:
                answer = {"returned": calls[asked["call"]](request)}
        except Exception as error:  # noqa: BLE001 - whatever the SDK raises is its answer
            answer = {"raised": type(error).__name__, "text": str(error)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def make(said: dict) -> object:
    """The SDK's request object with its model."""
    name, model = f"{said['name']}Request", f"{said['name']}Model"
    request = getattr(importlib.import_module(f"alipay.aop.api.request.{name}"), name)()
    kind = getattr(importlib.import_module(f"alipay.aop.api.domain.{model}"), model)
    request.biz_model = kind.from_alipay_dict(said["content"])
    for attribute, value in said.get("more", {}).items():
        setattr(request, attribute, value)
    return request


def canonical(client: module.DefaultAlipayClient, request: object, timestamp: str) -> dict:
    """The text that the SDK signs for a request, its signature, and what goes over the wire."""
    signed, build, clock = [], module.get_sign_content, module.datetime
    sign = module.sign_with_rsa2
    signs = []
    module.get_sign_content = lambda params: signed.append(build(params)) or signed[-1]
    module.sign_with_rsa2 = lambda *said: signs.append(sign(*said)) or signs[-1]
    module.datetime = _Then(timestamp)
    try:
        wire = client.sdk_execute(request)
    finally:
        module.get_sign_content, module.datetime, module.sign_with_rsa2 = build, clock, sign
    return {"text": signed[0], "sign": signs[0], "wire": wire}


main()
