-- Read the heads of rooms. ARGV: rooms.
-- Returns for each room: epoch or '', last seq, first seq, former epochs; posts with changes to be announced, with
-- the kinds; topic.
local out = {}
for i, room in ipairs(ARGV) do
  local m = call('HMGET', key('m', room), 'e', 's', 'f', 'x', 'topic')
  out[i] = {m[1] or '', tonumber(m[2] or 0), tonumber(m[3] or 1), m[4] or '', call('HGETALL', key('pend', room)), m[5] or ''}
end
return out
