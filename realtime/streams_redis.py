"""Streams in Redis, for any number of workers and machines.

Keys, all of one shard in one hash slot so that one script may touch them:
  ms:{3}:s:<stream>    hash   e epoch, q seq, w:<listener> Unix second until which that worker hosts a reader
  ms:{3}:s:<stream>:l  list   ids of the newest STREAM_EVENTS events, the newest last, at seq q
  ms:{3}:b:<event id>  string the event, once for all readers of the shard; lives STREAM_SECONDS
"""

import hashlib
import secrets
import zlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, cast

import orjson
from redis import Redis
from redis.exceptions import NoScriptError

from realtime.redis_connection import RedisConnection
from realtime.streams import Entry, Gap, Placed, Position

REMEMBER_IDS_SECONDS = 60
"""How long an event that nobody reads is known. Its id comes again only while its outbox row lives: seconds."""

# ARGV: the epoch for a new stream, milliseconds to live, listener or "", seconds that it listens
OPEN = """
local epoch = redis.call('HGET', KEYS[1], 'e')
if not epoch then
  epoch = ARGV[1]
  redis.call('DEL', KEYS[1] .. ':l')
  redis.call('HSET', KEYS[1], 'e', epoch, 'q', 0)
end
if ARGV[3] ~= '' then
  redis.call('HSET', KEYS[1], 'w:' .. ARGV[3], redis.call('TIME')[1] + ARGV[4])
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('PEXPIRE', KEYS[1] .. ':l', ARGV[2])
return {epoch, tonumber(redis.call('HGET', KEYS[1], 'q'))}
"""

# KEYS: the body, then the streams. ARGV: event id, body, milliseconds to live, entries kept, seconds to remember ids.
# False for an event that was here before, else for each open stream {its place in KEYS, seq, listener, ...}.
APPEND = """
if not redis.call('SET', KEYS[1], ARGV[2], 'NX', 'PX', ARGV[3]) then return false end
local now, kept, placed = tonumber(redis.call('TIME')[1]), tonumber(ARGV[4]), {}
for i = 2, #KEYS do
  local fields = redis.call('HGETALL', KEYS[i])
  if #fields > 0 then
    local list = KEYS[i] .. ':l'
    local place = {i - 1, redis.call('HINCRBY', KEYS[i], 'q', 1)}
    local length = redis.call('RPUSH', list, ARGV[1])
    if length == 1 then redis.call('PEXPIRE', list, redis.call('PTTL', KEYS[i])) end
    if length > kept then redis.call('LTRIM', list, -kept, -1) end
    for f = 1, #fields, 2 do
      if string.sub(fields[f], 1, 2) == 'w:' and tonumber(fields[f + 1]) >= now then
        place[#place + 1] = string.sub(fields[f], 3)
      end
    end
    placed[#placed + 1] = place
  end
end
if #placed == 0 then redis.call('SET', KEYS[1], '', 'EX', ARGV[5]) end
return placed
"""

# ARGV: epoch and seq after which, entries kept. {epoch, seq, id, ...}; ids only when that is whole.
READ = """
local top = redis.call('HMGET', KEYS[1], 'e', 'q')
if not top[1] then return {'', 0} end
local found = {top[1], tonumber(top[2])}
local count = top[2] - ARGV[2]
if top[1] == ARGV[1] and count > 0 and count <= tonumber(ARGV[3]) then
  for _, id in ipairs(redis.call('LRANGE', KEYS[1] .. ':l', -count, -1)) do found[#found + 1] = id end
end
return found
"""


