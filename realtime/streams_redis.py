"""Streams in Redis, for any number of workers and machines.

Keys, all of one shard in one hash slot so that one script may touch them:
  ms:{3}:s:<stream>    hash   e epoch, q seq, w:<listener> Unix second until which that worker hosts a reader
  ms:{3}:s:<stream>:l  list   ids of the newest STREAM_EVENTS events, the newest last, at seq q
  ms:{3}:b:<event id>  string the event, once for all readers of the shard; lives STREAM_SECONDS
  ms:{3}:era           string what all epochs of the shard begin with, until Redis loses it together with them
"""

import hashlib
import secrets
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

import orjson
from redis import Redis
from redis.exceptions import NoScriptError

from realtime.redis_connection import RedisConnection, shard_of
from realtime.streams import Bounds, Entry, Gap, Placed, Position, kind_of

REMEMBER_IDS_SECONDS = 60
"""How long an event that nobody reads is known. Its id comes again only while its outbox row lives: seconds."""

PLACES_AT_ONCE = 50_000
"""In how many streams one script puts its entries, counted for each entry."""

# KEYS: the stream, the era. ARGV: the era of an empty Redis, the rest of a new stream's epoch, milliseconds to live,
# listener or "", seconds that it listens
OPEN = """
local epoch = redis.call('HGET', KEYS[1], 'e')
if not epoch then
  redis.call('SET', KEYS[2], ARGV[1], 'NX')
  epoch = redis.call('GET', KEYS[2]) .. ARGV[2]
  redis.call('DEL', KEYS[1] .. ':l')
  redis.call('HSET', KEYS[1], 'e', epoch, 'q', 0)
end
if ARGV[4] ~= '' then
  redis.call('HSET', KEYS[1], 'w:' .. ARGV[4], redis.call('TIME')[1] + ARGV[5])
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('PEXPIRE', KEYS[1] .. ':l', ARGV[3])
return {epoch, tonumber(redis.call('HGET', KEYS[1], 'q'))}
"""

# KEYS: the bodies of the entries, then the streams, those that get the same entries one after the other, then the era.
# ARGV: how many entries, milliseconds to live, entries kept, seconds to remember ids; for each entry its id and body;
# for each group of streams that get the same entries how many streams, and the numbers of the entries, "1 2 5".
# {numbers of the entries that were not here before, for each open stream {its place after the bodies, the seq of the
# last of them, listener, ...}, the era}.
APPEND = """
local count, kept, now = tonumber(ARGV[1]), tonumber(ARGV[3]), tonumber(redis.call('TIME')[1])
local fresh, new, read, placed, key = {}, {}, {}, {}, count
for i = 1, count do
  fresh[i] = redis.call('SET', KEYS[i], ARGV[4 + 2 * i], 'NX', 'PX', ARGV[2])
  if fresh[i] then new[#new + 1] = i end
end
for at = 5 + 2 * count, #ARGV, 2 do
  local ids, numbers, open = {}, {}, false
  for number in string.gmatch(ARGV[at + 1], '%d+') do
    number = tonumber(number)
    if fresh[number] then
      ids[#ids + 1] = ARGV[3 + 2 * number]
      numbers[#numbers + 1] = number
    end
  end
  for _ = 1, tonumber(ARGV[at]) do
    key = key + 1
    local fields = #ids > 0 and redis.call('HGETALL', KEYS[key]) or {}
    if #fields > 0 then
      open = true
      local list = KEYS[key] .. ':l'
      local place = {key - count, redis.call('HINCRBY', KEYS[key], 'q', #ids)}
      local length = redis.call('RPUSH', list, unpack(ids))
      if length == #ids then redis.call('PEXPIRE', list, redis.call('PTTL', KEYS[key])) end
      if length > kept then redis.call('LTRIM', list, -kept, -1) end
      for f = 1, #fields, 2 do
        if string.sub(fields[f], 1, 2) == 'w:' and tonumber(fields[f + 1]) >= now then
          place[#place + 1] = string.sub(fields[f], 3)
        end
      end
      placed[#placed + 1] = place
    end
  end
  if open then for _, number in ipairs(numbers) do read[number] = true end end
end
for _, number in ipairs(new) do
  if not read[number] then redis.call('SET', KEYS[number], '', 'EX', ARGV[4]) end
end
return {new, placed, redis.call('GET', KEYS[#KEYS]) or ''}
"""

# ARGV: epoch and seq after which, entries kept, entries wanted. {epoch, seq, id, ...}; ids only when that is whole.
READ = """
local top = redis.call('HMGET', KEYS[1], 'e', 'q')
if not top[1] then return {'', 0} end
local found = {top[1], tonumber(top[2])}
local count = top[2] - ARGV[2]
if top[1] == ARGV[1] and count > 0 and count <= tonumber(ARGV[3]) then
  local last = math.min(-1, ARGV[4] - count - 1)
  for _, id in ipairs(redis.call('LRANGE', KEYS[1] .. ':l', -count, last)) do found[#found + 1] = id end
end
return found
"""


