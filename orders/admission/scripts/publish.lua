-- Bring the gate up to date with PostgreSQL, or open it anew.
-- KEYS: gate   ARGV: epoch, '1' to open a new epoch, units that may come besides those settled, fields
-- Answers 1, or 0 when the gate lives in another epoch (or not at all) and was left alone.
local epoch = redis.call('HGET', KEYS[1], 'epoch')
if ARGV[2] == '1' then
    -- Numbered in PostgreSQL, so that of two who rebuild the later one wins.
    if epoch and tonumber(epoch) >= tonumber(ARGV[1]) then
        return 0
    end
    local arrivals = redis.call('HGET', KEYS[1], 'arrivals') or 0
    redis.call('DEL', KEYS[1])
    redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'limit', 0, 'admitted', 0, 'settled', 0, 'seq', 0,
        'done', 0, 'arrivals', arrivals)
elseif epoch ~= ARGV[1] then
    return 0
end
local gate = redis.call('HMGET', KEYS[1], 'limit', 'settled')
redis.call('HSET', KEYS[1], 'limit',
    string.format('%.0f', math.max(tonumber(gate[1]), tonumber(gate[2]) + tonumber(ARGV[3]))),
    unpack(cjson.decode(ARGV[4])))
return 1
