-- Records: JSON lines appended to the spool file of the hour, one write(2) per record; all workers append to the same file.
-- SITE (switch, spool, span, ...) is in the file that Python renders beside the configuration.

local TEXT = 2048 -- longest text of a record's field
local NAME = 128

-- Valid UTF-8 sequences of more than one byte.
local UTF8 = {
  "^[\194-\223][\128-\191]", "^\224[\160-\191][\128-\191]", "^[\225-\236\238\239][\128-\191][\128-\191]",
  "^\237[\128-\159][\128-\191]", "^\240[\144-\191][\128-\191][\128-\191]", "^[\241-\243][\128-\191][\128-\191][\128-\191]",
  "^\244[\128-\143][\128-\191][\128-\191]",
}

local function escaped(text)
  local out, at, length = {}, 1, #text
  while at <= length do
    local byte = text:byte(at)
    local last = at
    if byte >= 128 then
      for _, pattern in ipairs(UTF8) do
        local _, found = text:find(pattern, at)
        if found then last = found; break end
      end
      out[#out + 1] = last > at and text:sub(at, last) or ("\\u%04x"):format(byte) -- a stray byte, read as Latin-1
    elseif byte == 34 or byte == 92 then out[#out + 1] = "\\" .. text:sub(at, at)
    elseif byte < 32 or byte == 127 then out[#out + 1] = ("\\u%04x"):format(byte)
    else out[#out + 1] = text:sub(at, at) end
    at = last + 1
  end
  return table.concat(out)
end

-- A JSON string of any bytes. A text that is too long is cut: a record above 64 kB would be a reject.
function json_text(value, limit)
  local text = tostring(value)
  limit = limit or TEXT
  if #text > limit then text = text:sub(1, limit) end
  if text:find('[%c"\\\128-\255]') then
    local safe = escaped(text)
    while #safe > 2 * TEXT do
      text = text:sub(1, math.floor(#text / 2))
      safe = escaped(text)
    end
    text = safe
  end
  return '"' .. text .. '"'
end

-- ,"key":"value", or "" for a field without a value.
function text_field(key, value)
  if value == nil or value == "" then return "" end
  return ',"' .. key .. '":' .. json_text(value)
end

function name_field(key, value)
  if value == nil or value == "" then return "" end
  return ',"' .. key .. '":' .. json_text(value, NAME)
end

-- An integer that JSON can hold; any other value is left out, and affects no other field.
function number_field(key, value)
  local number = tonumber(value)
  if not number or number ~= number or number < -9007199254740992 or number > 9007199254740992 then return "" end
  return (',"%s":%.0f'):format(key, number)
end

function now_ms()
  local s, us = KSR.pv.get("$TV(Sn)"):match("^(%d+)%.(%d+)$")
  return s * 1000 + math.floor(us / 1000)
end

local boot
function boot_id()
  boot = boot or tostring(KSR.htable.sht_get("ctl", "boot"))
  return boot
end

-- The table counts in 32 signed bits (Kamailio before 5.7): read as unsigned, a boot has four billion numbers, 50 days at 1,000 records per second.
function next_seq()
  local n = tonumber(KSR.htable.sht_inc("ctl", "seq"))
  return n < 0 and n + 4294967296 or n
end

local file, span

-- A record that the file does not take (disk full) goes to the log, as SPOOL MAC {...}. Text of strangers gets into a log (a message that
-- cannot be parsed is printed whole), so a record there is signed.
local function to_log(line)
  local ok, mac = pcall(function()
    KSR.crypto.hmac_sha256("SPOOL " .. line, SITE.secret, "$var(rf_spool_mac)")
    return KSR.pv.get("$var(rf_spool_mac)")
  end)
  KSR.err("SPOOL " .. (ok and mac or "unsigned") .. " " .. line .. "\n")
end

local function write(line)
  local current = math.floor(os.time() / SITE.span)
  if current ~= span or not file then
    if file then file:close() end
    file = io.open(("%s/rec-%010d.jl"):format(SITE.spool, current), "a")
    if file then file:setvbuf("full", 131072) end
    span = current
  end
  -- A newline before it as well: a torn line (disk full) must not run into the next one.
  if not (file and file:write("\n", line, "\n") and file:flush()) then
    to_log(line)
    if file then file:close() end
    file = nil
    return false
  end
  return true
end

-- Writes a record; `fields` is a fragment that starts with a comma, `seq` is a parameter where it also names the dialog.
-- Returns whether the spool took it; else it is in the log.
function emit(event, at_ms, fields, seq)
  return write(('{"v":2,"event":"%s","switch":%s,"boot_id":"%s","seq":%.0f,"at_ms":%.0f%s}'):format(
    event, json_text(SITE.switch, NAME), boot_id(), seq or next_seq(), at_ms, fields))
end
