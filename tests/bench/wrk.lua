-- wrk -s wrk.lua URL -- METHOD HEADER FILE: sends each line of FILE as the value of HEADER, one after the other.
local requests, at = {}, 0

function init(args)
  for value in io.lines(args[3]) do
    requests[#requests + 1] = wrk.format(args[1], nil, { [args[2]] = value, ["Content-Length"] = "0" })
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    'RESULT {"requests": %d, "us": %d, "p50_us": %d, "p99_us": %d, "refused": %d, "broken": %d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), errors.status,
    errors.connect + errors.read + errors.write + errors.timeout))
end
