-- One breaker, by Redis' clock: may a call be made, and how did one end?
-- KEYS: state (hash), probes (sorted set of leases), history (list of what it did, newest first, for people)
-- ARGV: 'ask' | 'ok' | 'failed' | 'nobody' (failed, and nobody was there), token, answers to be counted
-- Answers an ask with {1} for a call, {2} for a probe, {0, milliseconds until the next may be tried};
-- what a call came to with {state}, and with {state, 1} when that has moved the breaker there.
local SLOT, SLOTS = 10, 6 -- seconds, and how many of them are looked at
local LEAST, SHARE, IN_A_ROW = 10, 0.5, 5
local FIRST, LONGEST, QUIET = 5000, 300000, 600000 -- milliseconds open, at first and at most; until it counts anew
local PROBES, LEASE, ENOUGH = 3, 15000, 3
local KEPT, KEPT_FOR = 50, 30 * 24 * 3600 * 1000 -- of the history: how many, and milliseconds from the last one
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local slot = math.floor(time[1] / SLOT)
local state = redis.call('HGET', KEYS[1], 'state') or 'closed'
local function number(name)
    return tonumber(redis.call('HGET', KEYS[1], name) or '0')
end

local function forget_counts()
    for back = 0, 2 * SLOTS do
        redis.call('HDEL', KEYS[1], 'ok:' .. slot - back, 'failed:' .. slot - back)
    end
    redis.call('HDEL', KEYS[1], 'row')
end

local function note(...)
    redis.call('LPUSH', KEYS[3], table.concat({...}, ' '))
    redis.call('LTRIM', KEYS[3], 0, KEPT - 1)
    redis.call('PEXPIRE', KEYS[3], KEPT_FOR)
end

local function open(why)
    local trips = number('trips')
    if state == 'closed' and now - number('closed_at') > QUIET then
        trips = 0
    end
    local again = now + math.min(FIRST * 2 ^ trips, LONGEST)
    redis.call('HSET', KEYS[1], 'state', 'open', 'trips', trips + 1, 'until', again)
    note('opened', now, again, why)
    redis.call('DEL', KEYS[2])
    redis.call('PEXPIRE', KEYS[1], 2 * QUIET)
    forget_counts()
    return {'open', 1}
end

if ARGV[1] == 'ask' then
    if state == 'closed' then
        return {1}
    end
    if state == 'open' then
        if now < number('until') then
            return {0, number('until') - now}
        end
        redis.call('HSET', KEYS[1], 'state', 'half', 'good', 0)
    end
    redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
    if redis.call('ZCARD', KEYS[2]) >= PROBES then
        return {0, 1000}
    end
    redis.call('ZADD', KEYS[2], now + LEASE, ARGV[2])
    redis.call('PEXPIRE', KEYS[2], LEASE)
    return {2}
end

local was_probe = redis.call('ZREM', KEYS[2], ARGV[2]) == 1
if state == 'half' then
    if not was_probe then
        return {state} -- begun before it opened: it says nothing of now
    end
    if ARGV[1] ~= 'ok' then
        return open('probe')
    end
    if redis.call('HINCRBY', KEYS[1], 'good', 1) >= ENOUGH then
        redis.call('HSET', KEYS[1], 'state', 'closed', 'closed_at', now)
        note('closed', now)
        return {'closed', 1}
    end
    return {state}
end
if state == 'open' then
    return {state}
end
redis.call('HDEL', KEYS[1], 'ok:' .. slot - SLOTS, 'failed:' .. slot - SLOTS)
if tonumber(ARGV[3]) > 0 then
    redis.call('HINCRBY', KEYS[1], 'ok:' .. slot, ARGV[3])
    redis.call('HDEL', KEYS[1], 'row')
end
if ARGV[1] == 'ok' then
    redis.call('PEXPIRE', KEYS[1], 2 * QUIET)
    return {state}
end
redis.call('HINCRBY', KEYS[1], 'failed:' .. slot, 1)
redis.call('PEXPIRE', KEYS[1], 2 * QUIET)
local row = 0
if ARGV[1] == 'nobody' then
    row = redis.call('HINCRBY', KEYS[1], 'row', 1)
else
    redis.call('HDEL', KEYS[1], 'row')
end
local good, bad = 0, 0
for back = 0, SLOTS - 1 do
    good = good + number('ok:' .. slot - back)
    bad = bad + number('failed:' .. slot - back)
end
if row >= IN_A_ROW then
    return open('row')
end
if good + bad >= LEAST and bad >= SHARE * (good + bad) then
    return open('share')
end
return {state}
