-- Delete the entries of rooms that are older than a time.
-- ARGV: oldest time in microseconds, PUBLISH or SPUBLISH, maximum number of entries to delete, rooms.
-- The log of a room is halved by time, as entries are in the order in which they were appended.
-- Returns the number of deleted entries of each room; rooms after the last one that fits are left out.
local cutoff, out = tonumber(ARGV[1]), {}

local function time_of(row)
  return tonumber(row:match('^%[(%d+)') or 0)
end

-- The first seq that is not older, from first to last + 1.
local function boundary(room, first, last)
  local log, low, high = key('l', room), first, last + 1 -- all below `low` are older
  while low < high do
    local middle = math.floor((low + high) / 2)
    local seq, row = entry_from(log, middle)
    if seq and time_of(row) < cutoff then
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
      if time_of(state and state:match('^%d+:%d+:(.*)') or '') >= cutoff then return tonumber(seq) end
    end
  end
  return next_seq
end

local left = tonumber(ARGV[3])
for i = 4, #ARGV do
  if left <= 0 then break end
  local room = ARGV[i]
  local meta, log = key('m', room), key('l', room)
  local m = call('HMGET', meta, 'e', 's', 'f', 'x', 'topic')
  local last, first = tonumber(m[2] or 0), tonumber(m[3] or 1)
  local new = first <= last and boundary(room, first, last) or first
  new = math.min(new, first + left)
  left = left - (new - first)
  out[#out + 1] = new - first
  if new > first then
    delete_below(room, new)
    call('HSET', meta, 'f', new)
    call(ARGV[2], log, table.concat({m[1], last, new, '-', m[4] or ''}, ' ') .. '\n')
  end
  if new > last and (m[5] or '') == '' then call('ZREM', tag .. ':rooms', room) end
end
return out
