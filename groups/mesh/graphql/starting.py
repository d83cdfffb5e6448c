"""What a `start` frame asks for: with which key, of which group, and what of its messages."""

from typing import Any, Final, NamedTuple

import orjson
from graphql import FieldNode
from graphql.execution import get_argument_values, get_variable_values

from groups.mesh import finding, members
from groups.mesh.callers import spend
from groups.mesh.graphql.appsync import SCHEMA, Document, Refused, document_of
from groups.mesh.graphql.projections import FIELD, Projection, projection_of
from groups.mesh.graphql.socket_credentials import secret_of_frame
from groups.mesh.keys import Key, key_of

QUERY_CHARACTERS: Final = 20_000
"""A subscription's document stays as long as the subscription."""


class Wanted(NamedTuple):
    key: Key
    stream: str
    """Empty for a group that is not there: nothing ever comes, and nobody is told."""
    projection: Projection


def wanted_of(payload: object, *, secret: str | None, address: str) -> Wanted:
    """What a `start` with this payload asks for; without a key of its own it comes with that of its socket, `secret`.

    Blocks. Raises Refused and RateLimited.
    """
    payload = payload if isinstance(payload, dict) else {}
    # Asked for again, as the socket's own may have been revoked.
    key = key_of(secret_of_frame(payload) or secret)
    if key is None:
        raise _unauthorized()
    spend(key.id, address)
    asked = _asked(payload)
    document = document_of(asked.get("query"), asked.get("operationName"))
    variables = asked.get("variables") or {}
    group_id, domain = _group_of(document, variables)
    # The others would stay as long as the subscription, and make it another one than that of its neighbours.
    variables = {name: variables[name] for name in _declared(document) if name in variables}
    if not key.works_in(domain):
        raise _unauthorized()
    group = finding.found_group(group_id, domain)
    if group is not None:
        members.subscribed(group=group, address=address)
    return Wanted(key, group.stream if group is not None else "", projection_of(document, asked, variables))


def _asked(payload: dict[str, Any]) -> dict[str, Any]:
    """The query and variables, which are JSON in a text."""
    data = payload.get("data")
    try:
        asked = orjson.loads(data) if isinstance(data, str) else None
    except orjson.JSONDecodeError:
        asked = None
    if not isinstance(asked, dict):
        raise Refused([{"message": "payload.data must be the JSON of an object with a query."}])
    query = asked.get("query")
    if isinstance(query, str) and len(query) > QUERY_CHARACTERS:
        raise Refused([{"message": "The document is too long."}])
    return asked


def _group_of(document: Document, variables: object) -> tuple[str, str]:
    """The arguments of its field: the group's id and domain."""
    if not document.is_subscription:
        raise Refused([{"message": "Only subscriptions can be started."}])
    if not isinstance(variables, dict):
        raise Refused([{"message": "The variables must be an object."}])
    coerced = get_variable_values(SCHEMA, document.operation.variable_definitions or (), variables, max_errors=5)
    if isinstance(coerced, list):
        raise Refused([{"message": error.message} for error in coerced])
    [node] = document.operation.selection_set.selections
    if not isinstance(node, FieldNode) or node.name.value != FIELD or SCHEMA.subscription_type is None:
        raise Refused([{"message": f"The field of a subscription is {FIELD}, named in the operation itself."}])
    given = get_argument_values(SCHEMA.subscription_type.fields[FIELD], node, coerced)
    return given["groupId"], given["domain"]


def _declared(document: Document) -> list[str]:
    """The names of the variables that a document knows."""
    return [one.variable.name.value for one in document.operation.variable_definitions or ()]


def _unauthorized() -> Refused:
    told = {"errorType": "UnauthorizedException", "message": "You are not authorized to make this call."}
    return Refused([told])
