-- Store what belongs to a room that was copied from another history.
-- ARGV: new life, room, first seq, last seq, topic, former epochs and the seqs at which they ended.
local room, topic = ARGV[2], ARGV[5]
local forks = ARGV[6]:sub(-1024):match('[^ ]*:.*') or ''
call('HSET', key('m', room), 'e', life_of(ARGV[1]), 'f', ARGV[3], 's', ARGV[4], 'topic', topic, 'x', forks)
if topic ~= '' or tonumber(ARGV[3]) <= tonumber(ARGV[4]) then
  call('ZADD', tag .. ':rooms', 0, room)
else
  call('ZREM', tag .. ':rooms', room)
end
