-- wrk's script: walks a list of request targets, each thread its own share, and reports as one JSON line.
-- Arguments: file of targets, method, size of the body, number of threads, wrap (1: begin again at the end).
-- Every body differs in its first bytes, so that a server that deduplicates has no advantage by it.

local counter = 0
function setup(thread)
   thread:set("index", counter)
   counter = counter + 1
end

function init(args)
   local threads = tonumber(args[4])
   method, wrap = args[2], args[5] == "1"
   targets = {}
   local line = 0
   for target in io.lines(args[1]) do
      if line % threads == index then targets[#targets + 1] = target end
      line = line + 1
   end
   local size = tonumber(args[3])
   if size > 0 then
      local random = io.open("/dev/urandom", "rb")
      filler = random:read(size - 20)
      random:close()
   end
   position = 0
   exhausted = 0
end

function request()
   position = position + 1
   if position > #targets then
      if not wrap then exhausted = exhausted + 1 end
      position = 1
   end
   local body = nil
   if filler then body = string.format("%02d%018d", index, position + exhausted * #targets) .. filler end
   return wrk.format(method, targets[position], nil, body)
end

function done(summary, latency)
   io.write(string.format(
      '{"requests":%d,"seconds":%.6f,"bytes":%d,"errors":%d,"p50_ms":%.4f,"p99_ms":%.4f,"max_ms":%.4f}\n',
      summary.requests, summary.duration / 1e6, summary.bytes,
      summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.status + summary.errors.timeout,
      latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency.max / 1e3))
end
