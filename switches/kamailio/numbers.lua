-- What a raw number means on the trunk that it came from: the twin of core/numbers.py, held to it by tests/vectors/numbers.jsonl.

local WITHHELD = {
  anonymous = true, restricted = true, withheld = true, unavailable = true, unknown = true, private = true, asserted = true,
  privacy = true,
}

-- Country codes of one and two digits; all others have three.
local SHORT_CODES = {}
for code in ("1 7 20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 64 65 66 "
  .. "81 82 84 86 90 91 92 93 94 95 98"):gmatch("%d+") do
  SHORT_CODES[code] = true
end

function split(text, separator)
  local parts = {}
  for part in (text .. separator):gmatch("(.-)%" .. separator) do parts[#parts + 1] = part end
  return parts
end

local function set_of(text)
  local set = {}
  for item in text:gmatch("[^,]+") do set[item] = true end
  return set
end

local plans = {} -- by the text of the row, so that a changed row is another plan

local function parse_plan(row)
  local f = split(row, "|")
  local tech = {}
  for item in (f[4] or ""):gmatch("[^,]+") do tech[#tech + 1] = item end
  table.sort(tech, function(x, y) return #x > #y end)
  return {
    country_code = f[1] or "", international = f[2] or "", trunk = f[3] or "", tech = tech, bare = f[5] ~= "0",
    short_max = tonumber(f[6]) or 6, emergency = set_of(f[7] or ""), service = set_of(f[8] or ""),
  }
end

function plan_of(row)
  local plan = plans[row]
  if not plan then
    plan = parse_plan(row)
    plans[row] = plan
  end
  return plan
end

local function starts(text, prefix) return prefix ~= "" and text:sub(1, #prefix) == prefix end

-- E.164, clause 6: at most 15 digits, and no country code starts with 0.
local function e164(digits, kind)
  if #digits < 7 or #digits > 15 or digits:sub(1, 1) == "0" then return "", "invalid" end
  return digits, kind
end

-- The text of a number without scheme, host, parameters, visual separators and tech prefix.
local function bare_text(raw, plan)
  local text = raw:match("^[%s\28-\31]*(.-)[%s\28-\31]*$")
  local scheme = text:match("^(%a+):")
  scheme = scheme and scheme:lower()
  if scheme == "sip" or scheme == "sips" or scheme == "tel" then text = text:sub(#scheme + 2) end
  text = text:match("^[^@]*"):match("^[^;]*"):gsub("[ %-%.%(%)/\t]", "")
  if text == "" or WITHHELD[text:lower()] then return nil end
  for _, tech in ipairs(plan.tech) do
    if starts(text, tech) and #text > #tech then return text:sub(#tech + 1) end
  end
  return text
end

-- digits, kind. Never fails: what is no number is "", "invalid".
function normalise(raw, plan)
  local text = bare_text(raw, plan)
  if not text then return "", "withheld" end
  local plus = text:sub(1, 1) == "+"
  local digits = plus and text:sub(2) or text
  if not digits:match("^%d+$") then
    local alpha = digits:match("[%a\128-\255]") and not digits:match("[^%w\128-\255_&'!]")
    return "", alpha and "alpha" or "invalid"
  end
  if not plus then
    if plan.emergency[digits] then return digits, "emergency" end
    if plan.service[digits] then return digits, "service" end
    if #digits <= plan.short_max then return digits, "short" end
    if starts(digits, plan.international) then return e164(digits:sub(#plan.international + 1), "e164") end
    if starts(digits, plan.trunk) then return e164(plan.country_code .. digits:sub(#plan.trunk + 1), "national") end
    if not plan.bare then return e164(plan.country_code .. digits, "national") end
  end
  return e164(digits, "e164")
end

-- The digits that a lenient carrier would still route by, of what is no valid number (88213-1234#5, one digit too many):
-- for the look-up of blocks only, so that a mangled number does not slip past a blocked range.
function lenient_digits(raw, plan)
  local text = bare_text(raw, plan)
  if not text then return "" end
  local plus = text:sub(1, 1) == "+"
  local digits = text:gsub("%D", "")
  if not plus then
    if starts(digits, plan.international) then digits = digits:sub(#plan.international + 1)
    elseif starts(digits, plan.trunk) then digits = plan.country_code .. digits:sub(#plan.trunk + 1)
    elseif not plan.bare then digits = plan.country_code .. digits end
  end
  return digits:sub(1, 15)
end

function country_of(digits)
  if SHORT_CODES[digits:sub(1, 1)] then return digits:sub(1, 1) end
  if SHORT_CODES[digits:sub(1, 2)] then return digits:sub(1, 2) end
  return digits:sub(1, 3)
end
