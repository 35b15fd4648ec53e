-- Which calls are admitted: the twin of core/admission.py, which has the rules and their order; tests/vectors/admission.jsonl runs
-- through both. An error in here lets the call pass.

-- Functions, because the order in which Kamailio loads scripts is not defined.
local function hold_path() return SITE.run .. "/hold" end
local function after_path() return SITE.run .. "/after-emergency" end

local BLOCKED, UNKNOWN_SOURCE, UNREADABLE = 603, 403, 484
local EVERYONE, LEAST_OF_EVERYONE = "*", 7 -- a block of every account, and the fewest digits of its range
local MOST_AFTER = 100 -- lines that one account can open in two hours

local function hold_file_exists()
  local file = io.open(hold_path(), "r")
  if file then file:close() end
  return file ~= nil
end

-- The file counts too, so that `touch` works at once without the control port.
function hold_is_on() return tostring(KSR.htable.sht_get("ctl", "hold") or "0") == "1" or hold_file_exists() end

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

-- Each second: copies the state of the file, which decides, to the table, which the control port reads.
function sync_hold() KSR.htable.sht_sets("ctl", "hold", hold_file_exists() and "1" or "0") end

local function protected(key) return tostring(KSR.htable.sht_get("protected", key) or "") end

-- A short number exactly; a full number with its extensions. (A short number has no extensions: 911 does not protect numbers in Delhi.)
local function protected_number(digits)
  if digits == "" then return false end
  if #digits < 7 then return protected(digits) ~= "" end
  for length = 7, #digits do
    if protected(digits:sub(1, length)) ~= "" then return true end
  end
  return false
end

-- An emergency number, or one that is protected as an emergency line: its reason begins so.
local function is_emergency_line(digits, plan)
  if digits == "" then return false end
  return SITE.emergency[digits] or plan.emergency[digits] or protected(digits):sub(1, 9) == "emergency"
end

local function emergency_line(raw, plan)
  for _, digits in ipairs(readings(raw, plan)) do
    if is_emergency_line(digits, plan) then return digits end
  end
  return nil
end

-- An own account (A) or trunk (T): every tenant's of that name, or this tenant's.
local function protected_name(letter, call, name)
  return name ~= "" and (protected(letter .. name) ~= "" or protected(letter .. call.tenant .. "/" .. name) ~= "")
end

