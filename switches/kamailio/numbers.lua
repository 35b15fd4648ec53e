-- How a raw number is read by the dial plan of its trunk, and its other possible readings: the twin of core/numbers.py and
-- core/numbering.py; tests/vectors/numbers.jsonl runs through both. NUMBERING, the tables of both, is in the file that Python renders.

local WITHHELD = {
  anonymous = true, restricted = true, withheld = true, unavailable = true, unknown = true, private = true, asserted = true,
  privacy = true,
}

local SHORT_MOST = 6
local MOST_GROUPS = 6
local MOST_ZEROS = 4

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

local plans = {} -- by the text of the row, so that a changed row is parsed again

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
local function without_zeros(digits) return (digits:gsub("^0+", "")) end

-- --- numbering ---

function country_code(digits)
  if NUMBERING.short_codes[digits:sub(1, 1)] then return digits:sub(1, 1) end
  if NUMBERING.short_codes[digits:sub(1, 2)] then return digits:sub(1, 2) end
  return digits:sub(1, 3)
end

-- The country code, or the country's name for +1 and +7, which several countries share; "" = of no country.
function country_of(digits)
  local code = country_code(digits)
  if code == "1" then return NUMBERING.areas[digits:sub(2, 4)] or "" end
  if code == "7" then return digits:match("^7[67]") and "KZ" or "RU" end
  return NUMBERING.world_codes[code] and "" or code
end

