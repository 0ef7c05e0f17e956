-- What wrk sends, and the figures it tells at the end.
--
-- Arguments: `same` for one request again and again, `unlike` for requests of which no two are alike; `paced` after it
-- has each connection wait a millisecond before each request.

local both = "{ fib(n: 213) { result cached } pi(terms: 1000) { result cached } }"
local any = "query ($n: Int!) { fib(n: $n) { result cached } pi(terms: 1000) { result cached } }"

wrk.method = "POST"
wrk.path = "/graphql"
wrk.headers["Content-Type"] = "application/json"

function init(arguments)
  if arguments[1] == "same" then
    wrk.body = '{"query":"' .. both .. '"}'
  else
    math.randomseed(os.time())
    -- Two runs have no request in common either.
    local run, count = os.time() .. "-" .. math.random(1e9), 0
    local text = '{"query":"' .. any .. '","variables":{"n":%d},"extensions":{"nonce":"' .. run .. '-%d"}}'
    function request()
      count = count + 1
      return wrk.format(nil, nil, nil, text:format(math.random(0, 1999), count))
    end
  end
  if arguments[2] == "paced" then
    function delay()
      return 1
    end
  end
end

function done(summary, latency)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  local seconds = summary.duration / 1e6
  io.write(
    ("figures %d %.3f %.3f %d\n"):format(
      math.floor(summary.requests / seconds),
      latency:percentile(50) / 1e3,
      latency:percentile(99) / 1e3,
      failed
    )
  )
end
