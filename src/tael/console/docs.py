"""`/docs`: the API's reference to read and to try, from files of this package; nothing is loaded from elsewhere."""

from pathlib import Path

from fastapi import APIRouter, Response

_VENDOR = Path(__file__).parent / "vendor" / "swagger-ui"
_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Tael API</title>
<link rel="icon" href="data:,"><link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body><div id="ui"></div><script src="/docs/swagger-ui-bundle.js"></script><script src="/docs/start.js"></script></body>
</html>
"""
_START = 'SwaggerUIBundle({url: "/openapi.json", dom_id: "#ui", deepLinking: true, tryItOutEnabled: true});\n'
_TYPES = {".js": "text/javascript", ".css": "text/css"}


def router() -> APIRouter:
    """The page and its assets."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/docs")
    async def page() -> Response:
        return Response(_PAGE, media_type="text/html", headers={"Content-Security-Policy": _CSP})

    @routes.get("/docs/start.js")
    async def start() -> Response:
        return Response(_START, media_type="text/javascript")

    for name in ("swagger-ui-bundle.js", "swagger-ui.css"):
        routes.add_api_route(f"/docs/{name}", _Asset(_VENDOR / name), methods=["GET"])
    return routes


class _Asset:
    """Answers with one file, read once."""

    def __init__(self, path: Path) -> None:
        self._body, self._type = path.read_bytes(), _TYPES[path.suffix]

    async def __call__(self) -> Response:
        return Response(self._body, media_type=self._type, headers={"Cache-Control": "max-age=86400"})
