-- Reads one product after the other, past every cache.
local id = 0
request = function()
  id = id % 1000 + 1
  return wrk.format("GET", "/api/products/" .. id)
end
