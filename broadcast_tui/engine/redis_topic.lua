-- Set the topic of a room. ARGV: room, topic, PUBLISH or SPUBLISH.
local room, topic = ARGV[1], ARGV[2]
local meta = key('m', room)
call('HSET', meta, 'topic', topic)
local m = call('HMGET', meta, 's', 'f')
local has_posts = tonumber(m[1] or 0) >= tonumber(m[2] or 1)
if topic ~= '' then
  call('ZADD', tag .. ':rooms', 0, room)
elseif not has_posts then
  call('ZREM', tag .. ':rooms', room)
end
call(ARGV[3], key('l', room), '=' .. topic)
