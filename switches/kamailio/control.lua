-- The checks before JSON-RPC: the token, then a strict grammar of the command, then a short list of allowed commands.
-- The grammar is narrow on purpose (one flat object, each key once, no escapes in names): Kamailio's own parser cannot read a command
-- that passes here in another way.

local TABLES = { blocks = true, shadow = true, protected = true, lists = true, sources = true, dialplan = true, carriers = true,
  gateways = true, routes = true, plans = true }
local READ = { ["htable.get"] = true }
local CLEARABLE = { blocks = true, shadow = true }
local WRITE = { ["htable.sets"] = true, ["htable.setxs"] = true, ["htable.seti"] = true, ["htable.delete"] = true } -- of tables whose rows expire
local CTL_READ = { emergency_refused = true, strangers_closed = true, boot = true, seq = true, hold = true, fence = true }
local CTL_WRITE = { hold = true }

local function quoted(body, at)
  local text, next_at = body:match('^"([^"\\%c]*)"%s*()', at)
  return text, next_at
end

local function scalar(body, at)
  local text, next_at = quoted(body, at)
  if text then return text, next_at end
  local number, after = body:match("^(%-?%d+)%s*()", at)
  return number, after
end

local function array(body, at)
  local items = {}
  at = body:match("^%[%s*()", at)
  if not at then return nil end
  local done = body:match("^%]%s*()", at)
  while not done do
    local item, next_at = scalar(body, at)
    if not item then return nil end
    items[#items + 1] = item
    done = body:match("^%]%s*()", next_at)
    at = done or body:match("^,%s*()", next_at)
    if not at then return nil end
  end
  return items, done
end

-- {"jsonrpc":..., "method":..., "params":[...], "id":...}, or nil.
function parse_command(body)
  local command = {}
  local at = body:match("^%s*{%s*()")
  if not at then return nil end
  while true do
    local key, colon = quoted(body, at)
    local value_at = key and body:match("^:%s*()", colon)
    if not value_at or command[key] ~= nil then return nil end
    local value, next_at
    if key == "params" then value, next_at = array(body, value_at)
    elseif key == "jsonrpc" or key == "method" or key == "id" then value, next_at = scalar(body, value_at) end
    if value == nil then return nil end
    command[key] = value
    local finish = body:match("^}%s*()", next_at)
    if finish then return finish == #body + 1 and command or nil end
    at = body:match("^,%s*()", next_at)
    if not at then return nil end
  end
end

local function may(command)
  local method, params = command.method or "", command.params or {}
  if method == "htable.stats" then return true end
  if method:match("^dlg%.[%w_]+$") then return method ~= "dlg.dump_file" end -- it writes a file of any name
  local name, key = params[1], params[2]
  if method == "ringfence.set" then return true end -- its entries are checked in many.lua
  if method == "ringfence.digest" or method == "ringfence.list" then return TABLES[name] == true end
  if method == "htable.dump" then return TABLES[name] == true end
  if method == "htable.flush" then return CLEARABLE[name] == true end
  if not READ[method] and not WRITE[method] then return false end
  if not name or not key then return false end
  if name == "ctl" then return (READ[method] and CTL_READ[key] or CTL_WRITE[key]) == true end
  return READ[method] and TABLES[name] == true or CLEARABLE[name] == true
end

-- Compared in constant time.
local function same(one, other)
  local difference = #one == #other and 0 or 1
  for i = 1, #one do
    if one:byte(i) ~= (other:byte(i) or -1) then difference = difference + 1 end
  end
  return difference == 0
end

local function reply(code, reason, body)
  KSR.pv.sets("$var(rf_http)", "done")
  KSR.xhttp.xhttp_reply(code, reason, "text/plain", body or "")
end

local function fence_path() return SITE.run .. "/fence" end

-- In a file: after a restart, the switch must still refuse an earlier deliverer.
local function remember_fence(number)
  local file = io.open(fence_path() .. ".new", "w")
  if not file then return KSR.err("the file " .. fence_path() .. " cannot be written: after a restart an earlier deliverer is not refused\n") end
  file:write(("%.0f\n"):format(number))
  file:close()
  os.rename(fence_path() .. ".new", fence_path())
end

function load_fence()
  local file = io.open(fence_path(), "r")
  if not file then return end
  local number = (file:read("*l") or ""):match("^%d+$")
  file:close()
  if number then KSR.htable.sht_sets("ctl", "fence", number) end
end

-- A delivery has the fencing number of its lease; one below the highest so far is refused.
local function fenced_off()
  local number = tonumber((KSR.pv.get("$hdr(X-Ringfence-Fence)") or ""):match("^%d+$"))
  if not number then return false end
  local highest = tonumber(KSR.htable.sht_get("ctl", "fence") or 0)
  if number < highest then return true end
  if number > highest then
    KSR.htable.sht_sets("ctl", "fence", ("%.0f"):format(number))
    remember_fence(number)
  end
  return false
end

-- /normalise/PLAN/HEX: how this switch reads a raw number, for the operator and for the test vectors.
local function answer_number(path)
  local plan, hex = path:match("^/normalise/([%w._@+-]+)/(%x*)$")
  local row = plan and KSR.htable.sht_get("dialplan", plan)
  if not row then return reply(404, "Not Found", "") end
  local plan = plan_of(tostring(row))
  local digits, kind = normalise(unhex(hex), plan)
  local others = readings(unhex(hex), plan)
  reply(200, "OK", ('{"digits":"%s","kind":"%s","readings":[%s]}'):format(digits, kind, #others > 0 and '"' .. table.concat(others, '","') .. '"' or ""))
end

-- /source/ADDRESS: the account and trunk of calls from there.
local function answer_source(path)
  local row = source_of(path:match("^/source/([%x.:]+)$") or "")
  if not row then return reply(404, "Not Found", "") end
  local f = split(row, "|")
  reply(200, "OK", ('{"tenant":"%s","account":"%s","trunk":"%s","dial_plan":"%s"}'):format(f[1], f[2], f[3], f[4]))
end

-- /route/TENANT/VIEW/DIGITS: the gateways of a number, as this switch has them; /route/TENANT/VIEW/DIGITS/N looks up N times and says how long that takes.
local function answer_route(path)
  local tenant, view, digits, times = path:match("^/route/([%w._@+-]+)/([%w._@+-]+)/(%d+)/?(%d*)$")
  if not tenant then return reply(404, "Not Found", "") end
  local began, names, code, why, _, prefix = now_ms(), nil, nil, nil, nil, nil
  for _ = 1, math.max(1, math.min(tonumber(times) or 1, 100000)) do names, code, why, _, prefix = route_of(tenant, view, digits) end
  reply(200, "OK", ('{"gateways":[%s],"prefix":"%s","code":%d,"why":"%s","ms":%.0f}'):format(
    names and #names > 0 and '"' .. table.concat(names, '","') .. '"' or "", prefix or "", code or 0, why or "", now_ms() - began))
end

-- $var(rf_http) = "dispatch": the command may run. Else it has been answered here.
function control()
  local ok, problem = pcall(function()
    local token = KSR.pv.get("$hdr(X-Ringfence-Token)") or (KSR.pv.get("$hdr(Authorization)") or ""):match("^Bearer (.+)$")
    if not token or not same(token, SITE.token) then return reply(401, "Unauthorized", "a token is needed\n") end
    local path = KSR.pv.get("$hu") or ""
    if KSR.pv.get("$rm") == "GET" and path:match("^/normalise/") then return answer_number(path) end
    if KSR.pv.get("$rm") == "GET" and path:match("^/source/") then return answer_source(path) end
    if KSR.pv.get("$rm") == "GET" and path:match("^/route/") then return answer_route(path) end
    local command = parse_command(KSR.pv.get("$rb") or "")
    if not command then return reply(400, "Bad Request", "expected one flat JSON-RPC command, each key once\n") end
    local params = command.params or {}
    if not may(command) then return reply(403, "Forbidden", "this method or table is not allowed\n") end
    local writes = WRITE[command.method] or command.method == "htable.flush" or command.method == "ringfence.set"
    local hold = WRITE[command.method] and params[1] == "ctl" and params[2] == "hold" -- a person sets it, whoever has the lease
    if writes and not hold and fenced_off() then
      return reply(409, "Conflict", "a deliverer with a higher fence has written to this switch\n")
    end
    if hold then set_hold(command.method ~= "htable.delete" and params[3] ~= "0") end
    if MANY[command.method] then
      local result = MANY[command.method](params)
      if not result then return reply(400, "Bad Request", "invalid parameters\n") end
      return reply(200, "OK", ('{"jsonrpc":"2.0","result":%s,"id":%s}'):format(result, (command.id or ""):match("^%d+$") or "null"))
    end
    if command.method == "dlg.terminate_dlg" or command.method == "dlg.end_dlg" then
      -- stored for a minute, so that the stop of that dialog does not count as a hung call
      local dialog = command.method == "dlg.terminate_dlg" and params[1] or (params[1] or "") .. ":" .. (params[2] or "")
      KSR.htable.sht_sets("ended", dialog or "", "1")
    end
    KSR.pv.sets("$var(rf_http)", "dispatch")
  end)
  if not ok then
    KSR.err("ringfence control: " .. tostring(problem) .. "\n")
    reply(500, "Server Error", "")
  end
end
