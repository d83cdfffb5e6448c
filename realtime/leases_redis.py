"""Leases in Redis, for any number of workers and machines.

Keys, all of one shard in one hash slot so that one script may touch them. Moments are Unix milliseconds of the workers'
clocks; what is told is one of `Status`.
  ms:{3}:leases              hash  begin_at from when the next may be asked to restore, restored, swept_at,
                                   none_ends_before, lowest version for holders that were forgotten
  ms:{3}:leases:of:<holder>  hash  told, telling until that is confirmed, version, again, and for each lease
                                   l:<lease> "<ends at> <away at, or 0> <attached, 0 or 1> <last connection>"
  ms:{3}:leases:due          zset  holders by when something may change by itself; too early, never too late
  ms:{3}:leases:changed      zset  holders by from when they can be claimed
  ms:{3}:leases:ended        zset  connections whose leases were dropped, until when that is known
A holder that has to come back after a loss has the lease "", whose place the first real one takes.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from realtime import clock
from realtime.leases import (
    CLAIM_SECONDS,
    REMEMBER_ENDED_SECONDS,
    Attached,
    Change,
    Connection,
    Held,
    Lapsed,
    State,
    Status,
    TooMany,
)
from realtime.redis_connection import RedisConnection, shard_of

AT_ONCE = 500
"""Holders of one script: a few milliseconds in which Redis does nothing else."""
REMEMBER_ENDED = round(REMEMBER_ENDED_SECONDS * 1000)

# Every script starts with this. KEYS: the shard's first key. ARGV: now, ...
COMMON = """
local base, now, call = KEYS[1], tonumber(ARGV[1]), redis.call
local none_ends_before = 0

local function key(name) return base .. ':of:' .. name end

local function lease_of(text)
  local ends_at, away_at, attached, connection = string.match(text, '^(%d+) (%d+) ([01]) (.*)$')
  return {ends_at = tonumber(ends_at), away_at = tonumber(away_at), attached = attached, connection = connection}
end

local function load(name)
  local holder, fields = {told = 'offline', version = 0, leases = {}}, call('HGETALL', key(name))
  for i = 1, #fields, 2 do
    local field, value = fields[i], fields[i + 1]
    if string.sub(field, 1, 2) == 'l:' then
      holder.leases[string.sub(field, 3)] = lease_of(value)
    else
      holder[field] = value
    end
  end
  holder.version = tonumber(holder.version)
  return holder
end

local function status_of(holder)
  local status = 'offline'
  for _, lease in pairs(holder.leases) do
    if lease.away_at > now then return 'online' end
    status = 'away'
  end
  return status
end

local function put(name, holder, id, lease)
  holder.leases[id] = lease
  local text = lease.ends_at .. ' ' .. lease.away_at .. ' ' .. lease.attached .. ' ' .. lease.connection
  call('HSET', key(name), 'l:' .. id, text)
end

local function remove(name, holder, id)
  holder.leases[id] = nil
  call('HDEL', key(name), 'l:' .. id)
end

local function open(name, holder, id, connection, attached, lasts, away)
  local away_at = now + away
  if holder.leases[''] then
    away_at = holder.leases[''].away_at
    remove(name, holder, '')
  end
  put(name, holder, id, {ends_at = now + lasts, away_at = away_at, attached = attached, connection = connection})
end

-- After each change of a holder: when to look again, whether it can be claimed (0 or 1), and forget one that is gone.
local function settle(name, holder)
  local due = math.huge
  for _, lease in pairs(holder.leases) do
    due = math.min(due, math.max(lease.ends_at, none_ends_before))
    if lease.away_at > now then due = math.min(due, lease.away_at) end
  end
  if due < math.huge then
    call('ZADD', base .. ':due', due, name)
  else
    call('ZREM', base .. ':due', name)
  end
  if holder.telling then
    return tonumber(call('ZSCORE', base .. ':changed', name)) <= now and 1 or 0
  end
  if holder.again or status_of(holder) ~= holder.told then
    call('ZADD', base .. ':changed', 'LT', now, name)
    return 1
  end
  call('ZREM', base .. ':changed', name)
  if next(holder.leases) == nil then
    call('DEL', key(name))
    if holder.version >= tonumber(call('HGET', base, 'lowest') or 0) then
      call('HSET', base, 'lowest', holder.version + 1)
    end
  end
  return 0
