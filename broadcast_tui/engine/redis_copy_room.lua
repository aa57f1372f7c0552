#!lua
-- Store what belongs to a room that was copied from another history.
-- KEYS: life of a partition. ARGV: new life, room, first seq, last seq, topic, former epochs and the seqs at which they ended.
local call, tag = redis.call, KEYS[1]:sub(1, -3)
local room, topic = ARGV[2], ARGV[5]

-- The life of the partition: it changes with the process that has the log, or its data.
local function life_of(new)
  local replid = call('INFO', 'replication'):match('master_replid:(%x+)')
  local known = call('HMGET', KEYS[1], 'replid', 'life')
  if known[1] == replid and known[2] then return known[2] end
  call('HSET', KEYS[1], 'replid', replid, 'life', new)
  return new
end

local forks = ARGV[6]:sub(-1024):match('[^ ]*:.*') or ''
call('HSET', tag .. ':m:' .. room, 'e', life_of(ARGV[1]), 'f', ARGV[3], 's', ARGV[4], 'topic', topic, 'x', forks)
if topic ~= '' or tonumber(ARGV[3]) <= tonumber(ARGV[4]) then
  call('ZADD', tag .. ':rooms', 0, room)
else
  call('ZREM', tag .. ':rooms', room)
end
