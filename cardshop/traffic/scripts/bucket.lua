-- One token bucket, by Redis' clock, kept as a single number: the generic cell rate algorithm (GCRA) of ITU-T
-- I.371, as brandur.org/rate-limiting explains it. The number is the moment at which the bucket will be full
-- again, in microseconds; a bucket that is full has no key.
-- KEYS: bucket. ARGV: microseconds to earn one token, tokens it holds, tokens asked for
-- Answers {1 or 0, tokens left, microseconds until as much may be asked for again, microseconds until full}.
local each, holds, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local full_at = math.max(now, tonumber(redis.call('GET', KEYS[1]) or '0'))
full_at = math.min(full_at, now + each * holds) -- no emptier than empty, whatever the numbers were before
local after = full_at + each * wanted
local wait = after - each * holds - now
if wait > 0 then
    return {0, math.floor((now + each * holds - full_at) / each), wait, full_at - now}
end
-- As text of our own: Lua would write it with 14 digits.
redis.call('SET', KEYS[1], string.format('%.0f', after), 'PX', math.ceil((after - now) / 1000))
return {1, math.floor(-wait / each), 0, after - now}
