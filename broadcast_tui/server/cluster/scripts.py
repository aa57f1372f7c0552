"""Scripts that Redis runs for the cluster. Each changes keys of one tag in one atomic step.

`KEYS[1]` is the beginning of all keys that a script uses. Nodes live as long as their lease, by Redis' clock.

They are executed even if the memory of Redis is full: they need little, and people can read on.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple


class Script(NamedTuple):
    """A script, and the hash by which Redis knows it."""

    text: str
    sha: str


def _script(body: str, *, is_read: bool = False) -> Script:
    flags = "no-writes,allow-oom" if is_read else "allow-oom"
    text = f"#!lua flags={flags}\n{_COMMON}{body}"
    return Script(text, hashlib.sha1(text.encode()).hexdigest())


_COMMON = """\
local call, base = redis.call, KEYS[1]
-- While the slot moves to another node of a Redis Cluster, some keys are there and some here.
if type(redis.pcall('EXISTS', base .. ':none', base .. ':no')) == 'table' then
  return redis.error_reply('TRYAGAIN the slot is moving')
end
local function clock()
  local t = call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end
local function is_live(node, now)
  local lease = call('ZSCORE', base .. ':nodes', node)
  return lease and tonumber(lease) > now
end
"""

BEAT = _script(
    """
-- ARGV: node, lease in ms, 1 to register a new node, fields and values of its record.
-- Returns the state of its lease before, the live nodes, the dead nodes, and the versions of shared lists.
local node, now, nodes = ARGV[1], clock(), base .. ':nodes'
local lease = call('ZSCORE', nodes, node)
local state = 'live'
if ARGV[3] == '1' then state = 'new'
elseif not lease or call('EXISTS', base .. ':reap:' .. node) == 1 then return {'gone'}
elseif tonumber(lease) <= now then state = 'lapsed' end
call('ZADD', nodes, now + ARGV[2], node)
call('HSET', base .. ':node:' .. node, unpack(ARGV, 4))
call('PEXPIRE', base .. ':node:' .. node, 100 * ARGV[2])
return {state, call('ZRANGEBYSCORE', nodes, '(' .. now, '+inf'), call('ZRANGEBYSCORE', nodes, '-inf', now),
  call('GET', base .. ':sanctions:version') or '0', call('GET', base .. ':tokens:version') or '0'}
"""
)

LIVE = _script("return call('ZRANGEBYSCORE', base .. ':nodes', '(' .. clock(), '+inf')", is_read=True)

NODES = _script(
    """
