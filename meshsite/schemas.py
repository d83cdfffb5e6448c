"""JSON Schema of the shapes in the code, for the OpenAPI and the AsyncAPI document."""

from typing import Any

from drf_spectacular.plumbing import resolve_type_hint


def json_schema(hint: Any) -> dict[str, Any]:
    """The schema of a TypedDict or another type."""
    schema: dict[str, Any] = _modern(resolve_type_hint(hint))  # type: ignore[no-untyped-call]
    return schema


def _modern(schema: Any) -> Any:
    """`nullable` is of OpenAPI 3.0; in JSON Schema null is one of the types."""
    if isinstance(schema, list):
        return [_modern(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: _modern(part) for name, part in schema.items() if name != "nullable"}
    if schema.get("nullable"):
        made["type"] = [made["type"], "null"]
    return made
