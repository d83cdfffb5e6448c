"""Running a document the way AppSync does: what is refused, how errors look, what a parsed document costs."""

import logging
from collections.abc import Collection
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

from django.core.exceptions import ObjectDoesNotExist, PermissionDenied, ValidationError
from graphql import (
    DocumentNode,
    ExecutionResult,
    FieldNode,
    GraphQLError,
    GraphQLScalarType,
    OperationDefinitionNode,
    OperationType,
    build_schema,
    execute,
    execute_sync,
    get_operation_ast,
    parse,
    validate,
)

from groups.mesh import texts
from groups.mesh.finding import GroupNotFound, NodeNotFound, NotTheHost
from groups.mesh.graphql.bounds import over_bounds
from groups.mesh.graphql.whole_answers import WholeAnswers
from realtime.errors import RateLimited, Unavailable

log = logging.getLogger(__name__)

SCHEMA: Final = build_schema((Path(__file__).parent / "schema.graphql").read_text())


def _date_time(value: object) -> str:
    if not (isinstance(value, str) and texts.is_moment(value)):
        raise GraphQLError("AWSDateTime must be an ISO 8601 time with a zone.")
    return value


_scalar = cast(GraphQLScalarType, SCHEMA.type_map["AWSDateTime"])
_scalar.coerce_input_value = _scalar.parse_value = _date_time  # type: ignore[method-assign] # for variables, for literals

FAILED: Final = "Something went wrong here. It was written down."
TOO_MANY: Final = "Too many requests. Try again in a moment."
MOST_TOKENS: Final = 20_000
"""Of one document: a thousand events written out in it are fewer."""
DOCUMENTS_KEPT: Final = 256
LONGEST_KEPT: Final = 4_000
"""Documents that hold data are long and come once."""

_TYPES: Final[dict[type[Exception], str]] = {
    GroupNotFound: "GroupNotFound",
    NodeNotFound: "NodeNotFound",
    NotTheHost: "Unauthorized",
    ValidationError: "ValidationError",
    RateLimited: "RateLimited",
    Unavailable: "ServiceUnavailable",
    ObjectDoesNotExist: "GroupNotFound",
    PermissionDenied: "Unauthorized",
}
"""Clients act on the first three. Of the rest they look for three words in the text, so no text here holds them."""


class Refused(Exception):
    """A document that cannot be run; as AppSync tells it, beside `"data": null`."""

    def __init__(self, errors: list[dict[str, Any]]) -> None:
        super().__init__(errors)
        self.errors = errors


class Document(NamedTuple):
    """A document that is valid, and its operation."""

    parsed: DocumentNode
    operation: OperationDefinitionNode

    @property
    def is_subscription(self) -> bool:
        return self.operation.operation == OperationType.SUBSCRIPTION

    def asks_only(self, fields: Collection[str]) -> bool:
        """Whether it has no other root fields than these, written out."""
        selections = self.operation.selection_set.selections
        return all(isinstance(one, FieldNode) and one.name.value in fields for one in selections)


def document_of(text: object, operation_name: object) -> Document:
    """Parse and validate, or remember. Raises Refused."""
    if not isinstance(text, str) or not (operation_name is None or isinstance(operation_name, str)):
        raise Refused([_error("MalformedHttpRequestException", "The query must be a text.")])
    found = _known(text, operation_name or None) if len(text) <= LONGEST_KEPT else _read(text, operation_name or None)
    if not isinstance(found, Document):
        raise Refused(list(found))
    return found


def run(document: Document, variables: object, roots: Any) -> dict[str, Any]:
    """Carry out an operation with `roots` as the root fields. It never raises."""
    if not _is_object(variables):
        return _no_object()
    return answer_of(execute_sync(**_execution(document, variables, roots)))


async def run_awaiting(document: Document, variables: object, roots: Any) -> dict[str, Any]:
    """`run` with root fields of which some are awaited."""
    if not _is_object(variables):
        return _no_object()
    result = execute(**_execution(document, variables, roots))
    return answer_of(result if isinstance(result, ExecutionResult) else await result)


def _is_object(variables: object) -> bool:
    return variables is None or isinstance(variables, dict)


def _no_object() -> dict[str, Any]:
    return {"data": None, "errors": [_error("MalformedHttpRequestException", "The variables must be an object.")]}


def _execution(document: Document, variables: object, roots: Any) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "document": document.parsed,
        "root_value": roots,
        "variable_values": variables,
        "operation_name": _name_of(document.operation),
        "executor_class": WholeAnswers,
    }


def answer_of(result: ExecutionResult) -> dict[str, Any]:
    answer: dict[str, Any] = {"data": result.data}
    if result.errors:
        answer["errors"] = [_told(error) for error in result.errors]
    return answer


Errors = tuple[dict[str, Any], ...]


@lru_cache(DOCUMENTS_KEPT)
def _known(text: str, operation_name: str | None) -> Document | Errors:
    return _read(text, operation_name)


def _read(text: str, operation_name: str | None) -> Document | Errors:
    try:
        parsed = parse(text, max_tokens=MOST_TOKENS)
        if (bound := over_bounds(parsed)) is not None:
            return (_error(None, bound),)
        errors = validate(SCHEMA, parsed, max_errors=10)
    except GraphQLError as error:
        return (_told(error),)
    except RecursionError:
        return (_error(None, "The document is nested too deeply."),)
    if errors:
        return tuple(map(_told, errors))
    operation = get_operation_ast(parsed, operation_name)
    if operation is None:
        return (_error(None, "The document has to hold the one operation that is to be run."),)
    return Document(parsed, operation)


def _name_of(operation: OperationDefinitionNode) -> str | None:
    return operation.name.value if operation.name else None


def _told(error: GraphQLError) -> dict[str, Any]:
    """An error in AppSync's shape: `errorType` beside the message, and no extensions."""
    path = list(error.path) if error.path else None
    locations = [
        {"line": location.line, "column": location.column, "sourceName": None} for location in error.locations or []
    ]
    told: dict[str, Any] = {"path": path, "locations": locations}
    original = error.original_error
    if path is None or original is None:
        return told | {"message": _survivable(error.message)}
    kind, message = _said(original)
    return told | {"data": None, "errorType": kind, "errorInfo": None, "message": message}


def _said(error: Exception) -> tuple[str, str]:
    for known, kind in _TYPES.items():
        if isinstance(error, known):
            if isinstance(error, RateLimited):
                return kind, TOO_MANY
            if isinstance(error, Unavailable):
                return kind, "A store does not answer. Try again in a moment."
            return kind, error.messages[0] if isinstance(error, ValidationError) else str(error)
    log.error("a GraphQL field failed", exc_info=error)
    return "InternalFailure", FAILED


def _survivable(message: str) -> str:
    """A text that may quote what the client sent, without the three words on which clients disconnect."""
    said = message.lower()
    if any(word in said for word in ("not found", "expired", "unauthorized")):
        return "The request does not fit the schema."
    return message


def _error(kind: str | None, message: str) -> dict[str, Any]:
    told = {"path": None, "locations": None, "message": message}
    return told if kind is None else told | {"errorType": kind}
