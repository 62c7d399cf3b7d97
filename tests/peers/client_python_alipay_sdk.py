"""Runs python-alipay-sdk on commands from standard input. Its gateway is hard-coded, so the attribute is set.

First line: ``kind`` (``AliPay`` or ``DCAliPay``), ``gateway``, ``arguments`` of the constructor. Then one command a
line: ``call`` is a method of the object; ``canonical`` tells what a call would sign, ``verified`` what a check covers.
"""

import json
import sys

import alipay


def main() -> None:
    settings = json.loads(sys.stdin.readline())
    client = getattr(alipay, settings["kind"])(**settings["arguments"])
    client._gateway = settings["gateway"]
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            if asked["call"] == "canonical":
                answer = {"returned": canonical(client, asked["said"])}
            elif asked["call"] == "verified":
                answer = {"returned": verified(client, asked["said"])}
            elif asked["call"] == "attributes":
                answer = {"returned": {name: getattr(client, name) for name in asked["said"]["names"]}}
            else:
                answer = {"returned": getattr(client, asked["call"])(**asked["said"])}
        except Exception as error:  # noqa: BLE001 - whatever the SDK raises is its answer
            answer = {"raised": type(error).__name__, "text": str(error)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def canonical(client: alipay.AliPay, said: dict) -> dict:
    """The text that the SDK signs for a call, its signature, and what goes over the wire."""
    signed = []
    sign = client._sign
    client._sign = lambda text: signed.append(text) or sign(text)
    try:
        wire = client.client_api(said["method"], said["content"], timestamp=said["timestamp"], **said["more"])
    finally:
        client._sign = sign
    return {"text": signed[0], "sign": sign(signed[0]), "wire": wire}


def verified(client: alipay.AliPay, said: dict) -> dict:
    """The text that the SDK checks a notice's signature over, and its verdict."""
    checked = []
    verify = client._verify
    client._verify = lambda text, signature: checked.append(text) or verify(text, signature)
    try:
        return {"verdict": client.verify(said["data"], said["signature"]), "text": checked[0]}
    finally:
        client._verify = verify


main()
