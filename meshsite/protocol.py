"""The protocol's documents and the table of roles, made from the classes and tables that the server runs on."""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, get_type_hints

from django.conf import settings

from groups.models.workspace import Role
from groups.roles import OVER, RIGHTS
from meshsite.schemas import json_schema
from realtime.commands import METHODS, Method
from realtime.errors import CODES, Close
from realtime.events import EPHEMERALS, EVENTS, Ephemeral, Event

ASYNCAPI = settings.BASE_DIR / "docs" / "asyncapi.json"
PROTOCOL = settings.BASE_DIR / "docs" / "protocol.md"
ROLES = settings.BASE_DIR / "docs" / "roles.md"

OVER_ROLES = (Role.OWNER, Role.ADMIN, Role.MODERATOR)
COME_BACK = {Close.RESTART, Close.OVERLOADED, Close.NO_PONG}
CLOSES = {
    Close.RESTART: "The server restarts or begins its streams anew.",
    Close.OVERLOADED: "You read too slowly, or a store is away.",
    Close.NO_PONG: "No frame came within PONG_SECONDS after a ping.",
    Close.BAD_PROTOCOL: "The connection does not speak this protocol.",
    Close.NOT_SIGNED_IN: "No valid credentials, or they ended.",
    Close.FORBIDDEN: "Deactivated, a foreign Origin, or a token without the scope `read`.",
    Close.NOT_YOUR_STREAM: "The path names another user, a group that is not there or over, or nothing.",
    Close.REPLACED: "Another connection took the session over, or there are too many.",
}


def documents() -> dict[Any, str]:
    """Path -> text, as the files should be."""
    return {
        ASYNCAPI: json.dumps(asyncapi(), indent=2, ensure_ascii=False) + "\n",
        PROTOCOL: _with_tables(PROTOCOL, _tables()),
        ROLES: _with_tables(ROLES, _tables_of_roles()),
    }


def asyncapi() -> dict[str, Any]:
    """AsyncAPI 3.0: what the server sends and takes on the socket."""
    events = {name: _event_message(event) for name, event in sorted(EVENTS.items())}
    events |= {name: _ephemeral_message(event) for name, event in sorted(EPHEMERALS.items())}
    of_groups = [name for name in events if name.startswith("mesh.")]
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Meshsite",
            "version": settings.SPECTACULAR_SETTINGS["VERSION"],
            "description": "One socket per tab, device or program, reading the stream of its user. Frames come as one"
            " JSON object, or as an array of events. The long-poll carries the same objects; see protocol.md.",
        },
        "channels": {
            "user": {
                "address": "/ws/user/me",
                "description": "The caller's own stream.",
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in [*events, "call"]},
            },
            "group": {
                "address": "/ws/mesh/{group_id}",
                "description": "A group of classrooms; `domain` in the query has to be its domain.",
                "parameters": {"group_id": {"description": "As mesh.create_group and mesh.groups give it."}},
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in [*of_groups, "call"]},
            },
        },
        "operations": {
            "receive": {
                "action": "send",
                "summary": "What the server sends.",
                "channel": {"$ref": "#/channels/user"},
                "messages": [{"$ref": f"#/channels/user/messages/{name}"} for name in events],
            },
            "call": {
                "action": "receive",
                "summary": "A call of any method of the OpenAPI document.",
                "channel": {"$ref": "#/channels/user"},
                "messages": [{"$ref": "#/channels/user/messages/call"}],
            },
            "receiveOfGroup": {
                "action": "send",
                "summary": "What the server sends to who follows a group.",
                "channel": {"$ref": "#/channels/group"},
                "messages": [{"$ref": f"#/channels/group/messages/{name}"} for name in of_groups],
            },
            "callInGroup": {
                "action": "receive",
                "summary": "A call, of methods of the scope `mesh` alone for an API key.",
                "channel": {"$ref": "#/channels/group"},
                "messages": [{"$ref": "#/channels/group/messages/call"}],
            },
        },
        "components": {"messages": {**events, "call": _CALL}},
    }


_CALL = {
    "name": "call",
    "payload": {
        "type": "object",
        "properties": {
            "type": {"const": "call"},
            "ref": {"type": "string", "maxLength": 64, "description": "Comes back with the reply or the error."},
            "method": {"type": "string", "examples": ["message.send"]},
            "params": {"type": "object"},
        },
        "required": ["type", "ref", "method"],
    },
}