-- Returns the time, and the nodes, each followed by the end of its lease and its record.
local found = {clock()}
local nodes = call('ZRANGE', base .. ':nodes', 0, -1, 'WITHSCORES')
for i = 1, #nodes, 2 do
  found[#found + 1] = nodes[i]
  found[#found + 1] = tonumber(nodes[i + 1])
  found[#found + 1] = call('HGETALL', base .. ':node:' .. nodes[i])
end
return found
""",
    is_read=True,
)

TAKE_NUMBERS = _script(
    """
-- ARGV: count. Takes numbers for guests; returns the last of them.
return call('INCRBY', base .. ':guests', ARGV[1])
"""
)

OWN_ROOM = _script(
    """
-- ARGV: node, room. Notes that a node has members in a room, which its death removes.
return call('SADD', base .. ':or:' .. ARGV[1], ARGV[2])
"""
)

LEAVE = _script(
    """
-- ARGV: node. Ends its lease, after its names and members are removed.
call('ZREM', base .. ':nodes', ARGV[1])
for _, kind in ipairs({'node', 'or', 'names', 'reap'}) do
  call('DEL', base .. ':' .. kind .. ':' .. ARGV[1])
end
return 1
"""
)

START_REAPING = _script(
    """
-- ARGV: node, reaping node, time in ms. Returns 1 if the node is dead and nobody else removes it.
if is_live(ARGV[1], clock()) then return 0 end
return call('SET', base .. ':reap:' .. ARGV[1], ARGV[2], 'NX', 'PX', ARGV[3]) and 1 or 0
"""
)

CLAIM = _script(
    """
-- ARGV: node, key of the name, owner, name, 1 to take it from another owner, 1 if the node had it already.
-- Returns 1, and the nodes that lose it; or 0, and the name that is in use.
local node, name, owner = ARGV[1], base .. ':name:' .. ARGV[2], ARGV[3]
local now, known, others, is_mine = clock(), {}, {}, false
local fields = call('HGETALL', name)
for i = 1, #fields, 2 do
  local field = fields[i]
  if field:sub(1, 1) ~= '@' then known[field] = fields[i + 1]
  elseif field == '@' .. node then is_mine = true
  elseif is_live(field:sub(2), now) then others[#others + 1] = field:sub(2)
  else call('HDEL', name, field) end
end
local is_used = is_mine or #others > 0
local is_held = is_used or (known['until'] and tonumber(known['until']) > now)
local losers = {}
if is_held and known.o ~= owner then
  if ARGV[5] ~= '1' then return {0, known.n} end
  losers = others
  call('DEL', name)
elseif is_used and owner == '' and (#others > 0 or ARGV[6] ~= '1') then return {0, known.n}
elseif not is_held then call('DEL', name) end
call('HSET', name, 'o', owner, 'n', ARGV[4], '@' .. node, 1)
call('HDEL', name, 'until')
call('PERSIST', name)
call('SADD', base .. ':names:' .. node, ARGV[2])
return {1, losers}
"""
)

RELEASE = _script(
    """
-- ARGV: node, key of the name, owner, grace in ms. Another owner has the name if it was taken over.
local node, name, now = ARGV[1], base .. ':name:' .. ARGV[2], clock()
local owner = call('HGET', name, 'o')
if owner == ARGV[3] then call('HDEL', name, '@' .. node) end
if call('HEXISTS', name, '@' .. node) == 0 then call('SREM', base .. ':names:' .. node, ARGV[2]) end
if owner ~= ARGV[3] then return 0 end
for _, field in ipairs(call('HKEYS', name)) do
  if field:sub(1, 1) == '@' and is_live(field:sub(2), now) then return 1 end
end
if tonumber(ARGV[4]) <= 0 then return call('DEL', name) end
call('HSET', name, 'until', now + ARGV[4])
return call('PEXPIRE', name, ARGV[4])
"""
)

REAP_NAMES = _script(
    """
-- ARGV: node, maximum number. Returns the number of names that were removed from a dead node.
local keys = call('SPOP', base .. ':names:' .. ARGV[1], ARGV[2])
for _, key in ipairs(keys) do
  local name = base .. ':name:' .. key
  if call('HDEL', name, '@' .. ARGV[1]) == 1 then
    local is_used = call('HEXISTS', name, 'until') == 1
    for _, field in ipairs(call('HKEYS', name)) do is_used = is_used or field:sub(1, 1) == '@' end
    if not is_used then call('DEL', name) end
  end
end
return #keys
"""
)

WRITE_ROSTER = _script(
    """
-- ARGV: room, node, version, 1 to replace all members, PUBLISH or SPUBLISH, message, keys and members.
local room, node = ARGV[1], ARGV[2]
local on, nodes, version = base .. ':on:' .. node .. ':' .. room, base .. ':o:' .. room, '\\0v'
if ARGV[4] == '1' then call('DEL', on) end
for i = 7, #ARGV, 2 do
  if ARGV[i + 1] == '' then call('HDEL', on, ARGV[i]) else call('HSET', on, ARGV[i], ARGV[i + 1]) end
end
call('HSET', on, version, ARGV[3])
if call('HLEN', on) > 1 then
  call('SADD', nodes, node)
  call('ZADD', base .. ':occupied', 0, room)
else
  call('DEL', on)
  call('SREM', nodes, node)
  if call('SCARD', nodes) == 0 then call('ZREM', base .. ':occupied', room) end
end
return call(ARGV[5], base .. ':c:' .. room, ARGV[6])
"""
)

READ_ROSTERS = _script(
    """
-- ARGV: room. Returns the nodes with members, each followed by its hash.
local found = {}
for _, node in ipairs(call('SMEMBERS', base .. ':o:' .. ARGV[1])) do
  found[#found + 1] = node
  found[#found + 1] = call('HGETALL', base .. ':on:' .. node .. ':' .. ARGV[1])
end
return found
""",
    is_read=True,
)

REMOVE_ROSTERS = _script(
    """
-- ARGV: node, rooms. Removes all members on a node from rooms.
for i = 2, #ARGV do
  call('DEL', base .. ':on:' .. ARGV[1] .. ':' .. ARGV[i])
  call('SREM', base .. ':o:' .. ARGV[i], ARGV[1])
  if call('SCARD', base .. ':o:' .. ARGV[i]) == 0 then call('ZREM', base .. ':occupied', ARGV[i]) end
end
return #ARGV - 1
"""
)

LIST_ROOMS = _script(
    """
-- ARGV: maximum number, number of ranges, their limits as of ZRANGEBYLEX, live nodes.
-- Returns the first rooms in the ranges, each followed by its topic and the number of people in it.
local names, is_known, live = {}, {}, {}
local ranges = tonumber(ARGV[2])
for i = 3 + 2 * ranges, #ARGV do live[ARGV[i]] = true end
for _, key in ipairs({base .. ':rooms', base .. ':occupied'}) do
  for i = 3, 2 + 2 * ranges, 2 do
    for _, name in ipairs(call('ZRANGEBYLEX', key, ARGV[i], ARGV[i + 1], 'LIMIT', 0, ARGV[1])) do
      if not is_known[name] then
        is_known[name] = true
        names[#names + 1] = name
      end
    end
  end
end
table.sort(names)
local found = {}
for i = 1, math.min(#names, tonumber(ARGV[1])) do
  local name, people, count = names[i], {}, 0
  for _, node in ipairs(call('SMEMBERS', base .. ':o:' .. name)) do
    if live[node] then
      for _, key in ipairs(call('HKEYS', base .. ':on:' .. node .. ':' .. name)) do
        if key ~= '\\0v' and not people[key] then
          people[key] = true
          count = count + 1
        end
      end
    end
  end
  found[#found + 1] = name
  found[#found + 1] = call('HGET', base .. ':m:' .. name, 'topic') or ''
  found[#found + 1] = count
end
return found
""",
    is_read=True,
)

OPEN_DIRECT = _script(
    """
-- ARGV: room to create, its lifetime in seconds or 0, two owners, each followed by its name.
-- Returns the room of the owners, and its hash.
local first, second = base .. ':directs:' .. ARGV[3], base .. ':directs:' .. ARGV[5]
local room = ARGV[1]
for _, known in ipairs(call('SINTER', first, second)) do
  if call('EXISTS', base .. ':direct:' .. known) == 1 then
    room = known
    break
  end
  call('SREM', first, known)
  call('SREM', second, known)
end
local key = base .. ':direct:' .. room
call('HSET', key, unpack(ARGV, 3))
call('SADD', first, room)
call('SADD', second, room)
if tonumber(ARGV[2]) > 0 and room == ARGV[1] then call('EXPIRE', key, ARGV[2]) end
return {room, call('HGETALL', key)}
"""
)

LOAD_DIRECTS = _script(
    """
-- ARGV: owner. Returns its rooms, each followed by its hash; forgets those that have ended.
local rooms, found = base .. ':directs:' .. ARGV[1], {}
for _, room in ipairs(call('SMEMBERS', rooms)) do
  local names = call('HGETALL', base .. ':direct:' .. room)
  if #names == 0 then call('SREM', rooms, room)
  else
    found[#found + 1] = room
    found[#found + 1] = names
  end
end
return found
"""
)

CHANGE_HASH = _script(
    """
-- ARGV: key, expected version or an empty string, number of fields to remove, these fields, then fields and
-- values to set.
-- Returns the new version; an empty string if the version is not the expected one.
local key, version = base .. ':' .. ARGV[1], base .. ':' .. ARGV[1] .. ':version'
if ARGV[2] ~= '' and (call('GET', version) or '0') ~= ARGV[2] then return '' end
local removed = tonumber(ARGV[3])
for i = 4, 3 + removed do call('HDEL', key, ARGV[i]) end
for i = 4 + removed, #ARGV, 2 do call('HSET', key, ARGV[i], ARGV[i + 1]) end
return tostring(call('INCR', version))
"""
)

READ_HASH = _script(
    """
-- ARGV: key. Returns its version, its fields and values.
return {call('GET', base .. ':' .. ARGV[1] .. ':version') or '0', call('HGETALL', base .. ':' .. ARGV[1])}
""",
    is_read=True,
)

COUNT_FAILURE = _script(
    """
-- ARGV: address, time in seconds. Returns the number of failures in this time.
local key = base .. ':failures:' .. ARGV[1]
local count = call('INCR', key)
if count == 1 then call('EXPIRE', key, ARGV[2]) end
return count
"""
)
