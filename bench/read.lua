-- Reads one product after the other, so that no cache on the way can answer.
local id = 0
request = function()
  id = id % 1000 + 1
  return wrk.format("GET", "/api/products/" .. id)
end
