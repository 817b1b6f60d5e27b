-- Tell Redis what PostgreSQL has committed, acknowledge, and publish the new limit.
-- KEYS: gate, stream, line, then for each outcome its ticket, and the open tickets
--   of its buyer and from its address
-- ARGV: epoch, units that may come besides those settled, seconds to remember, outcomes, entries
--   outcomes: JSON [[ticket id, status, place, order token, reason], …]
--   entries:  JSON [[stream id, quantity, epoch], …]
-- Answers 1, or 0 when the gate lives in another epoch: then nothing but the tickets was touched.
local rank = {queued = 0, waiting = 1, held = 2, refused = 2, left = 2}
for at, outcome in ipairs(cjson.decode(ARGV[4])) do
    local ticket, buyer, address = KEYS[1 + 3 * at], KEYS[2 + 3 * at], KEYS[3 + 3 * at]
    local id, status = outcome[1], outcome[2]
    local before = redis.call('HGET', ticket, 's')
    -- Never backwards: a late word of a slow allocator changes nothing.
    if not before or rank[status] > rank[before] then
        redis.call('HSET', ticket, 's', status, 'n', outcome[3], 'o', outcome[4], 'r', outcome[5])
        redis.call('EXPIRE', ticket, ARGV[3])
        if status ~= 'waiting' then
            redis.call('ZREM', KEYS[3], id)
            redis.call('SREM', buyer, id)
            redis.call('SREM', address, id)
        elseif before then
            redis.call('HSET', ticket, 'seen', redis.call('TIME')[1])
        end
    end
    if status == 'waiting' and (not before or rank[before] < 2) then
        redis.call('ZADD', KEYS[3], outcome[3], id)
    end
end
if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then
    return 0
end
for _, entry in ipairs(cjson.decode(ARGV[5])) do
    -- Of two who acknowledge the same entry one counts.
    if redis.call('XDEL', KEYS[2], entry[1]) == 1 and entry[3] == ARGV[1] then
        redis.call('HINCRBY', KEYS[1], 'settled', entry[2])
        redis.call('HINCRBY', KEYS[1], 'done', 1)
    end
end
local gate = redis.call('HMGET', KEYS[1], 'limit', 'settled')
redis.call('HSET', KEYS[1], 'limit',
    string.format('%.0f', math.max(tonumber(gate[1]), tonumber(gate[2]) + tonumber(ARGV[2]))))
return 1
