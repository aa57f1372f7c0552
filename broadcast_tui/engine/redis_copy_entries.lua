-- Store entries of a room that are copied from another history; those that it has are skipped.
-- ARGV: room, time in seconds for which nonces are known, then for each entry, in ascending order: seq, row, root of
-- a reply or 0, nonce key or '', `seq:at`, flags of a post that has a state or '', time at which its question ends
-- or '', kinds to be announced or ''.
local room, ttl = ARGV[1], tonumber(ARGV[2])
local last = tonumber(call('HGET', key('m', room), 's') or 0)
local has_nonces = false

local function store(seq, row, root, nonce, seen, flags, closes, pending)
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
    has_nonces = true
  end
end

for i = 3, #ARGV, 8 do
  local seq = tonumber(ARGV[i])
  if seq > last then
    store(unpack(ARGV, i, i + 7))
    last = seq
  end
end
if has_nonces then
  call('EXPIRE', key('n0', room), 2 * ttl)
  call('HSET', key('m', room), 'g', 0, 't', call('TIME')[1])
end
call('HSET', key('m', room), 's', last)
call('ZADD', tag .. ':rooms', 0, room)
