"""What a client shows that knew nothing before: the state that every other one has to have in the end."""

from collections.abc import AsyncIterator
from typing import Any

from tests.history.journal import Journal
from tests.history.people import Person
from tests.history.state import SHOWN, Data, Facts, message_facts, thread_facts


async def log_in(person: Person, journal: Journal) -> Facts:
    """client.boot, every message of every channel, and all threads and mentions."""
    boot = (await person.sure("client.boot", {}))[0].body
    threads = [one["thread"] async for page in _back(person, "thread.list") for one in page["threads"]]
    unread = {one["thread_root_id"]: one["unread_count"] for one in threads if one["unread_count"]}
    booted = {one["thread_root_id"]: one["unread_count"] for one in boot["threads"]}
    if booted != unread:
        journal.violation("state", f"{person.name} boots with the threads {booted}, and the list has {unread}")
    mentions = [one async for page in _back(person, "mention.list") for one in page["mentions"]]
    facts: Facts = {channel["id"]: await _facts_of(person, channel, mentions, journal) for channel in boot["channels"]}
    shown = {one["thread_root_id"]: thread_facts(one) for one in threads}
    return facts | {0: {"workspaces": {one["id"]: one for one in boot["workspaces"]}, "threads": shown}}


async def _facts_of(person: Person, channel: Data, mentions: list[Data], journal: Journal) -> dict[str, Any]:
    pk = channel["id"]
    messages = {message["id"]: _facts(message) async for message in _history(person, pk)}
    changed = {message["id"]: _facts(message) async for message in _changed(person, pk)}
    if messages != changed:
        journal.violation("state", f"for {person.name} message.list of {pk} has {messages}, .changes {changed}")
    facts = {name: channel[name] for name in SHOWN}
    facts |= {name: channel[name] for name in ("last_read_id", "read_version", "unread_count", "mention_count")}
    return facts | {
        "present": {user["id"]: user["active"] for user in channel.get("members", ())},
        "mentions": sorted(one["message_id"] for one in mentions if one["channel_id"] == pk),
        "messages": messages,
    }


def _facts(message: Data) -> tuple[Any, ...]:
    return message_facts(message, message["author"]["display_name"])


async def _history(person: Person, channel_id: int) -> AsyncIterator[Data]:
    since_id, has_more = 0, True
    while has_more:
        params = {"channel_id": channel_id, "since_id": since_id, "limit": 200}
        page = (await person.sure("message.list", params))[0].body
        for message in page["messages"]:
            yield message
        since_id, has_more = page["next_since_id"], page["has_more"]


async def _changed(person: Person, channel_id: int) -> AsyncIterator[Data]:
    since_rev, has_more = 0, True
    while has_more:
        params = {"channel_id": channel_id, "since_rev": since_rev, "limit": 200}
        page = (await person.sure("message.changes", params))[0].body
        for message in page["changes"]:
            if not message["deleted"]:
                yield message
        since_rev, has_more = page["rev"], page["has_more"]


async def _back(person: Person, method: str) -> AsyncIterator[Data]:
    params, has_more = {"limit": 200}, True
    while has_more:
        page = (await person.sure(method, params))[0].body
        yield page
        params, has_more = params | {"before_id": page["next_before_id"]}, page["has_more"]
