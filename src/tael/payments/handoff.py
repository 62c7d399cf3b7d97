"""What the payer's device opens, as it is stored and shown."""

from tael.base.errors import JsonValue
from tael.channels.contract import AppParams, JsapiParams, PaymentHandoff, QrCode, Redirect


def stored(handoff: PaymentHandoff) -> dict[str, JsonValue]:
    """A hand-off as JSON, with its type and the instant until which it can be used."""
    until = handoff.expires_at.isoformat()
    match handoff:
        case QrCode(text):
            return {"type": "qr_code", "text": text, "expires_at": until}
        case JsapiParams(parameters):
            return {"type": "jsapi", "parameters": dict(parameters), "expires_at": until}
        case AppParams(parameters):
            return {"type": "app", "parameters": dict(parameters), "expires_at": until}
        case Redirect(url):
            return {"type": "redirect", "url": url, "expires_at": until}
