"""The OpenAPI document, made from the routes, their operations and their shapes; and a page that shows it."""

import inspect
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from apispec import APISpec
from flask import Blueprint, Response, current_app, jsonify, render_template
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from werkzeug.routing import Rule

from bridge.errors import BridgeError, TooLarge
from bridge.web import cookies
from bridge.web.api.operations import ATTRIBUTE, Operation, described, refusals
from bridge.web.api.shapes import Problem
from bridge.web.problems import STATUS

OPENAPI = "3.1.0"
REF = "#/components/schemas/{model}"
METHODS = ("GET", "POST", "PUT", "DELETE")
PARAMETER = re.compile(r"<(?:path:)?(\w+)>")
ABOUT = (
    "Everything that the console does. Sign in as a person (changes need the header `CSRF-Token`), or send an operator"
    " token as `Authorization: Bearer`. Every refusal is a Problem. Writes may be repeated: what is so already is not"
    " done again."
)
VERSION = "1"


def install(blueprint: Blueprint) -> None:
    blueprint.get("/openapi.json")(get_openapi)
    blueprint.get("/docs")(get_docs)


@described("Read this document", role=None)
def get_openapi() -> Response:
    return jsonify(document())


@described("Read this document as a page", role=None, media_type="text/html")
def get_docs() -> str:
    return render_template("api_docs.html", spec=document())


def document() -> dict[str, Any]:
    """Return the OpenAPI document of every operation."""
    spec = APISpec("Qlik Bridge", VERSION, OPENAPI, info={"description": ABOUT})
    operations = list(_operations())
    references = _add_schemas(spec, [each for _, each, _ in operations])
    _add_security(spec)
    for rule, operation, summary in operations:
        path = PARAMETER.sub(r"{\1}", rule.rule)
        method = next(each for each in METHODS if each in (rule.methods or ()))
        described_so = _described(rule, operation, summary, references)
        spec.path(path, operations={method.lower(): described_so}, parameters=_path_parameters(rule))
    return spec.to_dict()


def _operations() -> Iterator[tuple[Rule, Operation, str]]:
    for rule in sorted(current_app.url_map.iter_rules(), key=lambda each: each.rule):
        view = current_app.view_functions[rule.endpoint]
        if rule.endpoint.startswith("api."):
            yield rule, getattr(view, ATTRIBUTE), inspect.getdoc(view) or ""


References = Mapping[tuple[type[BaseModel], str], Mapping[str, Any]]


def _add_schemas(spec: APISpec, operations: list[Operation]) -> References:
    """Add every shape, as it is taken or as it is answered, and return the reference to each."""
    wanted: set[tuple[type[BaseModel], str]] = {(Problem, "serialization")}
    wanted |= {(each.answer, "serialization") for each in operations if each.answer}
    wanted |= {(each.body, "validation") for each in operations if each.body}
    references, schemas = _schemas(tuple(sorted(wanted, key=lambda each: (each[0].__name__, each[1]))))
    for name, schema in schemas.items():
        spec.components.schema(name, schema)
    return references


@cache
def _schemas(wanted: tuple[tuple[type[BaseModel], str], ...]) -> tuple[References, Mapping[str, Any]]:
    """Work the shapes out once: they are most of the work, and strangers may ask for the document."""
    references, definitions = models_json_schema(wanted, ref_template=REF)  # type: ignore[arg-type]
    return references, _told(definitions.get("$defs", {}))  # type: ignore[return-value]


def _told(schema: Any) -> Any:  # noqa: ANN401 - any part of a JSON schema
    """Leave `writeOnly` out: an answer names a secret too, to say that it is set."""
    if isinstance(schema, dict):
        return {name: _told(each) for name, each in schema.items() if name != "writeOnly"}
    return [_told(each) for each in schema] if isinstance(schema, list) else schema


def _add_security(spec: APISpec) -> None:
    spec.components.security_scheme("operatorToken", {"type": "http", "scheme": "bearer"})
    spec.components.security_scheme(
        "session", {"type": "apiKey", "in": "cookie", "name": cookies.name_of(cookies.SESSION)}
    )


def _described(rule: Rule, operation: Operation, text: str, references: References) -> dict[str, Any]:
    role = f"Needs role {operation.role}." if operation.role else "Open to everybody."
    found: dict[str, Any] = {
        "operationId": rule.endpoint.removeprefix("api."),
        "summary": operation.summary,
        "description": f"{text} {role}".strip(),
        "security": [{"operatorToken": []}, {"session": []}] if operation.role else [],
        "parameters": [*_query_parameters(operation), *_header_parameters(operation)],
        "responses": dict(_responses(rule, operation, references)),
    }
    if operation.body:
        schema = references[operation.body, "validation"]
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return found


def _responses(rule: Rule, operation: Operation, references: References) -> Iterator[tuple[str, Any]]:
    schema = references[operation.answer, "serialization"] if operation.answer else {}
    headers = {"ETag": {"schema": {"type": "string"}, "required": True}} if operation.answers_etag else {}
    content = {operation.media_type: {"schema": schema}}
    yield str(operation.status), {"description": operation.summary, "headers": headers, "content": content}
    problem = {"application/json": {"schema": references[Problem, "serialization"]}}
    for status, errors in sorted(_by_status(rule, operation).items()):
        listed = "; ".join(f"`{each.code()}`: {each.public}" for each in errors)
        yield str(status), {"description": listed, "content": problem}


def _by_status(rule: Rule, operation: Operation) -> dict[int, list[type[BridgeError]]]:
    names = rule.arguments
    found: dict[int, list[type[BridgeError]]] = {}
    for error in refusals(operation, has_slug="slug" in names, has_path="sub" in names):
        found.setdefault(STATUS[error], []).append(error)
    found.setdefault(STATUS[TooLarge], [TooLarge])
    return found


def _path_parameters(rule: Rule) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in PARAMETER.findall(rule.rule)
    ]


def _query_parameters(operation: Operation) -> list[dict[str, Any]]:
    if operation.query is None:
        return []
    schema = operation.query.model_json_schema()
    definitions = schema.get("$defs", {})
    return [
        {"name": name, "in": "query", "required": False, "schema": _inlined(each, definitions)}
        for name, each in schema["properties"].items()
    ]


def _inlined(schema: Any, definitions: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any part of a JSON schema
    """Return a schema with what it refers to in its place, and without null: a query leaves a value out instead."""
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return definitions[schema["$ref"].rpartition("/")[2]]
    options = [_inlined(each, definitions) for each in schema.get("anyOf", []) if each != {"type": "null"}]
    if len(options) == 1:
        return {**options[0], "title": schema.get("title", "")}
    return schema


def _header_parameters(operation: Operation) -> list[dict[str, Any]]:
    if not operation.takes_if_match:
        return []
    told = "The ETag of what this replaces; `412` when somebody else was faster."
    return [{"name": "If-Match", "in": "header", "required": False, "description": told, "schema": {"type": "string"}}]
