"""Who is typing in a channel, each for TYPING_SECONDS: in Redis or, without it, in the memory of the one process.

In Redis `ms:typing:<channel>` is a hash of the Unix seconds until which each user id types, and `told` until when
others know that somebody does.
"""

from threading import Lock
from typing import Any, Literal, NamedTuple, cast

from django.conf import settings

from realtime import clock
from realtime.backends import redis

Step = Literal["start", "stop", "look"]

# ARGV: start, stop or look, the user id, TYPING_SECONDS.
# 1 when others have to be told, the time, seconds until the last and until the next of them ends, then who types.
STEP = """
local time, key, changed = redis.call('TIME'), KEYS[1], 0
local now, seconds, told = time[1] + time[2] / 1000000, tonumber(ARGV[3]), 0
local typists, fields = {}, redis.call('HGETALL', key)
for f = 1, #fields, 2 do
  if fields[f] == 'told' then told = tonumber(fields[f + 1])
  elseif tonumber(fields[f + 1]) > now then typists[fields[f]] = tonumber(fields[f + 1])
  else redis.call('HDEL', key, fields[f]); changed = 1 end
end
if ARGV[1] == 'start' then
  if not typists[ARGV[2]] or told - now < seconds * 2 / 3 then changed = 1 end
  typists[ARGV[2]] = now + seconds
  redis.call('HSET', key, ARGV[2], string.format('%.6f', now + seconds))
elseif ARGV[1] == 'stop' and typists[ARGV[2]] then
  typists[ARGV[2]], changed = nil, 1
  redis.call('HDEL', key, ARGV[2])
end
local last, next_one, ids = now, now + seconds, {}
for id, ends in pairs(typists) do
  last, next_one = math.max(last, ends), math.min(next_one, ends)
  ids[#ids + 1] = id
end
if #ids == 0 then redis.call('DEL', key)
else
  if changed == 1 then redis.call('HSET', key, 'told', string.format('%.6f', last)) end
  redis.call('PEXPIRE', key, math.ceil(seconds * 2000) + 1000)
end
local found = {changed, string.format('%.6f', now), tostring(last - now), tostring(next_one - now)}
for _, id in ipairs(ids) do found[#found + 1] = id end
return found
"""


class Typists(NamedTuple):
    """Who types, by id, after a step."""

    to_tell: bool
    """The set is another one, or what others know of it would soon end."""
    user_ids: list[int]
    at: float
    """Rises from step to step."""
    ends_in: float
    """Seconds until nobody types any more, unless they go on."""
    next_ends_in: float
    """Seconds until the first of them does not type any more, unless they go on."""


def start(channel_id: int, user_id: int) -> Typists:
    """They type, for TYPING_SECONDS from now. Raises Unavailable, as the others do."""
    return _step(channel_id, "start", user_id)


def stop(channel_id: int, user_id: int) -> Typists:
    """They type no more."""
    return _step(channel_id, "stop", user_id)


def look(channel_id: int) -> Typists:
    """Somebody may have ended by themself."""
    return _step(channel_id, "look", 0)


def forget_all() -> None:
    """Start anew; for tests, which share one process."""
    _channels.forget_all()


def _step(channel_id: int, step: Step, user_id: int) -> Typists:
    connection = redis()
    if connection is None:
        return _channels.step(channel_id, step, user_id, settings.TYPING_SECONDS)
    key = f"ms:typing:{channel_id}"
    to_tell, at, ends_in, next_ends_in, *user_ids = connection.run(
        lambda client: cast(list[Any], client.eval(STEP, 1, key, step, str(user_id), settings.TYPING_SECONDS))
    )
    return Typists(bool(to_tell), sorted(map(int, user_ids)), float(at), float(ends_in), float(next_ends_in))


class _Channel:
    def __init__(self) -> None:
        self.typists: dict[int, float] = {}
        self.told_until = 0.0


class _Channels:
    """Those of one process in which somebody types."""

    def __init__(self) -> None:
        self._channels: dict[int, _Channel] = {}
        self._lock = Lock()

    def step(self, channel_id: int, step: Step, user_id: int, seconds: float) -> Typists:
        now = clock.monotonic()
        with self._lock:
            channel = self._channels.setdefault(channel_id, _Channel())
            typists = {one: ends for one, ends in channel.typists.items() if ends > now}
            changed = len(typists) < len(channel.typists)
            if step == "start":
                changed = changed or user_id not in typists or channel.told_until - now < seconds * 2 / 3
                typists[user_id] = now + seconds
            elif step == "stop":
                changed = typists.pop(user_id, None) is not None or changed
            last, next_one = max(typists.values(), default=now), min(typists.values(), default=now + seconds)
            channel.typists = typists
            if changed:
                channel.told_until = last
            if not typists:
                del self._channels[channel_id]
            return Typists(changed, sorted(typists), now, last - now, next_one - now)

    def forget_all(self) -> None:
        with self._lock:
            self._channels.clear()


_channels = _Channels()
