-- A buyer was sent to pay: remember the attempt, and count it in its cohorts.
-- KEYS: attempt, how often this buyer was sent through this channel, fine cohort, coarse cohort
-- ARGV: channel, sent at (seconds), seconds to keep: attempt, buyer's count, fine, coarse
-- The n-th of one buyer counts 1/n. Sent twice under one attempt (the button pressed twice) counts once.
if not redis.call('SET', KEYS[1], '', 'NX', 'EX', ARGV[3]) then
    return 0
end
local times = redis.call('INCR', KEYS[2])
if times == 1 then
    redis.call('EXPIRE', KEYS[2], ARGV[4])
end
local weight = string.format('%.6f', 1 / times)
redis.call('SET', KEYS[1], ARGV[2] .. ' ' .. weight, 'EX', ARGV[3])
for at = 3, 4 do
    redis.call('HINCRBYFLOAT', KEYS[at], 's:' .. ARGV[1], weight)
    redis.call('EXPIRE', KEYS[at], ARGV[at + 2])
end
return 1
