-- Who is refused. The order of the questions is the safety: protected numbers, the hours after an emergency call, the hold flag,
-- and only then the table of blocks. Whatever fails in here lets the call pass.

-- Functions, because Kamailio loads scripts in no promised order.
local function hold_path() return SITE.run .. "/hold" end
local function after_path() return SITE.run .. "/after-emergency" end

function hold_is_on()
  if tostring(KSR.htable.sht_get("ctl", "hold") or "0") == "1" then return true end
  local file = io.open(hold_path(), "r") -- `touch` works at once, with everything else dead
  if file then file:close() end
  return file ~= nil
end

function set_hold(on)
  if on then
    local file = io.open(hold_path(), "a")
    if file then file:close()
    else KSR.err("the hold file " .. hold_path() .. " cannot be written: the flag will not survive a restart\n") end
  else
    os.remove(hold_path())
  end
  KSR.htable.sht_sets("ctl", "hold", on and "1" or "0")
end

-- The file is the truth; the table shows it to whoever asks over the control port. Each second.
function sync_hold()
  local file = io.open(hold_path(), "r")
  if file then file:close() end
  KSR.htable.sht_sets("ctl", "hold", file and "1" or "0")
end

-- A protected number, or an extension of a full one (short ones have none: 911 protects no part of Delhi).
local function protected_number(digits)
  if digits == "" then return false end
  for length = 7, #digits do
    if KSR.htable.sht_get("protected", digits:sub(1, length)) then return true end
  end
  return #digits < 7 and KSR.htable.sht_get("protected", digits) ~= nil
end

-- Protected as an emergency line (its reason begins so): a call to it opens the two hours as well.
function is_emergency_line(digits)
  return digits ~= "" and tostring(KSR.htable.sht_get("protected", digits) or ""):sub(1, 9) == "emergency"
end

function is_protected(call)
  if call.a_number ~= "" and protected_number(call.a_number) then return true end
  if protected_number(call.b_number) then return true end
  if call.account ~= "" and KSR.htable.sht_get("protected", "A|" .. call.account) then return true end
  return call.trunk ~= "" and KSR.htable.sht_get("protected", "T|" .. call.trunk) ~= nil
end

local function who(call) return call.tenant .. "|" .. (call.account ~= "" and call.account or "trunk:" .. call.trunk) end

-- A number whose country code is shared by the world (satellite, international premium and freephone) is no line that a control
-- centre must be let through to: else an emergency call with a forged caller would open a premium range for two hours.
local function is_national_line(digits, plan)
  if digits == "" then return false end
  if plan.country_code ~= "" then return digits:sub(1, #plan.country_code) == plan.country_code end
  return not digits:match("^8[078]") and not digits:match("^979")
end

local function remember(key, seconds)
  KSR.htable.sht_setxs("after", key, "1", seconds)
  local file = io.open(after_path(), "a")
  if not file then return KSR.err("the file " .. after_path() .. " cannot be written: a restart forgets the emergency call\n") end
  file:write(("%.0f\t%s\n"):format(os.time() + seconds, key))
  file:close()
end

function after_emergency_begins(call, plan)
  local seconds = SITE.after_emergency
  if call.tenant ~= "" then remember("from|" .. who(call) .. "|" .. call.a_number, seconds) end
  if is_national_line(call.a_number, plan) then remember("to|" .. call.a_number, seconds) end
end

-- At start: what a restart must not forget.
function load_after_emergency()
  local now, alive = os.time(), {}
  local file = io.open(after_path(), "r")
  if not file then return end
  for line in file:lines() do
    local expires, key = line:match("^(%d+)\t(.+)$")
    local left = expires and tonumber(expires) - now or 0
    if left > 0 then
      KSR.htable.sht_setxs("after", key, "1", left)
      alive[#alive + 1] = line
    end
  end
  file:close()
  local new = io.open(after_path() .. ".new", "w")
  if new then
    new:write(table.concat(alive, "\n"), #alive > 0 and "\n" or "")
    new:close()
    os.rename(after_path() .. ".new", after_path())
  end
end

-- Two hours after an emergency call: calls to that line, and its national calls.
local function follows_emergency(call, plan)
  if call.b_number ~= "" and KSR.htable.sht_get("after", "to|" .. call.b_number) then return true end
  if not KSR.htable.sht_get("after", "from|" .. who(call) .. "|" .. call.a_number) then return false end
  if call.b_kind == "national" or call.b_kind == "short" or call.b_kind == "service" then return true end
  if call.b_number == "" then return false end
  if plan.country_code ~= "" then return call.b_number:sub(1, #plan.country_code) == plan.country_code end
  return is_national_line(call.a_number, plan) and country_of(call.a_number) == country_of(call.b_number)
end

-- The order id of the longest key that refuses the call, or nil. Account before trunk, its a_number before all of it.
local function look_up(name, call, digits)
  local get = KSR.htable.sht_get
  local subjects = {}
  if call.account ~= "" then subjects[#subjects + 1] = call.tenant .. "|A|" .. call.account .. "|" end
  if call.trunk ~= "" then subjects[#subjects + 1] = call.tenant .. "|T|" .. call.trunk .. "|" end
  local callers = call.a_number ~= "" and { call.a_number .. "|", "|" } or { "|" }
  local longest = math.min(#digits, 15)
  for _, subject in ipairs(subjects) do
    for _, caller in ipairs(callers) do
      local stem = subject .. caller
      for length = longest, 0, -1 do
        local order = get(name, stem .. digits:sub(1, length))
        if order then return tostring(order) end
      end
    end
  end
  return nil
end

-- The order that refuses this call (nil: none), and the order that would in shadow.
function verdict(call, plan)
  if is_protected(call) or follows_emergency(call, plan) or hold_is_on() then return nil, nil end
  local digits = call.b_number ~= "" and call.b_number or lenient_digits(call.b_raw, plan)
  local order = look_up("blocks", call, digits)
  if order then return order, nil end
  return nil, look_up("shadow", call, digits)
end
