-- All TCP connections share one table of Kamailio. So that sources, emergency calls and the control port always get a connection, the oldest
-- connections of strangers above a limit are closed each second. A stranger is an address that is not a source.

local function field(entry, name) return entry:match('"' .. name .. '":%s*"?([^",\n}]*)') end

-- { id, address } of each connection of a stranger to the SIP port, the oldest first.
local function strangers(list)
  local found = {}
  for entry in list:gmatch("{([^{}]*)}") do
    local id, address, port = tonumber(field(entry, "id")), field(entry, "src_ip"), field(entry, "dst_port")
    if id and address and tonumber(port) ~= SITE.control_port and not source_of(address) then
      found[#found + 1] = { id = id, address = address }
    end
  end
  table.sort(found, function(one, other) return one.id < other.id end)
  return found
end

function crowd()
  guarded("crowd", function()
    if KSR.jsonrpcs.exec('{"jsonrpc":"2.0","method":"core.tcp_list","id":1}') < 0 then return end
    local list = tostring(KSR.pv.get("$jsonrpl(body)") or "")
    local found = strangers(list)
    local of, many = {}, #found
    for _, one in ipairs(found) do of[one.address] = (of[one.address] or 0) + 1 end
    local closed = 0
    for _, one in ipairs(found) do
      if many > SITE.max_strangers or of[one.address] > SITE.max_per_stranger then
        KSR.tcpops.tcp_close_connection_id(one.id)
        of[one.address], many, closed = of[one.address] - 1, many - 1, closed + 1
      end
    end
    if closed > 0 then KSR.htable.sht_sets("ctl", "strangers_closed", ("%.0f"):format(tonumber(KSR.htable.sht_get("ctl", "strangers_closed") or 0) + closed)) end
  end)
end
