-- Over which gateways a call is tried: the longest prefix of its number in the table of its route plan, then gateway after gateway, each
-- passed over while it is full, too fast, or does not answer OPTIONS. The tables were delivered; nobody is asked.
--
--   routes    VIEW|PREFIX -> GATEWAY,GATEWAY,...   or  !denied, !no_route
--   plans     VIEW        -> tries|stop codes|go-on codes|table, weight or load|GATEWAY:WEIGHT,...|lrn 0/1
--   gateways  TENANT|GATEWAY -> carrier|trunk group|HOST:PORT|prefix|capacity in calls|calls per second|probed 0/1
--   down      TENANT|GATEWAY -> OPTIONS in a row that were not answered

local function pv(name) return KSR.pv.get(name) end
local function set(name, value) KSR.pv.sets(name, value) end
local function ms(value) return ("%.0f"):format(value) end

local DENIED, NO_ROUTE = 603, 404
DOWN_AFTER = 2 -- OPTIONS in a row without an answer
local PROBE_SHARE = 0.01 -- as rating/routes/choose.py

local function gateway(tenant, name)
  local row = KSR.htable.sht_get("gateways", tenant .. "|" .. name)
  return row and split(tostring(row), "|") or nil
end

-- Calls in progress over a gateway.
local function busy(tenant, name)
  KSR.dialog.get_profile_size("gateway", tenant .. "|" .. name, "$var(rf_size)")
  return tonumber(pv("$var(rf_size)") or 0) or 0
end

local function is_down(tenant, name) return (tonumber(KSR.htable.sht_get("down", tenant .. "|" .. name) or 0) or 0) >= DOWN_AFTER end

-- Moves the one at `at` to the front.
local function lead(names, at)
  if at > 1 then table.insert(names, 1, table.remove(names, at)) end
end

