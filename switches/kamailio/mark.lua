-- The mark of a call in Record-Route, by which its BYE finds the call and its account after the switch was killed:
-- ;rf=BOOT~DIALOG~TENANT~ACCOUNT~TRUNK~SETUP_MS~MAC. The MAC binds it to the Call-ID and the caller's tag: a mark of one call
-- is not valid in another.

local function hmac(text)
  KSR.crypto.hmac_sha256(text, SITE.secret, "$var(rf_mac)")
  return KSR.pv.get("$var(rf_mac)")
end

-- Names hold only letters, digits and . _ - @ + ; @ may not stand in a URI parameter.
local function enc(name) return (name:gsub("@", "%%40")) end
local function dec(name) return (name:gsub("%%40", "@")) end

local function sealed(body, call_id, from_tag)
  return hmac(#call_id .. ":" .. call_id .. #from_tag .. ":" .. from_tag .. body)
end

function make_mark(call)
  local body = table.concat({
    call.boot, call.dialog, enc(call.tenant), enc(call.account), enc(call.trunk), ("%.0f"):format(call.setup_ms),
  }, "~")
  return body .. "~" .. sealed(body, call.call_id, call.from_tag)
end

-- The call of a mark in these Route (or Record-Route) headers, or nil. Marks of others are skipped.
function read_mark(headers, call_id, from_tag)
  for value in (headers or ""):gmatch(";rf=([^;>,%s]+)") do
    local body, mac = value:match("^(.*)~([^~]*)$")
    if body and mac == sealed(body, call_id, from_tag) then
      local f = split(body, "~")
      return {
        boot = f[1], dialog = f[2], tenant = dec(f[3]), account = dec(f[4]), trunk = dec(f[5]), setup_ms = tonumber(f[6]),
        call_id = call_id, from_tag = from_tag,
      }
    end
  end
  return nil
end
