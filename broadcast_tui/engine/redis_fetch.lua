-- Read what decides whether changes are allowed.
-- ARGV: rooms in MessagePack: {room, seqs, nonce keys}.
-- Returns in MessagePack, for each room: epoch or '', last seq, first seq, former epochs, number of pins; for each
-- seq its version and row, or {0, ''}; for each nonce `seq:at` of the entry, or ''.
local out = {}
for _, given in ipairs(cmsgpack.unpack(ARGV[1])) do
  local room, seqs, nonces = unpack(given)
  local m = call('HMGET', key('m', room), 'e', 's', 'f', 'x')
  local posts, seen = {}, {}
  for i, seq in ipairs(seqs) do
    local state = call('HGET', key('s', room), seq)
    if state then
      local version, row = state:match('^(%d+):%d+:(.*)')
      posts[i] = {tonumber(version), row}
    else
      local found, row = entry_from(key('l', room), seq)
      posts[i] = {0, found == seq and row or ''}
    end
  end
  for i, nonce in ipairs(nonces) do
    seen[i] = call('HGET', key('n0', room), nonce) or call('HGET', key('n1', room), nonce) or ''
  end
  out[#out + 1] = {
    m[1] or '', tonumber(m[2] or 0), tonumber(m[3] or 1), m[4] or '', call('SCARD', key('pins', room)), posts, seen,
  }
end
return cmsgpack.pack(out)
