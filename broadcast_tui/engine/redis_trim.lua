#!lua flags=allow-oom
-- Delete the entries of rooms that are older than a time.
-- KEYS: life of the partition. ARGV: oldest time in microseconds, PUBLISH or SPUBLISH, rooms.
-- The log of a room is halved by time, as entries are in the order in which they were appended.
-- Returns the number of deleted entries of each room.
local call = redis.call
local tag, cutoff = KEYS[1]:sub(1, -3), tonumber(ARGV[1])
local out = {}

local function key(kind, room)
  return tag .. ':' .. kind .. ':' .. room
end

-- Seq and time of the first entry in the stream from a seq on; nil if there is none.
local function entry_from(log, seq)
  local entry = call('XRANGE', log, seq .. '-0', '+', 'COUNT', 1)[1]
  if entry then return tonumber(entry[1]:match('^%d+')), tonumber(entry[2][2]:match('^%[(%d+)')) end
end

-- The first seq that is not older, from first to last + 1.
local function boundary(room, first, last)
  local log, low, high = key('l', room), first, last + 1 -- all below `low` are older
  while low < high do
    local middle = math.floor((low + high) / 2)
    local seq, at = entry_from(log, middle)
    if seq and at < cutoff then
      low = seq + 1
    else
      high = middle
    end
  end
  -- Between the last old entry and the next one there may be posts that are no longer in the stream.
  local next_seq = entry_from(log, low) or last + 1
  if next_seq > low then
    for _, seq in ipairs(call('ZRANGEBYSCORE', key('sx', room), low, '(' .. next_seq)) do
      local state = call('HGET', key('s', room), seq)
      local at = state and tonumber(state:match('^%d+:%d+:%[(%d+)') or 0) or 0
      if at >= cutoff then return tonumber(seq) end
    end
  end
  return next_seq
end

for i = 3, #ARGV do
  local room = ARGV[i]
  local meta, log = key('m', room), key('l', room)
  local m = call('HMGET', meta, 'e', 's', 'f', 'x', 'topic')
  local last, first = tonumber(m[2] or 0), tonumber(m[3] or 1)
  local new = first <= last and boundary(room, first, last) or first
  out[#out + 1] = new - first
  if new > first then
    call('XTRIM', log, 'MINID', new .. '-0')
    local changed = key('sx', room)
    for _, seq in ipairs(call('ZRANGEBYSCORE', changed, '-inf', '(' .. new)) do
      call('HDEL', key('s', room), seq)
      call('SREM', key('pins', room), seq)
      call('HDEL', key('asks', room), seq)
      call('HDEL', key('pend', room), seq)
    end
    call('ZREMRANGEBYSCORE', changed, '-inf', '(' .. new)
    call('HSET', meta, 'f', new)
    call(ARGV[2], log, m[1] .. ' ' .. last .. ' ' .. new .. ' ' .. (m[4] or '') .. '\n')
  end
  if new > last and (m[5] or '') == '' then call('ZREM', tag .. ':rooms', room) end
end
return out