end
"""

# ARGV: now, holder, lease, connection, attached 1 or passing 0, limit, milliseconds that it lasts and until it is away.
# False for too many, else {is new, the connection that it replaced or nothing, whether there is something to claim}.
ATTACH = """
local name, id, connection, attached, limit, lasts, away = unpack(ARGV, 2)
local holder = load(name)
local lease = holder.leases[id]
if lease then
  local replaced = lease.attached == '1' and lease.connection ~= connection and lease.connection or ''
  lease.connection, lease.attached, lease.ends_at = connection, attached, now + lasts
  put(name, holder, id, lease)
  return {0, replaced, settle(name, holder)}
end
local others, detached = 0, {}
for other, found in pairs(holder.leases) do
  if other ~= '' then
    others = others + 1
    if found.attached == '0' then detached[#detached + 1] = other end
  end
end
if others - #detached >= tonumber(limit) then return false end
table.sort(detached, function(one, other)
  local ends_at, later = holder.leases[one].ends_at, holder.leases[other].ends_at
  return ends_at < later or (ends_at == later and one < other)
end)
for i = 1, others + 1 - limit do remove(name, holder, detached[i]) end
open(name, holder, id, connection, attached, lasts, away)
return {1, '', settle(name, holder)}
"""

# ARGV: now, milliseconds that it lasts, milliseconds until away; holder, lease, connection, attached 1 or passing 0 of
# each. Whether each is held, 0 or 1. `due` stays as it was, too early.
RENEW = """
local kept = {}
for i = 4, #ARGV, 4 do
  local name, id, connection, attached = unpack(ARGV, i, i + 3)
  local text = call('HGET', key(name), 'l:' .. id)
  if text then
    local lease = lease_of(text)
    local own = lease.connection == connection
    local held = own and lease.attached == attached or not own and lease.attached == '0'
    if held then
      call('HSET', key(name), 'l:' .. id, now + ARGV[2] .. ' ' .. lease.away_at .. ' ' .. attached .. ' ' .. connection)
    end
    kept[#kept + 1] = held and 1 or 0
  elseif call('ZSCORE', base .. ':ended', connection) then
    kept[#kept + 1] = 0
  else
    local holder = load(name)
    open(name, holder, id, connection, attached, ARGV[2], ARGV[3])
    settle(name, holder)
    kept[#kept + 1] = 1
  end
end
return kept
"""

# ARGV: now, holder, lease, connection, attached 1 or passing 0, milliseconds that a detached lease lasts.
# Whether the connection held it, 0 or 1.
DETACH = """
local name, id, connection, attached, lasts = unpack(ARGV, 2)
local holder = load(name)
local lease = holder.leases[id]
if not lease or lease.connection ~= connection or lease.attached ~= attached then return 0 end
lease.attached, lease.ends_at = '0', now + lasts
put(name, holder, id, lease)
settle(name, holder)
return 1
"""

# ARGV: now, holder, lease, connection. "other", or the lease's own field: attached 0 or 1.
STATE = """
local text = call('HGET', key(ARGV[2]), 'l:' .. ARGV[3])
local lease = text and lease_of(text)
return lease and lease.connection == ARGV[4] and lease.attached or 'other'
"""

# ARGV: now, holder, milliseconds to remember connections; then nothing for all, or a lease, and if only that connection
# may do it, connection, attached 1 or passing 0.
# Whether there was one, 0 or 1.
DROP = """
local name, remember, id, connection, attached = unpack(ARGV, 2)
local holder = load(name)
local dropped = {}
for other, lease in pairs(holder.leases) do
  local held = other == id and (not connection or lease.connection == connection and lease.attached == attached)
  if held or not id then dropped[#dropped + 1] = other end
end
for _, other in ipairs(dropped) do
  local ended = holder.leases[other].connection
  if ended ~= '' then call('ZADD', base .. ':ended', now + remember, ended) end
  remove(name, holder, other)
end
if #dropped == 0 then return 0 end
settle(name, holder)
return 1
"""

# ARGV: now, holder, from when it is away; lease, or nothing for all. Whether there is something to claim, 0 or 1.
SET_AWAY = """
local name, away_at, id = unpack(ARGV, 2)
local holder = load(name)
for other, lease in pairs(holder.leases) do
  if not id or other == id then
    lease.away_at = tonumber(away_at)
    put(name, holder, other, lease)
  end
end
return settle(name, holder)
"""

# ARGV: now, holder.
TELL_AGAIN = """
local name = ARGV[2]
call('HSET', key(name), 'again', 1)
settle(name, load(name))
"""

# ARGV: now, holders. {status, version, ...}
STATUSES = """
local found = {}
for i = 2, #ARGV do
  local told = call('HMGET', key(ARGV[i]), 'telling', 'told', 'version')
  found[#found + 1] = told[1] or told[2] or 'offline'
  found[#found + 1] = tonumber(told[3] or 0)
end
return found
"""

# ARGV: now, milliseconds of two sweeps, milliseconds that a pause counts at most, most leases to end, most holders.
# {number of holders that were looked at, holder, lease, ...}
SWEEP = """
local two_sweeps, longest, limit, most = unpack(ARGV, 2)
local swept_at = tonumber(call('HGET', base, 'swept_at') or now)
none_ends_before = tonumber(call('HGET', base, 'none_ends_before') or 0)
local pause = now - swept_at
if pause > tonumber(two_sweeps) then
  none_ends_before = math.max(none_ends_before, now + math.min(pause, tonumber(longest)))
  call('HSET', base, 'none_ends_before', none_ends_before)
end
call('HSET', base, 'swept_at', math.max(swept_at, now))
call('ZREMRANGEBYSCORE', base .. ':ended', '-inf', now)
local names = call('ZRANGEBYSCORE', base .. ':due', '-inf', now, 'LIMIT', 0, most)
local lapsed, count = {#names}, 0
for _, name in ipairs(names) do
  local holder, past = load(name), {}
  for id, lease in pairs(holder.leases) do
    if math.max(lease.ends_at, none_ends_before) <= now then past[#past + 1] = id end
  end
  for _, id in ipairs(past) do
    if count == tonumber(limit) then break end
    remove(name, holder, id)
    if id ~= '' then
      count = count + 1
      lapsed[#lapsed + 1] = name
      lapsed[#lapsed + 1] = id
    end
  end
  settle(name, holder)
end
return lapsed
"""

# ARGV: now, milliseconds until unconfirmed ones come again, most holders.
# {number of holders that were looked at, holder, status, version, ...}
CLAIM = """
if call('HEXISTS', base, 'restored') == 0 then return {0} end
local names = call('ZRANGEBYSCORE', base .. ':changed', '-inf', now, 'LIMIT', 0, ARGV[3])
local changes, lowest = {#names}, tonumber(call('HGET', base, 'lowest') or 0)
for _, name in ipairs(names) do
  local holder = load(name)
  -- Moments may have passed since it was last looked at.
  if holder.telling or settle(name, holder) == 1 then
    if not holder.telling then
      holder.telling, holder.version = status_of(holder), math.max(holder.version + 1, lowest, now)
      call('HSET', key(name), 'telling', holder.telling, 'version', holder.version)
      call('HDEL', key(name), 'again')
    end
    call('ZADD', base .. ':changed', now + ARGV[2], name)
    changes[#changes + 1] = name
    changes[#changes + 1] = holder.telling
    changes[#changes + 1] = holder.version
  end
end
return changes
"""

# ARGV: now; holder and version of each.
CONFIRM = """
for i = 2, #ARGV, 2 do
  local name, holder = ARGV[i], load(ARGV[i])
  if holder.telling and holder.version == tonumber(ARGV[i + 1]) then
    call('HSET', key(name), 'told', holder.telling)
    call('HDEL', key(name), 'telling')
    holder.told, holder.telling = holder.telling, nil
    settle(name, holder)
  end
end
"""

# ARGV: now, milliseconds until another one is asked. Whether the caller has to restore, 0 or 1.
BEGIN = """
if call('HEXISTS', base, 'restored') == 1 or now < tonumber(call('HGET', base, 'begin_at') or 0) then return 0 end
call('HSET', base, 'begin_at', now + ARGV[2])
return 1
"""

# ARGV: now, milliseconds to come back, milliseconds until away, 1 with the last ones; holder, status, version of each.
RESTORE = """
if call('HEXISTS', base, 'restored') == 1 then return end
for i = 5, #ARGV, 3 do
  local name, status, version = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2])
  local holder = load(name)
  if holder.version < version then
    holder.told, holder.version = status, version
    call('HSET', key(name), 'told', status, 'version', version)
    if status ~= 'offline' and next(holder.leases) == nil then
      local away_at = status == 'away' and 0 or now + ARGV[3]
      put(name, holder, '', {ends_at = now + ARGV[2], away_at = away_at, attached = '0', connection = ''})
    end
  end
  settle(name, holder)
end
if ARGV[4] == '1' then call('HSET', base, 'restored', 1) end
"""

SCRIPTS = (ATTACH, RENEW, DETACH, STATE, DROP, SET_AWAY, TELL_AGAIN, STATUSES, SWEEP, CLAIM, CONFIRM, BEGIN, RESTORE)


class RedisLeases:
    shared = True

    def __init__(
        self,
        connection: RedisConnection,
        *,
        lease_seconds: float,
        away_seconds: float,
        sweep_seconds: float,
        shards: int = 1,
    ) -> None:
        self._connection = connection
        self._lease = round(lease_seconds * 1000)
        self._away = round(away_seconds * 1000)
        self._two_sweeps = round(2 * sweep_seconds * 1000)
        self._attached = self._lease + self._two_sweeps
        self._claim = round(CLAIM_SECONDS * 1000)
        self._shards = shards
        self._scripts = {text: connection.client.register_script(COMMON + text) for text in SCRIPTS}

    def attach(self, held: Held, *, limit: int) -> Attached:
        answer = self._of_one(ATTACH, *_arguments(held), limit, self._attached, self._away)
        if answer is None:
            raise TooMany
        is_new, replaced, changed = answer
        return Attached(bool(is_new), _unpacked(replaced), bool(changed))

    def renew(self, held: Sequence[Held]) -> list[bool]:
        kept = [False] * len(held)
        for shard, places in self._parts([one.holder for one in held]):
            part = [argument for at in places for argument in _arguments(held[at])]
            for at, answer in zip(places, self._run(RENEW, shard, self._attached, self._away, *part), strict=True):
                kept[at] = bool(answer)
        return kept

    def detach(self, held: Held) -> bool:
        return bool(self._of_one(DETACH, *_arguments(held), self._lease))

    def state(self, held: Held) -> State:
        states: dict[bytes, State] = {b"1": "attached", b"0": "detached"}
        found = self._of_one(STATE, held.holder, held.lease, _packed(held.connection))
        return states.get(found, "other")

    def drop(self, held: Held) -> bool:
        return bool(self._of_one(DROP, held.holder, REMEMBER_ENDED, *_arguments(held)[1:]))

    def end(self, holder: str, lease: str | None = None) -> bool:
        return bool(self._of_one(DROP, holder, REMEMBER_ENDED, *([] if lease is None else [lease])))

    def set_away(self, holder: str, lease: str | None, *, away: bool) -> bool:
        away_at = 0 if away else _now() + self._away
        return bool(self._of_one(SET_AWAY, holder, away_at, *([] if lease is None else [lease])))

    def tell_again(self, holder: str) -> None:
        self._of_one(TELL_AGAIN, holder)

    def statuses(self, holders: Sequence[str]) -> list[tuple[Status, int]]:
        found: list[tuple[Status, int]] = [("offline", 0)] * len(holders)
        for shard, places in self._parts(holders):
            answers = iter(self._run(STATUSES, shard, *(holders[at] for at in places)))
            for at, status, version in zip(places, answers, answers, strict=True):
                found[at] = (status.decode(), version)
        return found

    def sweep(self, limit: int) -> list[Lapsed]:
        lapsed: list[Lapsed] = []
        for shard in range(self._shards):
            while asked := min(limit - len(lapsed), AT_ONCE):
                looked_at, *found = self._run(SWEEP, shard, self._two_sweeps, self._lease, asked, AT_ONCE)
                texts = [text.decode() for text in found]
                lapsed += map(Lapsed, texts[::2], texts[1::2])
                if looked_at < AT_ONCE and len(found) < 2 * asked:
                    break
        return lapsed

    def claim(self, limit: int) -> list[Change]:
        changes: list[Change] = []
        for shard in range(self._shards):
            while asked := min(limit - len(changes), AT_ONCE):
                looked_at, *found = self._run(CLAIM, shard, self._claim, asked)
                for holder, status, version in zip(found[::3], found[1::3], found[2::3], strict=True):
                    changes.append(Change(holder.decode(), status.decode(), version))
                if looked_at < asked:
                    break
        return changes

    def confirm(self, changes: Sequence[Change]) -> None:
        for shard, places in self._parts([change.holder for change in changes]):
            self._run(CONFIRM, shard, *(value for at in places for value in (changes[at].holder, changes[at].version)))

    def begin(self) -> bool:
        # Each is asked: of a shard that one worker restores, no other one may think that it has to.
        return True in [bool(self._run(BEGIN, shard, self._claim)) for shard in range(self._shards)]

    def restore(self, known: Sequence[Change]) -> None:
        for shard, places in self._parts([change.holder for change in known]):
            self._run(RESTORE, shard, self._lease, self._away, 0, *(value for at in places for value in known[at]))
        for shard in range(self._shards):
            self._run(RESTORE, shard, self._lease, self._away, 1)

    def _shard(self, holder: str) -> int:
        return shard_of(holder, self._shards)

    def _parts(self, holders: Sequence[str]) -> Iterator[tuple[int, list[int]]]:
        """Shards with places of their holders in the list, as many as one script is given."""
        by_shard: defaultdict[int, list[int]] = defaultdict(list)
        for place, holder in enumerate(holders):
            by_shard[self._shard(holder)].append(place)
        for shard, places in by_shard.items():
            for start in range(0, len(places), AT_ONCE):
                yield shard, places[start : start + AT_ONCE]

    def _of_one(self, script: str, holder: str, *arguments: str | bytes | int) -> Any:
        return self._run(script, self._shard(holder), holder, *arguments)

    def _run(self, script: str, shard: int, *arguments: str | bytes | int) -> Any:
        return self._connection.run(lambda _: self._scripts[script]([f"ms:{{{shard}}}:leases"], [_now(), *arguments]))


def _arguments(held: Held) -> tuple[str, str, bytes, int]:
    return held.holder, held.lease, _packed(held.connection), 0 if held.passing else 1


def _packed(connection: Connection) -> bytes:
    return orjson.dumps([connection.id, connection.worker])


def _unpacked(connection: bytes) -> Connection | None:
    return Connection(*orjson.loads(connection)) if connection else None


def _now() -> int:
    return round(clock.now().timestamp() * 1000)
