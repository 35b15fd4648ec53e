-- The caller, and the fields of the INVITE: all that is read once, at the setup.

local function pv(name) return KSR.pv.get(name) end

-- The fields that identify the call in each of its records.
function identity(call)
  return (call.boot ~= boot_id() and name_field("setup_boot_id", call.boot) or "")
    .. name_field("dialog_id", call.dialog) .. text_field("call_id", call.call_id) .. text_field("from_tag", call.from_tag)
    .. name_field("account", call.account) .. (call.tenant ~= "" and ',"auth":"source"' or "")
    .. name_field("ingress_trunk", call.trunk) .. name_field("tenant", call.tenant ~= "" and call.tenant or SITE.tenant)
    .. number_field("setup_ms", call.setup_ms)
end

-- The source of an address: the row of the longest network that contains it, or nil.
function source_of(address)
  local get = KSR.htable.sht_get
  local function try(version, groups, bits, base, separator)
    for length in tostring(get("ctl", "lengths" .. version) or ""):gmatch("%d+") do
      local left, masked = tonumber(length), {}
      for i = 1, #groups do
        local keep = math.max(0, math.min(bits, left))
        local unit = 2 ^ (bits - keep)
        masked[i] = base:format(math.floor(groups[i] / unit) * unit)
        left = left - bits
      end
      local row = get("sources", table.concat(masked, separator) .. "/" .. length)
      if row then return tostring(row) end
    end
  end
  local groups = {}
  if address:find(":", 1, true) then
    local left, right = address:match("^(.-)::(.*)$")
    if left then -- :: is as many zeros as are missing
      local _, written = (left .. ":" .. right):gsub("%x+", "")
      address = left .. (":0"):rep(8 - written) .. ":" .. right
    end
    for group in address:gmatch("%x+") do groups[#groups + 1] = tonumber(group, 16) end
    return #groups == 8 and try("6", groups, 16, "%x", ":") or nil
  end
  for group in address:gmatch("%d+") do groups[#groups + 1] = tonumber(group) end
  return #groups == 4 and try("4", groups, 8, "%d", ".") or nil
end

local function plan_named(name)
  return plan_of(tostring(KSR.htable.sht_get("dialplan", name) or "||||1|6||"))
end

-- The number of a URI as written, without scheme and host; with its phone-context, without which a local number has no meaning.
function user_of(uri)
  if not uri then return "" end
  local scheme, rest = uri:match("^%s*<?%s*(%a+):([^>]*)")
  if not scheme then return "" end
  local user, host = rest:match("^([^@]*)@(.*)$")
  if scheme:lower() == "tel" then user, host = rest:match("^([^;?]*)(.*)$") end
  if not user then return scheme:lower() == "urn" and uri or "" end
  local context = not user:lower():find(";phone-context=", 1, true) and host:match("(;[pP][hH][oO][nN][eE]%-[cC][oO][nN][tT][eE][xX][tT]=[^;?>]*)")
  return user .. (context or "")
end

-- The caller number: the first P-Asserted-Identity where the trunk sends one, else From. It never decides the account.
local function caller_of(pai)
  local plain = (pai or ""):gsub('"[^"]*"', "")
  local first = plain:match("<([^<>]+)>") or plain:match("([%a]+:[^,;%s]+)")
  local asserted = first and user_of(first) or ""
  return asserted ~= "" and asserted or user_of(pv("$fu"))
end

-- The attestation of a STIR PASSporT (or of the header of a verifier before us), as claimed: it is not verified here.
local function attestation()
  local level = (pv("$hdr(P-Attestation-Indicator)") or ""):match("^%s*([ABC])%s*$")
  if level then return level end
  local claims = pv("$hdr(Identity)") and pv("$(hdr(Identity){s.select,1,.}{s.decode.base64url})")
  return claims and claims:match('"attest"%s*:%s*"([ABC])"') or ""
end

-- The call of an INVITE, and its dial plan. `asked`: for a request inside a call, the result of `pack_call`, or the call of a mark.
function read_call(asked)
  local uri = pv("$ru") or ""
  local user = pv("$(ru{s.unescape.user})")
  local call = {
    boot = boot_id(), setup_ms = now_ms(), call_id = pv("$ci") or "", from_tag = pv("$ft") or "",
    tenant = "", account = "", trunk = "", max_call_s = "", keepalive = "0", view = "", redress = "", caller_ranges = {}, accept_unreadable = false,
    b_raw = "", pai = pv("$hdr(P-Asserted-Identity)"),
  }
  call.b_raw = user_of(user or uri)
  if call.b_raw == "" then call.b_raw = pv("$rU") or (uri:match("^%a+:.*@") and "" or uri) end
  call.a_raw = caller_of(call.pai)
  local row = source_of(pv("$si"))
  local plan_name = "e164"
  if row then
    local f = split(row, "|")
    call.tenant, call.account, call.trunk, plan_name, call.max_call_s, call.keepalive = f[1], f[2], f[3], f[4], f[5], f[6]
    if f[7] ~= "" then call.caller_ranges = split(f[7], ",") end
    call.accept_unreadable = f[8] == "1"
    call.view = f[9] or ""
    call.redress = f[10] or ""
  end
  if type(asked) == "string" then
    local f = split(asked, "|")
    call.tenant, call.account, call.trunk, plan_name = f[1], f[2], f[3], f[4]
    call.caller_ranges = f[5] ~= "" and split(f[5], ",") or {}
    call.a_raw, call.b_raw = unhex(f[6]), unhex(f[7])
  elseif asked then
    if asked.account ~= call.account or asked.tenant ~= call.tenant then plan_name = "e164" end
    call.tenant, call.account, call.trunk = asked.tenant, asked.account, asked.trunk
  end
  call.plan_name = plan_name
  local plan = plan_named(plan_name)
  call.a_number = normalise(call.a_raw, plan)
  call.b_number, call.b_kind = normalise(call.b_raw, plan)
  return call, plan
end

local function hex(text) return (text:gsub(".", function(c) return ("%02x"):format(c:byte()) end)) end
function unhex(text) return (text:gsub("%x%x", function(pair) return string.char(tonumber(pair, 16)) end)) end

-- Account and numbers of a call as text, for the requests inside it.
function pack_call(call)
  return table.concat({
    call.tenant, call.account, call.trunk, call.plan_name, table.concat(call.caller_ranges, ","), hex(call.a_raw), hex(call.b_raw),
  }, "|")
end

function facts(call)
  return name_field("src_ip", pv("$si")) .. text_field("user_agent", pv("$ua")) .. text_field("a_raw", call.a_raw)
    .. text_field("b_raw", call.b_raw) .. text_field("from_raw", pv("$hdr(From)")) .. text_field("pai", call.pai)
    .. text_field("diversion", pv("$hdr(Diversion)")) .. name_field("attestation", attestation())
    .. name_field("lrn", call.b_raw:match(";rn=%+?(%d+)"))
end