class RedisStreams:
    shared = True

    def __init__(
        self,
        connection: RedisConnection,
        *,
        events: int,
        seconds: float,
        listen_seconds: float,
        shards: int = 1,
        others: Mapping[str, Bounds] | None = None,
    ) -> None:
        """`others`: the bounds of kinds of streams that have their own."""
        self._connection = connection
        self._bounds = Bounds(events, seconds)
        self._others = dict(others or {})
        self._listen_seconds = max(1, round(listen_seconds))
        self._shards = shards
        self._sha = {
            script: hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest() for script in (OPEN, APPEND, READ)
        }

    def open(self, stream: str) -> Position:
        return self.keep([stream], listener="")[0]

    def keep(self, streams: Sequence[str], *, listener: str) -> list[Position]:
        epoch = [f"e_{secrets.token_urlsafe(6)}", secrets.token_urlsafe(6)]
        calls: list[tuple[str, list[str], list[Any]]] = []
        for stream in streams:
            milliseconds = round(self._bounds_of(kind_of(stream)).seconds * 1000)
            arguments = [*epoch, milliseconds, listener, self._listen_seconds]
            calls.append((OPEN, [self._key(stream), _era_key(self._shard(stream))], arguments))
        return [Position(epoch.decode(), seq) for epoch, seq in self._run(calls)]

    def append(self, entries: Sequence[tuple[Entry, Iterable[str]]]) -> list[Placed]:
        # One after the other: in a pipeline a later one could succeed where an earlier one failed.
        return [placed for piece in _pieces(entries) for placed in self._append(piece)]

    def read(self, stream: str, after: Position, most: int | None = None) -> list[tuple[int, Entry]]:
        kept = self._bounds_of(kind_of(stream)).events
        most = kept if most is None else most
        [(epoch, seq, *ids)] = self._run([(READ, [self._key(stream)], [after.epoch, after.seq, kept, most])])
        top = Position(epoch.decode(), seq)
        if after.epoch != top.epoch or not epoch:
            raise Gap("unknown_epoch", top)
        if after.seq > seq:
            raise Gap("future_seq", top)
        keys = [f"ms:{{{self._shard(stream)}}}:b:{event_id.decode()}" for event_id in ids]
        bodies = self._connection.run(lambda client: cast(list[Any], client.mget(keys))) if keys else []
        if len(ids) < min(most, seq - after.seq) or not all(bodies):
            raise Gap("too_old", top, (after.seq + 1, seq))
        entries = [_unpacked(event_id, body) for event_id, body in zip(ids, bodies, strict=True)]
        return list(enumerate(entries, start=after.seq + 1))

    def _append(self, entries: Sequence[tuple[Entry, Sequence[str]]]) -> list[Placed]:
        """In one step for each shard. An entry goes to streams of one kind."""
        homes: defaultdict[tuple[int, str], defaultdict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        for number, (_entry, names) in enumerate(entries):
            for name in names:
                homes[self._shard(name), kind_of(name)][name].append(number)
        found: dict[tuple[int, int], Placed] = {}
        for (shard, kind), numbers_of in homes.items():
            concerned = sorted({number for numbers in numbers_of.values() for number in numbers})
            new, places, era = self._append_to_shard(
                shard, self._bounds_of(kind), {number: entries[number][0] for number in concerned}, numbers_of
            )
            for number in new:
                found[number, shard] = Placed(entries[number][0], {}, {}, era)
            for stream, top, listeners in places:
                appended = [number for number in numbers_of[stream] if number in new]
                for seq, number in enumerate(appended, start=top - len(appended) + 1):
                    found[number, shard].seqs[stream] = seq
                    found[number, shard].listeners[stream] = listeners
        return [found[key] for key in sorted(found)]

    def _append_to_shard(
        self, shard: int, bounds: Bounds, entries: Mapping[int, Entry], numbers_of: Mapping[str, Sequence[int]]
    ) -> tuple[set[int], list[tuple[str, int, list[str]]], str]:
        """The numbers of the new entries; of each open stream the name, the seq after them and who listens; the era."""
        places_of = {number: place for place, number in enumerate(entries, start=1)}
        alike: defaultdict[tuple[int, ...], list[str]] = defaultdict(list)
        for stream, numbers in numbers_of.items():
            alike[tuple(places_of[number] for number in numbers)].append(stream)
        streams = [stream for group in alike.values() for stream in group]
        keys = [f"ms:{{{shard}}}:b:{entry.event_id}" for entry in entries.values()]
        keys += [*map(self._key, streams), _era_key(shard)]
        arguments: list[Any] = [len(entries), round(bounds.seconds * 1000), bounds.events, REMEMBER_IDS_SECONDS]
        for entry in entries.values():
            arguments += [entry.event_id, _packed(entry)]
        for places, group in alike.items():
            arguments += [len(group), " ".join(map(str, places))]
        [(new, found, era)] = self._run([(APPEND, keys, arguments)])
        numbers = list(entries)
        tops = [
            (streams[place - 1], top, [listener.decode() for listener in listeners]) for place, top, *listeners in found
        ]
        return {numbers[place - 1] for place in new}, tops, era.decode()

    def _bounds_of(self, kind: str) -> Bounds:
        return self._others.get(kind, self._bounds)

    def _shard(self, stream: str) -> int:
        return shard_of(stream, self._shards)

    def _key(self, stream: str) -> str:
        return f"ms:{{{self._shard(stream)}}}:s:{stream}"

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


def _era_key(shard: int) -> str:
    return f"ms:{{{shard}}}:era"


def _pieces(entries: Sequence[tuple[Entry, Iterable[str]]]) -> Iterator[list[tuple[Entry, Sequence[str]]]]:
    """The entries with each name once, in pieces that keep Redis from others for some milliseconds at most."""
    piece: list[tuple[Entry, Sequence[str]]] = []
    places = 0
    for entry, names in entries:
        once = tuple(dict.fromkeys(names))
        places += len(once)
        if piece and places > PLACES_AT_ONCE:
            yield piece
            piece, places = [], len(once)
        piece.append((entry, once))
    if piece:
        yield piece


def _packed(entry: Entry) -> bytes:
    return orjson.dumps({"name": entry.name, "about": entry.about}) + b"\n" + entry.body


def _unpacked(event_id: bytes, packed: bytes) -> Entry:
    head, _, body = packed.partition(b"\n")
    of = orjson.loads(head)
    return Entry(event_id.decode(), of["name"], body, of["about"])
