-- Append a batch to the rooms of a partition, or nothing at all.
-- ARGV: new life, node, batch number, keep_posts, dedup_s, PUBLISH or SPUBLISH, rooms in MessagePack, the life in which
-- they are to be appended or ''.
-- Returns the life, the number of the last batch, and the result in MessagePack; empty on a conflict or in another life.
--
-- A room: {name, told, entries, changes}. `told`: seq up to which the node has what its log contains; if the
--   log ends before it, the epoch changes at once. `entries`: nonce key or '', row, and for a note the row of
--   its post, flat.
-- `changes` (only if there are any): {epoch, pins, states, nonces}, what the node has read and what follows from
--   it. The epoch, the number of pins (-1: any) and the versions of the states must be the same as then.
--   states: {seq, or -k for entry k; version before; row; time at which its question ends; kinds to be
--   announced; whether it is pinned; whether its text has changed}. nonces: key and value of changes without
--   an entry, flat.
-- In rows, `"folded":-k` stands for the seq of entry k.
-- The result of a room: epoch, seq before the batch, first seq, former epochs, for each entry its seq, or
-- `seq:at` of the earlier copy.
local mark, number = tag .. ':b:' .. ARGV[2], tonumber(ARGV[3])
local keep, ttl, command = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
local life = life_of(ARGV[1])
local done = call('HMGET', mark, 'number', 'result')
local rooms = cmsgpack.unpack(ARGV[7])
if #rooms == 0 or (ARGV[8] ~= '' and ARGV[8] ~= life) then return {life, done[1] or '', ''} end
if done[1] == ARGV[3] then
  call('EXPIRE', mark, 2 * ttl) -- a write, which WAIT waits for
  return {life, done[1], done[2]}
end
if tonumber(done[1] or 0) > number then return redis.error_reply('STALE batch') end

local CHUNK = 500 -- arguments of a command, as Lua passes a few thousand at most

-- The earlier copy of an entry.
local function seen_before(room, nonce)
  return nonce ~= '' and (call('HGET', key('n0', room), nonce) or call('HGET', key('n1', room), nonce))
end

