-- Read entries of a room, posts as they are now.
-- ARGV: room, RANGE|THREAD|SEQS; for the first two: after, before or '', limit, 1 from the end, root; else seqs.
-- Returns epoch or '', last seq, first seq, former epochs, and for each entry: seq, row, for a note the row of
-- its post or ''; in ascending order.
local room, mode = ARGV[1], ARGV[2]
local log, states, changed = key('l', room), key('s', room), key('sx', room)
local m = call('HMGET', key('m', room), 'e', 's', 'f', 'x')
local out = {m[1] or '', tonumber(m[2] or 0), tonumber(m[3] or 1), m[4] or ''}

local function state_of(seq)
  local state = call('HGET', states, seq)
  return state and state:match('^%d+:%d+:(.*)')
end

local function row_of(seq)
  local row = state_of(seq)
  if row then return row end
  local found, stored = entry_from(log, seq)
  return found == seq and stored
end

local function add(seq, row)
  out[#out + 1] = seq
  out[#out + 1] = row
  local target = row:match('^%[%d+,(%d+),%-1')
  out[#out + 1] = target and state_of(target) or ''
end

if mode == 'SEQS' then
  for i = 3, #ARGV do
    local seq = tonumber(ARGV[i])
    local row = row_of(seq)
    if row then add(seq, row) end
  end
  return out
end

local after, before, limit, from_end = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6] == '1'
if limit <= 0 or (before and before <= after + 1) then return out end
local low, high = '(' .. after, before and '(' .. before or '+inf'

-- Seqs in a sorted set, from the end that is asked for.
local function seqs_in(set)
  if from_end then return call('ZREVRANGEBYSCORE', set, high, low, 'LIMIT', 0, limit) end
  return call('ZRANGEBYSCORE', set, low, high, 'LIMIT', 0, limit)
end

local found = {} -- {seq, row}, from the end that is asked for
if mode == 'THREAD' then
  local root = tonumber(ARGV[7])
  local seqs = seqs_in(key('t:' .. root, room))
  if root > after and (not before or root < before) then
    table.insert(seqs, from_end and #seqs + 1 or 1, root)
  end
  for i = 1, math.min(#seqs, limit) do
    local seq = tonumber(seqs[i])
    local row = row_of(seq)
    if row and not row:match('^%[%d+,%d+,%-1') then found[#found + 1] = {seq, row} end
  end
else
  local first, last = after > 0 and '(' .. after .. '-0' or '-', before and '(' .. before .. '-0' or '+'
  local entries
  if from_end then
    entries = call('XREVRANGE', log, last, first, 'COUNT', limit)
  else
    entries = call('XRANGE', log, first, last, 'COUNT', limit)
  end
  local seqs, i, j = seqs_in(changed), 1, 1
  while #found < limit and (entries[i] or seqs[j]) do
    local entry, other = entries[i], seqs[j] and tonumber(seqs[j])
    local seq = entry and tonumber(entry[1]:match('^%d+'))
    if seq and other and (seq == other or (seq < other) ~= from_end) or not other then
      if seq == other then
        found[#found + 1] = {seq, state_of(seq) or entry[2][2]}
        j = j + 1
      else
        found[#found + 1] = {seq, entry[2][2]}
      end
      i = i + 1
    else
      local row = state_of(other)
      if row then found[#found + 1] = {other, row} end
      j = j + 1
    end
  end
end
if from_end then
  for i = #found, 1, -1 do add(found[i][1], found[i][2]) end
else
  for i = 1, #found do add(found[i][1], found[i][2]) end
end
return out