local function is_protected(call)
  if protected_number(call.b_number) then return true end
  if call.a_number ~= "" then
    for _, range in ipairs(call.caller_ranges) do -- a caller number counts only where the trunk is trusted for it
      if call.a_number:sub(1, #range) == range and protected_number(call.a_number) then return true end
    end
  end
  return protected_name("A|", call, call.account) or protected_name("T|", call, call.trunk)
end

-- --- after an emergency call ---

local function who(call) return call.tenant .. "|" .. (call.account ~= "" and call.account or "trunk:" .. call.trunk) end

local function remember(key, seconds)
  if KSR.htable.sht_get("after", key) then return KSR.htable.sht_setxs("after", key, "1", seconds) end
  KSR.htable.sht_setxs("after", key, "1", seconds)
  local file = io.open(after_path(), "a")
  if not file then return KSR.err("the file " .. after_path() .. " cannot be written: after a restart the emergency call does not open its line\n") end
  file:write(("%.0f\t%s\n"):format(os.time() + seconds, key))
  file:close()
end

-- An emergency call from a known source opens, for two hours and for its account, the calls of the line and calls to the line.
local function after_emergency_begins(call, plan)
  if call.tenant == "" then return end
  local from = "from|" .. who(call) .. "|" .. call.a_number
  if not KSR.htable.sht_get("after", from) and tonumber(KSR.htable.sht_inc("opened", who(call))) > MOST_AFTER then return end
  remember(from, SITE.after_emergency)
  if is_line(call.a_number) and (plan.country_code == "" or country_code(call.a_number) == plan.country_code) then
    remember("to|" .. who(call) .. "|" .. call.a_number, SITE.after_emergency)
  end
end

-- At the start: the lines that emergency calls have opened before it.
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

-- The country whose lines a caller may call after an emergency call, "-" = none: the plan's, for a caller in it or withheld; with a plan
-- without a country, that of a caller number that the trunk is trusted for. A claimed number opens no country.
local function country_of_caller(call, plan)
  local home = is_line(call.a_number) and country_of(call.a_number) or ""
  local code = plan.country_code
  if code ~= "" then
    if home ~= "" and country_code(call.a_number) == code then return home end
    return call.a_number == "" and code ~= "1" and code ~= "7" and code or "-"
  end
  for _, range in ipairs(call.caller_ranges) do
    if call.a_number:sub(1, #range) == range and home ~= "" then return home end
  end
  return "-"
end

local function follows_emergency(call, plan)
  if call.b_number == "" then return false end
  if KSR.htable.sht_get("after", "to|" .. who(call) .. "|" .. call.b_number) then return true end
  if not KSR.htable.sht_get("after", "from|" .. who(call) .. "|" .. call.a_number) then return false end
  if call.b_kind == "short" or call.b_kind == "service" then return true end
  return is_line(call.b_number) and country_of(call.b_number) == country_of_caller(call, plan)
end

-- --- blocks ---

-- The order id of the most specific key that refuses the call, or nil: account before trunk before every account, a key with an a_number
-- before one without.
local function look_up(name, call, callers, numbers)
  local get = KSR.htable.sht_get
  local subjects = {}
  if call.account ~= "" then subjects[#subjects + 1] = call.tenant .. "|A|" .. call.account .. "|" end
  if call.trunk ~= "" then subjects[#subjects + 1] = call.tenant .. "|T|" .. call.trunk .. "|" end
  local function longest(stem, least)
    for _, digits in ipairs(numbers) do
      for length = math.min(#digits, 15), least, -1 do
        local order = get(name, stem .. digits:sub(1, length))
        if order then return tostring(order) end
      end
    end
    return nil
  end
  for _, subject in ipairs(subjects) do
    for at = 1, #callers + 1 do
      local order = longest(subject .. (callers[at] or "") .. "|", 0)
      if order then return order end
    end
  end
  return longest(call.tenant .. "|A|" .. EVERYONE .. "||", LEAST_OF_EVERYONE)
end

-- code, order, shadow: the refusal of the call as dialled, before other readings of the number; and the order that would refuse it in shadow.
local function refusal(call, plan)
  if call.tenant == "" then
    if SITE.accept_unknown then return nil end
    return UNKNOWN_SOURCE
  end
  if is_protected(call) or follows_emergency(call, plan) or hold_is_on() then return nil end
  local callers = call.a_number ~= "" and { call.a_number } or readings(call.a_raw, plan)
  local numbers = call.b_number ~= "" and { call.b_number } or readings(call.b_raw, plan)
  if #numbers == 0 then numbers = { "" } end
  local order = look_up("blocks", call, callers, numbers)
  if order then return BLOCKED, order end
  local shadow = look_up("shadow", call, callers, numbers)
  if call.b_number == "" and not call.accept_unreadable then return UNREADABLE, nil, shadow end
  return nil, nil, shadow
end

-- The verdict on a call: { code = 603 | 403 | 484 or nil, order, shadow, number (sent instead of the dialled one), emergency }.
-- `safe`: the pattern in the configuration has matched an emergency number.
function admit(call, plan, safe)
  local line = (call.b_kind == "emergency" or is_emergency_line(call.b_number, plan)) and call.b_number
  local code, order, shadow
  if not line then
    code, order, shadow = refusal(call, plan)
    if code or shadow then line = emergency_line(call.b_raw, plan) or (safe and "") end
  end
  if line then
    pcall(after_emergency_begins, call, plan)
    return { number = line, emergency = true }
  end
  if (code or shadow) and call.tenant ~= "" then
    for _, digits in ipairs(readings(call.b_raw, plan)) do
      if protected_number(digits) then return { number = digits } end
    end
  end
  return { code = code, order = order, shadow = not code and shadow or nil, number = "" }
end