-- The earlier copies of entries by their nonces, looked up together.
local function copies_of(room, entries)
  local nonces, copies = {}, {}
  for i = 1, #entries, 3 do
    if entries[i] ~= '' then nonces[#nonces + 1] = entries[i] end
  end
  for _, set in ipairs({key('n0', room), key('n1', room)}) do
    if #nonces > 0 and call('EXISTS', set) == 1 then
      for start = 1, #nonces, CHUNK do
        local last = math.min(start + CHUNK - 1, #nonces)
        for i, copy in ipairs(call('HMGET', set, unpack(nonces, start, last))) do
          if copy then copies[nonces[start + i - 1]] = copy end
        end
      end
    end
  end
  return copies
end

-- Set fields of a hash, given as a flat list.
local function set_fields(hash, fields)
  for start = 1, #fields, 2 * CHUNK do
    call('HSET', hash, unpack(fields, start, math.min(start + 2 * CHUNK - 1, #fields)))
  end
end

-- Whether what the node has read of a room is no longer true.
local function is_outdated(name, entries, changes)
  local epoch, pins, states, nonces = unpack(changes)
  local m = call('HMGET', key('m', name), 'e', 's', 'f')
  if (m[1] or life) ~= epoch then return true end
  if pins >= 0 and call('SCARD', key('pins', name)) ~= pins then return true end
  for _, state in ipairs(states) do
    local seq = state[1]
    if seq > 0 then
      if seq > tonumber(m[2] or 0) or seq < tonumber(m[3] or 1) then return true end
      local stored = call('HGET', key('s', name), seq)
      if (stored and stored:match('^%d+') or '0') ~= tostring(state[2]) then return true end
    end
  end
  for i = 1, #entries, 3 do
    if entries[i + 2] ~= '' and seen_before(name, entries[i]) then return true end
  end
  for i = 1, #nonces, 2 do
    if seen_before(name, nonces[i]) then return true end
  end
  return false
end

for _, given in ipairs(rooms) do
  if given[4] and is_outdated(given[1], given[3], given[4]) then return {life, done[1] or '', ''} end
end

local now, out = tonumber(call('TIME')[1]), {}
for _, given in ipairs(rooms) do
  local room, told, entries, changes = unpack(given)
  local meta, log = key('m', room), key('l', room)
  local m = call('HMGET', meta, 'e', 's', 'f', 'x', 'g', 't')
  local epoch, seq, first, forks = m[1], tonumber(m[2] or 0), tonumber(m[3] or 1), m[4] or ''
  local gen, since = tonumber(m[5] or 0), tonumber(m[6] or 0)
  if now - since > ttl or call('HLEN', key('n' .. gen, room)) > 50000 then
    gen = 1 - gen
    call('UNLINK', key('n' .. gen, room))
    call('HSET', meta, 'g', gen, 't', now)
  end
  local fresh, before, seqs, lines = key('n' .. gen, room), seq, {}, {}
  local new_nonces, copies = {}, copies_of(room, entries)
  local function with_seqs(row)
    return (row:gsub('"folded":%-(%d+)', function(k) return '"folded":' .. tostring(seqs[tonumber(k)]) end))
  end
  for i = 1, #entries, 3 do
    local nonce, row, post = entries[i], entries[i + 1], entries[i + 2]
    local seen = copies[nonce]
    if not seen then
      seq = seq + 1
      seqs[#seqs + 1] = seq
      if post ~= '' then
        lines[#lines + 1] = row .. '\t' .. with_seqs(post)
      else
        lines[#lines + 1] = row
        local root = row:match('^%[%d+,[1-9]%d*,(%d+)')
        if root then call('ZADD', key('t:' .. root, room), seq, seq) end
      end
      call('XADD', log, seq .. '-0', 'p', row)
      if nonce ~= '' then
        new_nonces[#new_nonces + 1] = nonce
        new_nonces[#new_nonces + 1] = seq .. ':' .. row:match('^%[(%d+)')
      end
    else
      seqs[#seqs + 1] = seen
    end
  end
  if changes then
    for _, state in ipairs(changes[3]) do
      local target, version, row, closes, pending, pinned, text_changed = unpack(state)
      local is_new = target < 0
      if is_new then target = seqs[-target] end
      if type(target) == 'number' then
        if not is_new then
          local flags = (pinned and 1 or 0) + (closes ~= '' and 2 or 0) + (pending ~= '' and 4 or 0)
          call('HSET', key('s', room), target, (version + 1) .. ':' .. flags .. ':' .. with_seqs(row))
          call('ZADD', key('sx', room), target, target)
          call(pinned and 'SADD' or 'SREM', key('pins', room), target)
          if text_changed then call('XDEL', log, target .. '-0') end
          if pending ~= '' then
            call('HSET', key('pend', room), target, pending)
          else
            call('HDEL', key('pend', room), target)
          end
        end
        if closes ~= '' then
          call('HSET', key('asks', room), target, closes)
        else
          call('HDEL', key('asks', room), target)
        end
      end
    end
    for _, field in ipairs(changes[4]) do new_nonces[#new_nonces + 1] = field end
  end
  if #new_nonces > 0 then
    set_fields(fresh, new_nonces)
    call('EXPIRE', fresh, 2 * ttl)
  end
  if seq > before or (told > seq and epoch ~= life) then
    if not epoch or first > before then call('ZADD', tag .. ':rooms', 0, room) end
    if epoch and epoch ~= life then
      forks = (forks .. epoch .. ':' .. before .. ' '):sub(-1024):match('[^ ]*:.*')
    end
    epoch = life
    if keep > 0 and seq - first >= keep + 127 then
      -- In parts, as a log may be much longer after it was copied, or after `keep_posts` was changed.
      first = math.min(seq - keep + 1, first + 5000)
      delete_below(room, first)
    end
    call('HSET', meta, 'e', epoch, 's', seq, 'f', first, 'x', forks)
    local head = table.concat({epoch, before, first, ARGV[2], forks}, ' ')
    call(command, log, head .. '\n' .. table.concat(lines, '\n'))
  end
  out[#out + 1] = {epoch or life, before, first, forks, seqs}
end
local result = cmsgpack.pack(out)
call('HSET', mark, 'number', ARGV[3], 'result', result)
call('EXPIRE', mark, 2 * ttl)
return {life, ARGV[3], result}
