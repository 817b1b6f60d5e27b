-- It was paid: credited, once, to the cohorts in which it was sent.
-- KEYS: attempt (its cohorts bear the same hash tag, so they are on the same server)
-- ARGV: channel, heard of at (seconds), start of the cohorts' names,
--       seconds that cohorts last: fine, coarse; seconds to keep them: fine, coarse; ends of the bins of delays
-- An attempt that is not known, or not any more, says nothing: its cohort does not count it as sent either.
local known = redis.call('GET', KEYS[1])
if not known then
    return 0
end
local sent_at, weight = string.match(known, '^(%S+) (%S+)$')
if not sent_at then
    return 0
end
redis.call('DEL', KEYS[1])
local delay, bin = tonumber(ARGV[2]) - tonumber(sent_at), 0
local last = #ARGV - 8
while bin < last and delay > tonumber(ARGV[8 + bin]) do
    bin = bin + 1
end
for at = 4, 5 do
    local lasts = tonumber(ARGV[at])
    local begins = math.floor(tonumber(sent_at) / lasts) * lasts
    local cohort = ARGV[3] .. lasts .. ':' .. string.format('%d', begins)
    redis.call('HINCRBYFLOAT', cohort, 'p:' .. ARGV[1] .. ':' .. bin, weight)
    redis.call('EXPIRE', cohort, ARGV[at + 2])
end
return 1