class RedisStreams:
    shared = True

    def __init__(
        self, connection: RedisConnection, *, events: int, seconds: float, listen_seconds: float, shards: int = 1
    ) -> None:
        self._connection = connection
        self._events = events
        self._seconds = seconds
        self._listen_seconds = max(1, round(listen_seconds))
        self._shards = shards
        self._sha = {
            script: hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest() for script in (OPEN, APPEND, READ)
        }

    def open(self, stream: str) -> Position:
        return self.keep([stream], listener="")[0]

    def keep(self, streams: Sequence[str], *, listener: str) -> list[Position]:
        epoch = f"e_{secrets.token_urlsafe(9)}"
        milliseconds = round(self._seconds * 1000)
        calls = [
            (OPEN, [self._key(stream)], [epoch, milliseconds, listener, self._listen_seconds]) for stream in streams
        ]
        return [Position(epoch.decode(), seq) for epoch, seq in self._run(calls)]

    def append(self, entries: Sequence[tuple[Entry, Iterable[str]]]) -> list[Placed]:
        # One after the other: in a pipeline a later one could succeed where an earlier one failed.
        placed = (self._append(entry, names) for entry, names in entries)
        return [found for found in placed if found is not None]

    def read(self, stream: str, after: Position) -> list[tuple[int, Entry]]:
        [(epoch, seq, *ids)] = self._run([(READ, [self._key(stream)], [after.epoch, after.seq, self._events])])
        top = Position(epoch.decode(), seq)
        if after.epoch != top.epoch or not epoch:
            raise Gap("unknown_epoch", top)
        if after.seq > seq:
            raise Gap("future_seq", top)
        keys = [f"ms:{{{self._shard(stream)}}}:b:{event_id.decode()}" for event_id in ids]
        bodies = self._connection.run(lambda client: cast(list[Any], client.mget(keys))) if keys else []
        if len(ids) < seq - after.seq or not all(bodies):
            raise Gap("too_old", top, (after.seq + 1, seq))
        entries = [_unpacked(event_id, body) for event_id, body in zip(ids, bodies, strict=True)]
        return list(enumerate(entries, start=after.seq + 1))

    def _append(self, entry: Entry, names: Iterable[str]) -> Placed | None:
        found: Placed | None = None
        milliseconds = round(self._seconds * 1000)
        arguments = [entry.event_id, _packed(entry), milliseconds, self._events, REMEMBER_IDS_SECONDS]
        for shard, streams in self._by_shard(names).items():
            keys = [f"ms:{{{shard}}}:b:{entry.event_id}", *map(self._key, streams)]
            [places] = self._run([(APPEND, keys, arguments)])
            if places is None:
                continue
            found = found or Placed(entry, {}, {})
            for place, seq, *listeners in places:
                stream = streams[place - 1]
                found.seqs[stream] = seq
                found.listeners[stream] = [listener.decode() for listener in listeners]
        return found

    def _shard(self, stream: str) -> int:
        return zlib.crc32(stream.encode()) % self._shards

    def _key(self, stream: str) -> str:
        return f"ms:{{{self._shard(stream)}}}:s:{stream}"

    def _by_shard(self, names: Iterable[str]) -> dict[int, list[str]]:
        streams: defaultdict[int, list[str]] = defaultdict(list)
        for name in dict.fromkeys(names):
            streams[self._shard(name)].append(name)
        return streams

    def _run(self, calls: Sequence[tuple[str, list[str], list[Any]]]) -> list[Any]:
        """Run scripts in order. A restarted Redis has to be given them again; running them twice changes nothing."""
        if not calls:
            return []

        def attempt(client: Redis) -> list[Any]:
            pipeline = client.pipeline(transaction=False)
            for script, keys, arguments in calls:
                pipeline.evalsha(self._sha[script], len(keys), *keys, *arguments)
            return pipeline.execute()

        def with_scripts(client: Redis) -> list[Any]:
            try:
                return attempt(client)
            except NoScriptError:
                for script in self._sha:
                    client.script_load(script)
                return attempt(client)

        return self._connection.run(with_scripts)


def _packed(entry: Entry) -> bytes:
    return orjson.dumps({"name": entry.name, "about": entry.about}) + b"\n" + entry.body


def _unpacked(event_id: bytes, packed: bytes) -> Entry:
    head, _, body = packed.partition(b"\n")
    of = orjson.loads(head)
    return Entry(event_id.decode(), of["name"], body, of["about"])