-- Who goes first where the plan draws by weight, orders by load, or looks at carriers that quality keeps behind.
local function arrange(names, plan, tenant)
  if #names < 2 then return end
  if plan.mode == "weight" then
    local weights, sum = {}, 0
    for name, weight in plan.weights:gmatch("([^,:]+):(%d+)") do weights[name] = tonumber(weight) end
    for _, name in ipairs(names) do sum = sum + (weights[name] or 0) end
    local left = math.random() * sum
    for at, name in ipairs(names) do
      left = left - (weights[name] or 0)
      if left < 0 then return lead(names, at) end
    end
  elseif plan.mode == "load" then
    local loads, places = {}, {}
    for at, name in ipairs(names) do
      local row = gateway(tenant, name)
      loads[name], places[name] = busy(tenant, name) / (row and tonumber(row[5]) or 1000), at
    end
    table.sort(names, function(one, other)
      if loads[one] ~= loads[other] then return loads[one] < loads[other] end
      return places[one] < places[other]
    end)
  elseif plan.mode == "probe" and math.random() < PROBE_SHARE then
    lead(names, math.random(2, #names))
  end
end

local function plan_of_view(view)
  local row = KSR.htable.sht_get("plans", view)
  if not row then return nil end
  local f = split(tostring(row), "|")
  return { tries = tonumber(f[1]), stop = f[2], go_on = f[3], mode = f[4], weights = f[5], by_lrn = f[6] == "1" }
end

-- Gateways of a number in order, and the prefix; or nil and the code and cause of a refusal; or nil: no plan of this name was delivered yet.
function route_of(tenant, view, digits)
  local plan = plan_of_view(view)
  if not plan then return nil end
  local row, prefix
  for length = math.min(#digits, 15), 0, -1 do
    prefix = digits:sub(1, length)
    row = KSR.htable.sht_get("routes", view .. "|" .. prefix)
    if row then break end
  end
  row = tostring(row or "!no_route")
  if row == "!denied" then return nil, DENIED, "denied by the lists of the route plan", plan end
  if row:sub(1, 1) == "!" then return nil, NO_ROUTE, "no_route: no gateway can carry calls to this number", plan end
  local names = split(row, ",")
  arrange(names, plan, tenant)
  return names, nil, nil, plan, prefix
end

-- At the setup: stores the hunt of a call in its transaction; or the code and cause of its refusal. `open`: an emergency call, or one that
-- always passes: it is never refused, and goes to the carriers in their order where it has no route.
function begin_hunt(call, number, open)
  if call.view == "" or number == "" then return nil end
  local lrn = call.b_raw:match(";rn=%+?(%d+)")
  local plan = plan_of_view(call.view)
  local names, code, why, _, prefix = route_of(call.tenant, call.view, number)
  if plan and plan.by_lrn and lrn and code ~= DENIED then
    names, code, why, _, prefix = route_of(call.tenant, call.view, lrn)
  end
  if names then
    set("$avp(rf_view)", call.view)
    set("$avp(rf_hunt)", table.concat(names, ","))
    set("$avp(rf_prefix)", prefix)
    set("$avp(rf_rank)", "0")
    set("$avp(rf_tries)", ms(plan.tries))
    set("$avp(rf_codes)", plan.stop .. "|" .. plan.go_on)
    if plan.by_lrn and SITE.ask ~= "" and not lrn and not open then set("$avp(rf_ask)", "1") end
  elseif code and not open then
    return code, why
  end
  return nil
end

-- The answer of the redirect: 302 has the gateways and the LRN; a refusal of ours sets $var(rf_code). Anything else, and no answer, leaves the
-- call to the table.
function asked(code, header)
  set("$avp(rf_unsent)", code == "0" and "0" or "-1") -- the question was a branch of the transaction, and no attempt
  guarded("asked", function()
    local gateways, lrn = (header or ""):match("gateways=([^;]*);lrn=(%d*)")
    if not gateways then return end
    if lrn ~= "" then set("$avp(rf_call)", (pv("$avp(rf_call)") or "") .. name_field("lrn", lrn)) end
    if code == "302" and gateways ~= "" then
      set("$avp(rf_hunt)", gateways)
      set("$avp(rf_prefix)", lrn ~= "" and lrn or "asked")
    elseif code == "603" or code == "404" or code == "503" then
      set("$var(rf_code)", code)
      set("$avp(rf_code)", code)
      set("$avp(rf_cause)", ({ ["603"] = "denied by the lists of the route plan", ["404"] = "no_route: no gateway can carry calls to this number",
        ["503"] = "portability: it does not answer, and the plan goes on without it for no call" })[code])
    end
  end)
end

-- The next gateway of a hunt: its row, name and rank; or nil, and $avp(rf_cause) says why the last ones were passed over.
function next_gateway(tenant)
  local names = split(pv("$avp(rf_hunt)") or "", ",")
  local rank, tries = tonumber(pv("$avp(rf_rank)") or "0"), tonumber(pv("$avp(rf_tries)") or "0")
  local passed = {}
  while rank < #names and tries > 0 do
    rank = rank + 1
    local name = names[rank]
    local row, why = gateway(tenant, name), nil
    if not row then why = "was taken out"
    elseif row[7] == "1" and is_down(tenant, name) then why = "does not answer"
    elseif row[5] ~= "" and busy(tenant, name) >= tonumber(row[5]) then why = "is busy"
    elseif row[6] ~= "" and tonumber(KSR.htable.sht_inc("rate", "g:" .. tenant .. "|" .. name .. ":" .. os.time())) > tonumber(row[6]) then
      why = "has had its calls of this second"
    end
    if not why then
      set("$avp(rf_rank)", ms(rank))
      set("$avp(rf_tries)", ms(tries - 1))
      return row, name, rank
    end
    passed[#passed + 1] = name .. " " .. why
  end
  set("$avp(rf_rank)", ms(rank))
  if #passed > 0 then set("$avp(rf_cause)", "no_route: " .. table.concat(passed, ", ")) end
  return nil
end

-- Whether a code is in a list such as 404,5xx: how many of its digits are written, 0 = no.
local function matches(list, code)
  local best = 0
  for pattern in list:gmatch("[%dx]+") do
    if #code == 3 and code:match("^" .. pattern:gsub("x", "%%d") .. "$") then
      local _, written = pattern:gsub("%d", "")
      best = math.max(best, written)
    end
  end
  return best
end

-- $var(rf_go) = "1": the next gateway is tried after this answer. Never after ringing: then the called person has decided.
function goes_on(code)
  set("$var(rf_go)", "0")
  guarded("goes on", function()
    if (pv("$avp(rf_rang)") or "") ~= "" then return end
    local codes = split(pv("$avp(rf_codes)") or "|402,403,407,408,5xx", "|")
    local go_on = matches(codes[2] or "", code)
    if go_on > 0 and go_on >= matches(codes[1], code) then set("$var(rf_go)", "1") end
  end)
end

-- --- probes ---

-- Each interval: the gateways that are probed, one after the other, in $var(rf_probe) for the configuration, which sends the OPTIONS.
local waiting = {}
function probes_begin()
  waiting = {}
  guarded("probes", function()
    KSR.htable.sht_iterator_start("rf_gateways", "gateways")
    while KSR.htable.sht_iterator_next("rf_gateways") > 0 do
      local f = split(tostring(pv("$shtitval(rf_gateways)")), "|")
      if f[7] == "1" then waiting[#waiting + 1] = { tostring(pv("$shtitkey(rf_gateways)")), f[3] } end
    end
    KSR.htable.sht_iterator_end("rf_gateways")
  end)
end

function next_probe()
  local one = table.remove(waiting)
  set("$var(rf_probe)", one and one[1] or "")
  set("$var(rf_probe_uri)", one and "sip:" .. one[2] or "")
end

-- The answer to a probe, or its time-out (408). Any answer but 408 and 503 means that the gateway is there.
function probed(name, code)
  guarded("probed", function()
    if name == "" then return end
    if code == "408" or code == "503" then
      local count = tonumber(KSR.htable.sht_inc("down", name))
      if count == DOWN_AFTER then KSR.warn("ringfence: gateway " .. name .. " does not answer: it is passed over until it does\n") end
    elseif KSR.htable.sht_get("down", name) then
      KSR.htable.sht_rm("down", name)
      KSR.warn("ringfence: gateway " .. name .. " answers again\n")
    end
  end)
end
