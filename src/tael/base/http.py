"""HTTP as every route sees it: strict JSON in, problem+json out, bounded bodies, one request id.

Strict means: UTF-8, no duplicate keys, no NaN or Infinity, no control or direction-changing characters, no unknown
fields, whole numbers only where money is meant. A refused request has changed nothing and called nobody.
"""

import json
import math
import re
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, NoReturn, cast

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from tael.base.errors import JsonValue, TaelError, code, message
from tael.base.money import InvalidAmount, InvalidCurrency

MAX_DEPTH = 16
# Line breaks and tabs are text, and so are the joiners of emoji and of Persian. Other control characters, lone
# surrogates, direction changes and characters nobody can see are not: they break storage or disguise what is read.
_FORBIDDEN_TEXT = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\ud800-\udfff\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_CURSORS = {"starting_after", "ending_before", "after"}


class InvalidJson(TaelError):
    """The body is not one valid JSON object (UTF-8, no duplicate keys, no NaN or Infinity).
    zh: 请求体不是合法的 JSON 对象（须为 UTF-8，不得有重复键、NaN 或 Infinity）。
    """

    status = 400


class InvalidText(TaelError):
    """A text contains characters that are not allowed (control, zero-width or direction-changing characters).
    zh: 文本包含不允许的字符（控制字符、零宽字符或方向控制字符）。
    """

    status = 422


class UnknownField(TaelError):
    """The request has a field that this endpoint does not know.
    zh: 请求包含未知字段。
    """

    status = 422


class MissingField(TaelError):
    """A required field is missing.
    zh: 缺少必填字段。
    """

    status = 422


class InvalidField(TaelError):
    """A field has a value that is not allowed.
    zh: 字段取值不合法。
    """

    status = 422


class BadCursor(TaelError):
    """The cursor is not the id of an object that was listed.
    zh: 分页游标无效。
    """

    status = 400


class NotFound(TaelError):
    """There is no such object.
    zh: 对象不存在。
    """

    status = 404


class MethodNotAllowed(TaelError):
    """This address does not take this HTTP method.
    zh: 不支持该 HTTP 方法。
    """

    status = 405


class InternalError(TaelError):
    """Something went wrong on our side. Repeat the request with the same key.
    zh: 服务内部错误，请使用相同的幂等键重试。
    """

    status = 500
    retryable = True


class Body(BaseModel):
    """Base of every request body: unknown fields and silent conversions are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def _text(given: object) -> object:
    # Left alone, a number would be taken for seconds since 1970.
    if not isinstance(given, str) or not re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T", given):
        raise ValueError("an RFC 3339 date and time with an offset is expected")
    return given


def _in_utc(given: datetime) -> datetime:
    try:
        return given.astimezone(UTC)
    except OverflowError:
        raise ValueError("there is no such instant") from None


Instant = Annotated[AwareDatetime, BeforeValidator(_text), AfterValidator(_in_utc)]
"""An instant that a caller gives as text with an offset; it is in UTC then."""


class StrictRoute(APIRoute):
    """A route whose JSON body is read by `strict_json`. Use as `APIRouter(route_class=StrictRoute)`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[None, None, Response]]:
        """The handler, given a request that reads JSON strictly."""
        handle = super().get_route_handler()

        async def strictly(request: Request) -> Response:
            if any(_FORBIDDEN_TEXT.search(str(part)) for part in request.path_params.values()):
                raise NotFound  # no object has such a name, and the database cannot even be asked
            return await handle(_StrictRequest(request.scope, request.receive))

        return strictly


class _StrictRequest(Request):
    async def json(self) -> JsonValue:
        return strict_json(await self.body())


def strict_json(raw: bytes) -> JsonValue:
    """The JSON value in `raw`; raises `InvalidJson` or `InvalidText`."""
    try:
        text = raw.decode("utf-8")
        value: JsonValue = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError) as problem:
        raise InvalidJson from problem
    _check_text(value, depth=0)
    return value


def refuse_unknown_parameters(request: Request) -> None:
    """Refuse query parameters that the route does not know: a filter that is ignored shows what was not asked for.

    Raises `UnknownField`, `BadCursor` or `InvalidField`.
    """
    route: object = request.scope.get("route")
    known = {field.alias for field in route.dependant.query_params} if isinstance(route, APIRoute) else set[str]()
    for name, value in request.query_params.items():
        if name not in known:
            raise UnknownField("unknown query parameter", param=name[:40])
        if _FORBIDDEN_TEXT.search(value):
            raise (BadCursor if name in _CURSORS else InvalidField)(param=name)


def problem_response(error: TaelError, *, language: str, request_id: str) -> Response:
    """The RFC 9457 document of a refusal, in `en` or `zh`."""
    kind = type(error)
    document: dict[str, JsonValue] = {
        "type": f"/errors/{code(kind)}",
        "title": message(kind, language),
        "status": error.status,
        "code": code(kind),
        "retryable": error.retryable,
        "request_id": request_id,
    }
    optional = {"detail": error.detail, "param": error.param, "hint": error.hint}
    document |= {name: value for name, value in optional.items() if value}
    document |= error.extra
    headers = {"Content-Language": "zh-CN" if language == "zh" else "en", "Cache-Control": "no-store"}
    later = error.status in {429, 503} or (error.status == 409 and error.retryable)
    if later or "retry_after_s" in error.extra:
        headers["Retry-After"] = str(error.extra.get("retry_after_s", 1))
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return Response(
        msgspec.json.encode(document), status_code=error.status, headers=headers, media_type="application/problem+json"
    )


