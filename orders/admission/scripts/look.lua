-- How a ticket stands; whoever asks for one that waits is present.
-- KEYS: ticket, gate, line, registered   ARGV: ticket id, seconds to remember
-- Answers {status, ahead, order token, reason, rate, turn}; {'unknown'} for a ticket that is not known,
-- {'shut'} while none is. {'registered', seconds until the opening} for who is to be let in then.
local ticket = redis.call('HMGET', KEYS[1], 's', 'n', 'o', 'r')
local gate = redis.call('HMGET', KEYS[2], 'done', 'rate', 'turn', 'epoch', 'opens', 'barred')
local status = ticket[1]
if not status then
    if not gate[4] then
        return {'shut'}
    end
    local now = tonumber(redis.call('TIME')[1])
    local left = math.max(0, tonumber(gate[5]) - now)
    if (left > 0 or gate[6] == '1') and redis.call('EXISTS', KEYS[4]) == 1 then
        redis.call('SET', KEYS[4], now, 'EX', ARGV[2])
        return {'registered', left}
    end
    return {'unknown'}
end
local ahead = 0
if status == 'waiting' then
    redis.call('HSET', KEYS[1], 'seen', redis.call('TIME')[1])
    redis.call('EXPIRE', KEYS[1], ARGV[2])
    ahead = redis.call('ZRANK', KEYS[3], ARGV[1]) or 0
elseif status == 'queued' then
    ahead = math.max(0, tonumber(ticket[2]) - tonumber(gate[1] or 0) - 1)
end
return {status, ahead, ticket[3] or '', ticket[4] or '', gate[2] or '', gate[3] or ''}
