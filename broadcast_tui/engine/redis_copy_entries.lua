-- Store entries that are copied from another history; those that their rooms have are skipped.
-- ARGV: time in seconds for which nonces are known, then for each entry, ascending in each room: room, seq, row, root
-- of a reply or 0, nonce key or '', `seq:at`, flags of a post that has a state or '', time at which its question ends
-- or '', kinds to be announced or ''.
local ttl = tonumber(ARGV[1])
local last, has_nonces = {}, {} -- by room

local function store(room, seq, row, root, nonce, seen, flags, closes, pending)
  if flags ~= '' then
    call('HSET', key('s', room), seq, '1:' .. flags .. ':' .. row)
    call('ZADD', key('sx', room), seq, seq)
    if flags % 2 == 1 then call('SADD', key('pins', room), seq) end
    if closes ~= '' then call('HSET', key('asks', room), seq, closes) end
    if pending ~= '' then call('HSET', key('pend', room), seq, pending) end
  else
    call('XADD', key('l', room), seq .. '-0', 'p', row)
  end
  if root ~= '0' then call('ZADD', key('t:' .. root, room), seq, seq) end
  if nonce ~= '' then
    call('HSET', key('n0', room), nonce, seen)
    has_nonces[room] = true
  end
end

for i = 2, #ARGV, 9 do
  local room, seq = ARGV[i], tonumber(ARGV[i + 1])
  last[room] = last[room] or tonumber(call('HGET', key('m', room), 's') or 0)
  if seq > last[room] then
    store(unpack(ARGV, i, i + 8))
    last[room] = seq
  end
end
local now = call('TIME')[1]
for room, seq in pairs(last) do
  call('HSET', key('m', room), 's', seq)
  call('ZADD', tag .. ':rooms', 0, room)
  if has_nonces[room] then
    call('EXPIRE', key('n0', room), 2 * ttl)
    call('HSET', key('m', room), 'g', 0, 't', now)
  end
end