def _event_message(event: type[Event]) -> dict[str, Any]:
    return {
        "name": event.name,
        "summary": (event.__doc__ or "").strip(),
        "payload": {
            "type": "object",
            "properties": {
                "type": {"const": "event"},
                "seq": {"type": "integer", "minimum": 1},
                "event": {"const": event.name},
                "at": {"type": "string", "format": "date-time"},
                "data": _data_schema(event),
            },
            "required": ["type", "seq", "event", "at", "data"],
        },
    }


def _ephemeral_message(event: type[Ephemeral]) -> dict[str, Any]:
    return {
        "name": event.name,
        "summary": (event.__doc__ or "").strip(),
        "payload": {
            "type": "object",
            "properties": {
                "type": {"const": "ephemeral"},
                "event": {"const": event.name},
                "data": _data_schema(event),
            },
            "required": ["type", "event", "data"],
        },
    }


def _data_schema(event: type[Event | Ephemeral]) -> dict[str, Any]:
    properties = {name: json_schema(hint) for name, hint in _fields(event).items()}
    return {"type": "object", "properties": properties, "required": list(properties)}


def _fields(event: type[Event | Ephemeral]) -> dict[str, Any]:
    hints = get_type_hints(event)
    hints.pop("name")
    return hints


def _with_tables(document: Path, tables: Mapping[str, list[str]]) -> str:
    """A document with its tables made anew; what a person wrote around them stays."""
    text = document.read_text()
    for name, rows in tables.items():
        begin, end = f"<!-- table: {name} -->\n", "<!-- end -->"
        before, found, rest = text.partition(begin)
        if not found:
            raise ValueError(f"{document} has no place for the table {name}: {begin.strip()}")
        text = before + begin + "\n".join(rows) + "\n" + rest[rest.index(end) :]
    return text


def _tables() -> dict[str, list[str]]:
    return {
        "events": _table_of(EVENTS),
        "ephemerals": _table_of(EPHEMERALS),
        "methods": [
            "| method | also GET | scope | parameters (`?` may be left out) | what it does |",
            "|---|---|---|---|---|",
            *(
                f"| `{name}` | {'yes' if method.reads else ''} | {_scopes(method)} | {_parameters(name)} |"
                f" {_line(method.summary)} |"
                for name, method in sorted(METHODS.items())
            ),
        ],
        "codes": ["| code | meaning |", "|---|---|", *(f"| `{code}` | {told} |" for code, told in CODES.items())],
        "closes": [
            "| close | why | what to do |",
            "|---|---|---|",
            *(
                f"| {close.value} | {told} | {'come back' if close in COME_BACK else 'stay away'} |"
                for close, told in CLOSES.items()
            ),
        ],
    }


def _tables_of_roles() -> dict[str, list[str]]:
    return {
        "deeds": [
            f"| deed | {' | '.join(Role)} | channel admin |",
            "|---" * (len(Role) + 2) + "|",
            *(
                f"| {right.what} | {' | '.join('yes' if role in right.roles else '' for role in Role)} |"
                f" {'yes' if right.channel_admins else ''} |"
                for right in RIGHTS.values()
            ),
        ],
        "deeds to members": [
            f"| deed to a member | {' | '.join(OVER_ROLES)} |",
            "|---" * (len(OVER_ROLES) + 1) + "|",
            *(
                f"| `{deed}` | {' | '.join(_named(over.get(role, ())) for role in OVER_ROLES)} |"
                for deed, over in OVER.items()
            ),
        ],
    }


def _named(roles: Collection[Role]) -> str:
    return "everybody" if len(roles) == len(Role) else ", ".join(role for role in Role if role in roles)


def _table_of(events: Mapping[str, type[Event | Ephemeral]]) -> list[str]:
    rows = [f"| `{name}` | {_data(event)} | {_line(event.__doc__)} |" for name, event in sorted(events.items())]
    return ["| event | data | what happened, and who is told |", "|---|---|---|", *rows]


def _data(event: type[Event | Ephemeral]) -> str:
    return ", ".join(f"`{name}`" for name in _fields(event))


def _scopes(method: Method) -> str:
    return " or ".join([method.scope, *sorted(method.scopes - {method.scope})])


def _parameters(name: str) -> str:
    fields = METHODS[name].params().fields
    return ", ".join(f"`{name}{'' if field.required else '?'}`" for name, field in fields.items())


def _line(text: str | None) -> str:
    return " ".join((text or "").split())