def install_problems(app: FastAPI) -> None:
    """Render every refusal, validation error and unknown address of `app` as a problem document."""

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, TaelError)
        return _respond(request, error)

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return _respond(request, _first_problem(error.errors()))

    async def no_route(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if isinstance(error.__cause__, TaelError):  # what strict_json raised while the framework read the body
            return _respond(request, error.__cause__)
        if error.status_code == 405:
            response = _respond(request, MethodNotAllowed())
            known = _methods_at(app, request.scope["path"])
            response.headers["Allow"] = ", ".join(sorted(known)) or (error.headers or {}).get("Allow", "")
            return response
        return _respond(request, NotFound() if error.status_code == 404 else InvalidJson())

    app.add_exception_handler(TaelError, refused)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, no_route)
    # A redirect to the address without a slash would name whatever host the request claims to be for.
    app.router.redirect_slashes = False
    _describe_problems(app)


def language_of(accept: str) -> str:
    """`zh` when an Accept-Language header asks for Chinese first, else `en`."""
    return "zh" if accept.strip().lower().startswith("zh") else "en"


def _respond(request: Request, error: TaelError) -> Response:
    request_id = str(request.scope.get("request_id", ""))
    return problem_response(
        error, language=language_of(request.headers.get("accept-language", "")), request_id=request_id
    )


def _methods_at(app: FastAPI, path: str) -> set[str]:
    """Every documented method of an address. A literal path goes before one whose parameter happens to match it."""
    documented: dict[str, dict[str, object]] = app.openapi()["paths"]
    matching = [known for known in documented if compile_path(known)[0].match(path)]
    named = min(matching, key=lambda known: known.count("{"), default="")
    return {method.upper() for method in documented.get(named, {})}


def _describe_problems(app: FastAPI) -> None:
    """Let the OpenAPI document say what really comes back: problem documents, and that a key is needed."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is not None:
            return app.openapi_schema
        document = generate()
        components = document.setdefault("components", {})
        schemas = components.setdefault("schemas", {})
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        schemas["Problem"] = _PROBLEM
        components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        refusal = {"schema": {"$ref": "#/components/schemas/Problem"}}
        for operation in (operation for path in document["paths"].values() for operation in path.values()):
            operation["responses"].pop("422", None)
            operation["responses"]["default"] = {
                "description": "A refusal", "content": {"application/problem+json": refusal}
            }  # fmt: skip
            operation["security"] = [{"key": []}]
        return document

    app.openapi = openapi


_PROBLEM: dict[str, JsonValue] = {
    "type": "object",
    "description": "Why a request was refused (RFC 9457). `code` is stable; the catalogue of errors lists every one.",
    "required": ["type", "title", "status", "code", "retryable", "request_id"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string", "description": "In English, or in Chinese for `Accept-Language: zh`"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "retryable": {"type": "boolean", "description": "Whether the same request may succeed later"},
        "request_id": {"type": "string"},
        "detail": {"type": "string"},
        "param": {"type": "string", "description": "The field that is wrong"},
        "hint": {"type": "string"},
    },
}


def _first_problem(errors: Sequence[dict[str, object]]) -> TaelError:
    """The most telling validation error as a refusal; the value itself is never echoed."""
    error = errors[0]
    location = cast("tuple[str | int, ...]", error["loc"])  # pydantic: where in the request, then the path of fields
    path = [str(part) for part in location[1:]]
    param, kind, said = ".".join(path), str(error.get("type")), str(error.get("msg"))
    match kind:
        case _ if location[0] == "path":
            return NotFound()
        case _ if location[0] == "query" and param in _CURSORS:
            return BadCursor(param=param)
        case "extra_forbidden":
            return UnknownField(param=param)
        case "missing":
            return MissingField(param=param) if path else InvalidJson("a JSON object is expected")
        case "json_invalid" | "model_attributes_type" | "dict_type" if not path:
            return InvalidJson("a JSON object is expected")
        case _ if path and path[-1] == "amount":
            return InvalidAmount(said, param=param)
        case _ if path and path[-1] == "currency":
            return InvalidCurrency(said, param=param)
        case _:
            return InvalidField(said, param=param)


def _unique(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("duplicate key")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _check_text(value: JsonValue, *, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise InvalidJson("nested too deeply")
    if isinstance(value, str):
        if _FORBIDDEN_TEXT.search(value):
            raise InvalidText
    elif isinstance(value, dict):
        for name, inner in value.items():
            _check_text(name, depth=depth + 1)
            _check_text(inner, depth=depth + 1)
    elif isinstance(value, list):
        for inner in value:
            _check_text(inner, depth=depth + 1)
