-- What the scripts of the log have in common.
-- KEYS[1]: life of a partition, `{btN}:p`. All other keys of the partition have the same tag.
--   m:ROOM   hash: e epoch, s last seq, f first seq, x former epochs and the seq at which each ended, topic,
--            g t current set of nonces and its start
--   l:ROOM   stream of entries, id `<seq>-0`, field p; and the channel of the room
--   s:ROOM   hash: seq -> `version:flags:row` of each post that was changed; sx:ROOM sorted set of these seqs
--   t:ROOT:ROOM  sorted set: seqs of the replies in a thread
--   pins, asks, pend:ROOM  pinned posts, open questions with their end, posts with changes to be announced
--   n0:ROOM, n1:ROOM  hashes: nonce key -> `seq:at`
--   rooms    sorted set: names of the rooms that have posts or a topic
--   b:NODE   hash: number and result of the last batch of a node
local call = redis.call
local tag = KEYS[1]:sub(1, -3)

-- While the slot moves to another node of a cluster, some keys are there and some here. Then a script would read only
-- some of them, or fail in the middle. Both nodes reject commands with several keys that are missing.
if type(redis.pcall('EXISTS', tag .. ':none', tag .. ':no')) == 'table' then
  return redis.error_reply('TRYAGAIN the slot is moving')
end

local function key(kind, room)
  return tag .. ':' .. kind .. ':' .. room
end

-- The life of the partition: it changes with the process that has the log, or its data.
local function life_of(new)
  local replid = call('INFO', 'replication'):match('master_replid:(%x+)')
  local known = call('HMGET', KEYS[1], 'replid', 'life')
  if known[1] == replid and known[2] then return known[2] end
  call('HSET', KEYS[1], 'replid', replid, 'life', new)
  return new
end

-- Seq and row of the first entry in a stream from a seq on; nil if there is none.
local function entry_from(log, seq)
  local entry = call('XRANGE', log, seq .. '-0', '+', 'COUNT', 1)[1]
  if entry then return tonumber(entry[1]:match('^%d+')), entry[2][2] end
end

-- Delete everything about the entries of a room below a seq.
local function delete_below(room, first)
  local log, changed = key('l', room), key('sx', room)
  local function delete_reply(seq, row)
    local root = row:match('^%[%d+,%d+,(%d+)')
    if root and root ~= '0' then call('ZREM', key('t:' .. root, room), seq) end
  end
  for _, entry in ipairs(call('XRANGE', log, '-', '(' .. first .. '-0')) do
    delete_reply(entry[1]:match('^%d+'), entry[2][2])
  end
  call('XTRIM', log, 'MINID', first .. '-0')
  for _, seq in ipairs(call('ZRANGEBYSCORE', changed, '-inf', '(' .. first)) do
    local state = call('HGET', key('s', room), seq)
    if state then delete_reply(seq, state:match('^%d+:%d+:(.*)')) end
    call('HDEL', key('s', room), seq)
    call('SREM', key('pins', room), seq)
    call('HDEL', key('pend', room), seq)
  end
  call('ZREMRANGEBYSCORE', changed, '-inf', '(' .. first)
  for _, seq in ipairs(call('HKEYS', key('asks', room))) do
    if tonumber(seq) < first then call('HDEL', key('asks', room), seq) end
  end
end
