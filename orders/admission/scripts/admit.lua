-- Let a click into the stream, once. One call, keys of one hash tag.
-- KEYS: gate, stream, ticket, open tickets of the buyer, whose click the proof was spent on,
--   open tickets from the address
-- ARGV: ticket id, quantity, payload, open tickets at most, seconds to remember, '1' if registered,
--   '1' if it comes with a proof of work, open tickets from the address at most (0: it is not known)
-- Answers {'queued', seq, done, rate}; {'known'} for a repeat; {'shut'}; or {why not, ...}.
local gate = redis.call('HMGET', KEYS[1],
    'epoch', 'limit', 'admitted', 'opens', 'closes', 'paused', 'barred', 'over', 'done', 'rate',
    'next_wave', 'pressure')
if not gate[1] then
    return {'shut'}
end
if redis.call('EXISTS', KEYS[3]) == 1 then
    return {'known'}
end
local quantity = tonumber(ARGV[2])
if ARGV[6] ~= '1' then
    redis.call('HINCRBY', KEYS[1], 'arrivals', 1)
    local now = tonumber(redis.call('TIME')[1])
    if gate[7] == '1' or now < tonumber(gate[4]) then
        return {'not_open', gate[4]}
    end
    if now >= tonumber(gate[5]) then
        return {'ended'}
    end
end
if gate[6] == '1' then
    return {'paused'}
end
if gate[8] ~= '' or tonumber(gate[3]) + quantity > tonumber(gate[2]) then
    return {'full', gate[8], gate[11]}
end
if gate[12] == '1' and ARGV[6] ~= '1' then
    if ARGV[7] ~= '1' then
        return {'proof'}
    end
    redis.call('SET', KEYS[5], ARGV[1], 'NX', 'EX', ARGV[5])
    if redis.call('GET', KEYS[5]) ~= ARGV[1] then
        return {'proof'}
    end
end
if redis.call('SCARD', KEYS[4]) >= tonumber(ARGV[4]) then
    return {'too_many'}
end
-- Else one machine could fill the line under names that it makes up. Registrations were counted before.
local from_address = tonumber(ARGV[8])
if ARGV[6] ~= '1' and from_address > 0 and redis.call('SCARD', KEYS[6]) >= from_address then
    return {'too_many'}
end
redis.call('HINCRBY', KEYS[1], 'admitted', quantity)
local seq = redis.call('HINCRBY', KEYS[1], 'seq', 1)
redis.call('XADD', KEYS[2], '*', 'p', ARGV[3], 'e', gate[1])
redis.call('HSET', KEYS[3], 's', 'queued', 'n', seq)
redis.call('EXPIRE', KEYS[3], ARGV[5])
redis.call('SADD', KEYS[4], ARGV[1])
redis.call('EXPIRE', KEYS[4], ARGV[5])
if from_address > 0 then
    redis.call('SADD', KEYS[6], ARGV[1])
    redis.call('EXPIRE', KEYS[6], ARGV[5])
end
return {'queued', seq, gate[9], gate[10]}
