"""What clients call: parse, call one action or QuerySet, shape the answer."""

from groups.api import (
    channels,
    classrooms,
    cursors,
    mentions,
    mesh,
    messages,
    moderation,
    pins,
    reactions,
    threads,
    users,
    versions,
    workspaces,
)

__all__ = [
    "channels",
    "classrooms",
    "cursors",
    "mentions",
    "mesh",
    "messages",
    "moderation",
    "pins",
    "reactions",
    "threads",
    "users",
    "versions",
    "workspaces",
]
