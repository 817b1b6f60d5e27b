-- Shut the gate of a line that nobody needs any more, unless somebody let in is not settled yet.
-- KEYS: gate, stream
-- Answers 1, or 0 when there is somebody. Without an epoch nobody comes in; what was counted stays.
if redis.call('XLEN', KEYS[2]) > 0 then
    return 0
end
redis.call('HDEL', KEYS[1], 'epoch')
redis.call('DEL', KEYS[2])
return 1
