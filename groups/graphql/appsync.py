"""Running a document the way AppSync does: what is refused, how errors look, what a parsed document costs."""

import logging
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from django.core.exceptions import ObjectDoesNotExist, PermissionDenied, ValidationError
from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLError,
    OperationDefinitionNode,
    OperationType,
    Visitor,
    build_schema,
    execute_sync,
    get_operation_ast,
    parse,
    validate,
    visit,
)

from groups.actions.mesh import GroupNotFound, NodeNotFound, NotTheHost
from realtime.errors import RateLimited, Unavailable

log = logging.getLogger(__name__)

SCHEMA: Final = build_schema((Path(__file__).parent / "schema.graphql").read_text())

MOST_TOKENS: Final = 60_000
"""Of one document: a thousand events written out in it are fewer."""
MOST_FIELDS: Final = 1_000
MOST_ROOT_FIELDS: Final = 20
"""Each may be an action."""
MOST_DEPTH: Final = 20
"""Introspection by the usual tools needs 13."""
DOCUMENTS_KEPT: Final = 512
LONGEST_KEPT: Final = 20_000
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


def document_of(text: object, operation_name: object) -> Document:
    """Parse and validate, or remember. Raises Refused."""
    if not isinstance(text, str) or not (operation_name is None or isinstance(operation_name, str)):
        raise Refused([_error("MalformedHttpRequestException", "The query must be a text.")])
    found = _known(text, operation_name or None) if len(text) <= LONGEST_KEPT else _read(text, operation_name or None)
    if isinstance(found, Refused):
        raise found
    return found


def run(document: Document, variables: object, roots: Any) -> dict[str, Any]:
    """Carry out a query or mutation with `roots` as the root fields. It never raises."""
    if not (variables is None or isinstance(variables, dict)):
        return {"data": None, "errors": [_error("MalformedHttpRequestException", "The variables must be an object.")]}
    result = execute_sync(
        SCHEMA, document.parsed, roots, variable_values=variables, operation_name=_name_of(document.operation)
    )
    return answer_of(result)


def answer_of(result: ExecutionResult) -> dict[str, Any]:
    answer: dict[str, Any] = {"data": result.data}
    if result.errors:
        answer["errors"] = [_told(error) for error in result.errors]
    return answer


@lru_cache(DOCUMENTS_KEPT)
def _known(text: str, operation_name: str | None) -> Document | Refused:
    return _read(text, operation_name)


def _read(text: str, operation_name: str | None) -> Document | Refused:
    try:
        parsed = parse(text, max_tokens=MOST_TOKENS)
    except GraphQLError as error:
        return Refused([_told(error)])
    except RecursionError:
        return Refused([_error(None, "The document is nested too deeply.")])
    if (bound := _over_bounds(parsed)) is not None:
        return Refused([_error(None, bound)])
    if errors := validate(SCHEMA, parsed, max_errors=10):
        return Refused([_told(error) for error in errors])
    operation = get_operation_ast(parsed, operation_name)
    if operation is None:
        return Refused([_error(None, "The document has to hold the one operation that is to be run.")])
    return Document(parsed, operation)


class _Size(Visitor):
    """How much a document asks for."""

    def __init__(self) -> None:
        super().__init__()
        self.fields = self.spreads = self.depth = self.deepest = 0

    def enter_field(self, *_: Any) -> None:
        self.fields += 1
        self.depth += 1
        self.deepest = max(self.deepest, self.depth)

    def leave_field(self, *_: Any) -> None:
        self.depth -= 1

    def enter_fragment_spread(self, *_: Any) -> None:
        self.spreads += 1


def _over_bounds(parsed: DocumentNode) -> str | None:
    size = _Size()
    visit(parsed, size)
    roots = sum(
        len(definition.selection_set.selections)
        for definition in parsed.definitions
        if isinstance(definition, OperationDefinitionNode)
    )
    if size.fields > MOST_FIELDS or size.spreads > MOST_FIELDS // 10 or roots > MOST_ROOT_FIELDS:
        return "The document asks for too much at once."
    return "The document is nested too deeply." if size.deepest > MOST_DEPTH else None


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
        return told | {"message": error.message}
    kind, message = _said(original)
    return told | {"data": None, "errorType": kind, "errorInfo": None, "message": message}


def _said(error: Exception) -> tuple[str, str]:
    for known, kind in _TYPES.items():
        if isinstance(error, known):
            if isinstance(error, RateLimited):
                return kind, "Too many requests. Try again in a moment."
            if isinstance(error, Unavailable):
                return kind, "A store does not answer. Try again in a moment."
            return kind, error.messages[0] if isinstance(error, ValidationError) else str(error)
    log.error("a GraphQL field failed", exc_info=error)
    return "InternalFailure", "Something went wrong here. It was written down."


def _error(kind: str | None, message: str) -> dict[str, Any]:
    told = {"path": None, "locations": None, "message": message}
    return told if kind is None else told | {"errorType": kind}
