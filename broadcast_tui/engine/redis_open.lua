-- What a node has to know of a room that it follows.
-- ARGV: new life, room.
-- Returns epoch, last seq, first seq, former epochs, topic, pinned posts, open questions with their end, and
-- posts with changes to be announced, with the kinds.
local life, room = life_of(ARGV[1]), ARGV[2]
local m = call('HMGET', key('m', room), 'e', 's', 'f', 'x', 'topic')
return {
  m[1] or life, tonumber(m[2] or 0), tonumber(m[3] or 1), m[4] or '', m[5] or '',
  call('SMEMBERS', key('pins', room)), call('HGETALL', key('asks', room)), call('HGETALL', key('pend', room)),
}