-- Whether a number can be a person's line: of a country, and neither premium rate nor shared cost.
function is_line(digits)
  if digits == "" or country_of(digits) == "" then return false end
  local code = country_code(digits)
  local rest = digits:sub(#code + 1)
  for _, prefix in ipairs(NUMBERING.premium[code] or {}) do
    if starts(rest, prefix) then return false end
  end
  return true
end

local function without_trunk_zero(digits)
  local code = country_code(digits)
  if digits:sub(#code + 1, #code + 1) ~= "0" or not NUMBERING.zero_dropped[code] then return digits end
  return code .. without_zeros(digits:sub(#code + 1))
end

-- --- packing ---

local function unescaped(text) return (text:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end)) end

-- Separators that people and programs write: in UTF-8 no-break and zero-width spaces, hyphens, marks of direction; and those of ASCII.
local function without_utf8_separators(text)
  if not text:find("[\194\226\227\239]") then return text end
  text = text:gsub("\194[\160\173]", ""):gsub("\226\128[\128-\149]", ""):gsub("\226\128[\168-\175]", "")
  return (text:gsub("\226\129[\160-\164]", ""):gsub("\226\136\146", ""):gsub("\227\128\128", ""):gsub("\239\187\191", ""))
end

local function without_separators(text)
  return without_utf8_separators((text:gsub("[ %-%.%(%)/\t]", "")))
end

-- +36 (06) 1 234 is +36 1 234: the bracket has the national prefix, which is not part of the number.
local function without_bracket(text)
  local head, inside, tail = text:match("^(%+?[ %-%./]*%d[%d %-%./]*)%((%d+)%)(.*)$")
  if not head then return text end
  local code = head:gsub("%D", "")
  if head:sub(1, 1) ~= "+" then code = code:match("^00(.*)$") or "" end
  if code ~= "" and code == country_code(code) and NUMBERING.national_prefix[code] == inside then return head .. tail end
  return text
end

local function is_float(text)
  text = without_utf8_separators((text:gsub("[%s%-\28-\31]", "")))
  return (text:match("^%+?(%d+)%.0+$") or ""):len() >= 7 or text:match("^%d+[eE][+-]?%d+$") ~= nil
    or text:match("^%d+[%.,]%d*[eE][+-]?%d+$") ~= nil
end

local function trimmed(text) return text:match("^[%s\28-\31]*(.-)[%s\28-\31]*$") end

-- The dialled number in a URI or header: its text, the digits of a global phone-context, whether a program has turned it into a float, and
-- the text with the part in brackets.
local function unpacked(raw)
  local text = trimmed(raw)
  local inside = text:match(".*<([^<>]*)>")
  if inside then text = trimmed(inside) end
  local scheme = (text:match("^(%a+):") or ""):lower()
  if scheme == "sip" or scheme == "sips" or scheme == "tel" then text = text:sub(#scheme + 2) end
  local _, context_at = text:lower():find(";phone-context=", 1, true)
  local context = context_at and unescaped(text:sub(context_at + 1):match("^[^;>@?]*")) or ""
  context = context:sub(1, 1) == "+" and context:gsub("%D", "") or ""
  local user = text:match("^([^@]*)@")
  if user then text = user:match("^[^:]*") end
  text = text:match("^[^;]*"):match("^[^?]*")
  for _ = 1, 3 do -- an escape may be escaped itself
    local plain = unescaped(text)
    if plain == text then break end
    text = plain
  end
  local function plain(one) return without_separators(one):match("^[\r\n\t\v\f]*(.-)[\r\n\t\v\f]*$") end
  return plain(without_bracket(text)), context, is_float(trimmed(text)), plain(text)
end

-- --- the meaning of a number ---

-- Without tones after the number, and without the end-of-dialling sign.
local function dialled(text)
  local number, rest = text:match("^(%+?%d%d+)(.*)$")
  if number and rest ~= "" and (rest:match("^[%*#]+$") or rest:match("^[,;pPwW][%d%*#,;pPwW]*$")) then return number end
  return text
end

local function without_tech_prefix(text, plan)
  for _, tech in ipairs(plan.tech) do
    if starts(text, tech) and #text > #tech then return text:sub(#tech + 1) end
  end
  return text
end

-- Whether a text without + may be a full E.164 number, where the plan allows such: then it does not begin with a code. +1 has eleven digits.
local function could_be_e164(text, plan)
  if not plan.bare or not text:match("^[1-9]%d*$") then return false end
  if text:sub(1, 1) == "1" then return #text == 11 end
  return #text <= 11
end

-- Without the code that hides or shows the caller's number, where a number follows it.
local function without_caller_code(text, plan)
  for _ = 1, 3 do
    local code, rest = text:match("^[%*#][%*#]?(%d%d)[%*#]([%+%d].*)$")
    if not code then code, rest = text:match("^%*(%d%d)([%+%d].*)$") end
    if not code or not NUMBERING.star_codes[code] then break end
    text = rest
  end
  local codes = NUMBERING.caller_codes[plan.country_code]
  if codes and not plan.emergency[text] and not plan.service[text] then
    for _, code in ipairs(codes) do
      if starts(text, code) and #text > #code then
        local rest = text:sub(#code + 1)
        if plan.emergency[rest] or #rest == codes.bare or (plan.trunk ~= "1" and starts(rest, plan.trunk))
          or starts(rest, plan.international) or starts(rest, "+") then
          if plan.emergency[rest] or not could_be_e164(text, plan) then return rest end
        end
      end
    end
  end
  return text
end

-- Whether the dialled text has a code that hides the caller's number. *31# and #31# have opposite meanings in different networks: in doubt
-- the number is hidden.
function hides_caller(raw, plan)
  local text = dialled(without_tech_prefix((unpacked(raw)), plan))
  local rest = without_caller_code(text, plan)
  if rest == text then return false end
  local code = text:sub(1, #text - #rest):gsub("%D", "")
  return NUMBERING.hiding[code] == true
end

-- E.164, clause 6: at most 15 digits, and no country code starts with 0. A trunk zero after the country code is removed.
local function e164(digits, kind, plan)
  digits = without_trunk_zero(digits)
  local short = digits:sub(#country_code(digits) + 1)
  if #digits < 10 and plan.emergency[short] then return short, "emergency" end
  if #digits < 7 or #digits > 15 or digits:sub(1, 1) == "0" then return "", "invalid" end
  return digits, kind
end

-- digits, kind. Never fails: a text that is not a number is "", "invalid".
function normalise(raw, plan)
  local text, context, float = unpacked(raw)
  if text == "" or WITHHELD[text:lower()] then return "", "withheld" end
  if float then return "", "invalid" end
  text = dialled(without_caller_code(dialled(without_tech_prefix(text, plan)), plan))
  local plus = text:sub(1, 1) == "+"
  local digits = plus and text:sub(2) or text
  if not plus and plan.international ~= "" and starts(digits, plan.international .. "+") then -- 00+43
    plus, digits = true, digits:sub(#plan.international + 2)
  end
  if not digits:match("^%d+$") then
    local alpha = digits:match("[%a\128-\255]") and not digits:match("[^%w\128-\255_&'!]")
    return "", alpha and "alpha" or "invalid"
  end
  if plus then
    if plan.emergency[digits] then return digits, "emergency" end
    return e164(starts(digits, "00") and without_zeros(digits) or digits, "e164", plan) -- +0043
  end
  if plan.emergency[digits] then return digits, "emergency" end
  if plan.service[digits] then return digits, "service" end
  if #digits <= plan.short_max then return digits, "short" end
  if starts(digits, plan.international) then return e164(digits:sub(#plan.international + 1), "e164", plan) end
  if context ~= "" then return e164(without_trunk_zero(context .. digits), "e164", plan) end -- RFC 3966, clause 5.1.5
  if starts(digits, plan.trunk) then return e164(plan.country_code .. digits:sub(#plan.trunk + 1), "national", plan) end
  if not plan.bare then return e164(plan.country_code .. digits, "national", plan) end
  return e164(digits, "e164", plan)
end

-- --- other readings ---

local function ascii_digits(text)
  if not text:find("[\128-\255]") then return text end
  text = text:gsub("\239\188([\144-\153])", function(c) return string.char(c:byte() - 144 + 48) end):gsub("\239\188\139", "+")
  text = text:gsub("\217([\160-\169])", function(c) return string.char(c:byte() - 160 + 48) end)
  return (text:gsub("\219([\176-\185])", function(c) return string.char(c:byte() - 176 + 48) end))
end

-- The parts of a text that may be the number: all of it, without suffixes, and without prefixes.
local function dial_texts(text, plan)
  text = ascii_digits(text):gsub("[%a;\128-\255]", ","):gsub("[^%+%d%*#,]", ""):gsub("^,+", ""):gsub(",+$", "")
  local texts, seen = {}, {}
  local function add(one)
    if not seen[one] then
      seen[one] = true
      texts[#texts + 1] = one
    end
  end
  local heads = { text:match("^[^,]*"), (text:gsub(",", "")) }
  heads[3], heads[4] = without_tech_prefix(heads[1], plan), without_tech_prefix(heads[2], plan)
  for _, head in ipairs(heads) do
    local groups = {}
    for group in head:gmatch("[^%*#]+") do
      if #groups < MOST_GROUPS then groups[#groups + 1] = group end
    end
    add(table.concat(groups))
    for at = 2, #groups do add(table.concat(groups, "", at)) end
    for at = 1, #groups - 1 do add(table.concat(groups, "", 1, at)) end
    if head:match("^[%*#]") and groups[1] then add(groups[1]:sub(3) .. table.concat(groups, "", 2)) end
  end
  local plain = #texts
  for _, code in ipairs(NUMBERING.caller_codes[plan.country_code] or {}) do
    for at = 1, plain do
      if starts(texts[at], code) then add(texts[at]:sub(#code + 1)) end
    end
  end
  return texts
end

-- Every number by which some lenient carrier could route a raw one, its proper meaning first. Digits only, without repeats.
function readings(raw, plan)
  local found, seen = {}, { [""] = true }
  local function add(digits)
    if not seen[digits] then
      seen[digits] = true
      found[#found + 1] = digits
    end
  end
  add((normalise(raw, plan)))
  local text, context, _, whole = unpacked(raw)
  local texts = dial_texts(text, plan)
  if whole ~= text then
    for _, one in ipairs(dial_texts(whole, plan)) do texts[#texts + 1] = one end
  end
  for _, one in ipairs(texts) do
    local digits = one:gsub("%+", "")
    local numbers = { digits }
    local function also(number) numbers[#numbers + 1] = number end
    for n = 1, math.min(#digits:match("^0*"), MOST_ZEROS) do also(digits:sub(n + 1)) end
    also(without_zeros(digits))
    if starts(digits, plan.international) then also(without_zeros(digits:sub(#plan.international + 1))) end
    for _, prefix in ipairs(NUMBERING.international) do
      if starts(digits, prefix) then also(without_zeros(digits:sub(#prefix + 1))) end
    end
    if starts(digits, plan.trunk) then also(plan.country_code .. without_zeros(digits:sub(#plan.trunk + 1))) end
    if not plan.bare then also(plan.country_code .. without_zeros(digits)) end
    if context ~= "" then also(context .. without_zeros(digits)) end
    for _, number in ipairs(numbers) do add(number) end
    for _, number in ipairs(numbers) do
      local full = number:match("^[1-9]") and without_trunk_zero(number) or number
      add(full)
      local behind = without_zeros(full:sub(#country_code(full) + 1))
      if #behind <= SHORT_MOST then add(behind) end
    end
  end
  return found
end
