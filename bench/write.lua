-- Creates products. TOKEN is a bearer token with the scope `products`; RUN makes the SKUs of each run unique.
local count, thread = 0, 0
local headers = { ["Content-Type"] = "application/json", ["Authorization"] = "Bearer " .. os.getenv("TOKEN") }
function setup(t) t:set("id", thread); thread = thread + 1 end
request = function()
  count = count + 1
  local sku = string.format("BENCH-%s-%d-%d", os.getenv("RUN"), id, count)
  return wrk.format("POST", "/api/products", headers, '{"sku":"' .. sku .. '","name":"Bench","price":100,"currency":"EUR"}')
end
