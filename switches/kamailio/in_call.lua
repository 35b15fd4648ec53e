-- Requests inside a call: to which call they belong, where they go, and which of them end it.
--
-- An answered call is found by its dialog, by both tags. Each request goes to the other end's remote target, over the recorded route set:
-- the sender's Request-URI and Route are ignored. A BYE counts when it is answered: it ends the call, at the time when it came, if the other
-- end has accepted it (2xx), or does not have the call (481, or no answer at all).
--
-- One INVITE may be answered by several forks. Each fork that the caller confirms is open until its own BYE is accepted; the last one that
-- closes ends the call. Table forks: `dialog||first` = the tags of the first, `dialog` = how many more were confirmed,
-- `dialog||closed` = how many have closed, `dialog|tag` = the state of a fork (e ringing, 0 answered, 1 confirmed, 2 closed), its target
-- and its routes.

local function pv(name) return KSR.pv.get(name) end
local function set(name, value) KSR.pv.sets(name, value) end
local function ms(value) return ("%.0f"):format(value) end

function route_headers(name)
  local all = {}
  for i = 0, 15 do
    local value = pv("$(hdr(" .. name .. ")[" .. i .. "])")
    if not value then break end
    all[#all + 1] = value
  end
  return table.concat(all, ",")
end

-- Record-Route entries before ours, in the order of the message.
local function routes_before_ours()
  local before = {}
  for entry in route_headers("Record-Route"):gmatch("<[^<>]+>[^,]*") do
    if entry:find(";rf=", 1, true) then break end
    before[#before + 1] = entry
  end
  return before
end

local function uri_of(contact)
  if not contact then return nil end
  local plain = contact:gsub('"[^"]*"', "") -- a display name is not an address
  return plain:match("<([^<>]+)>") or plain:match("^%s*([^%s;,]+)")
end

-- The source address of a message, for an end without a Contact.
local function sent_from()
  local address = pv("$si") or ""
  if address:find(":", 1, true) then address = "[" .. address .. "]" end
  return "sip:" .. address .. ":" .. tostring(pv("$sp") or "5060")
end

local function host_of(uri)
  local host = (uri or ""):gsub("^%s*<?%a+:", ""):gsub("^[^@>]*@", "")
  return host:match("^%[([^%]]+)%]") or host:match("^([^:;>?]+)")
end

-- Stores the caller's end, as in its INVITE. Called before record_route(): every entry is of a proxy before us.
function remember_caller()
  local before = routes_before_ours()
  set("$dlg_var(rf_caller)", uri_of(pv("$hdr(Contact)")) or sent_from())
  set("$dlg_var(rf_caller_ip)", pv("$si") or "")
  set("$dlg_var(rf_caller_routes)", table.concat(before, ","))
  set("$dlg_var(rf_caller_tag)", pv("$ft") or "")
end

-- The proxies after us are before our entry in a 2xx, the farthest first.
local function routes_to_callee()
  local before = routes_before_ours()
  local routes = {}
  for at = #before, 1, -1 do routes[#routes + 1] = before[at] end
  return routes
end

-- Stores the callee's end, as in the first 2xx.
function remember_callee()
  set("$dlg_var(rf_callee)", uri_of(pv("$hdr(Contact)")) or sent_from())
  set("$dlg_var(rf_callee_ip)", pv("$si") or "")
  set("$dlg_var(rf_callee_routes)", table.concat(routes_to_callee(), ","))
  set("$dlg_var(rf_callee_tag)", pv("$tt") or "")
  KSR.htable.sht_sets("forks", pv("$avp(rf_dialog)") .. "||id", pv("$ci") or "")
  KSR.htable.sht_sets("forks", pv("$avp(rf_dialog)") .. "||first", (pv("$ft") or "") .. "\t" .. (pv("$tt") or ""))
end

local function sender() return pv("$ft") == pv("$dlg_var(rf_caller_tag)") and "caller" or "callee" end

-- Whether an address is a source of the account and trunk.
local function of_account(address, tenant, account, trunk)
  local row = source_of(address)
  if not row then return false end
  local f = split(row, "|")
  return f[1] == tenant and f[2] == account and f[3] == trunk
end

-- Whether an address is that of a carrier of the tenant.
local function of_carrier(address, tenant)
  for at = 1, 64 do
    local row = KSR.htable.sht_get("carriers", tenant .. "|" .. ms(at))
    if not row then return false end
    if host_of("sip:" .. split(tostring(row), "|")[4]) == address then return true end
  end
  return false
end

local function longest_call_ms() return 1000 * math.max(14400, tonumber(KSR.htable.sht_get("ctl", "longest_call_s")) or 0) end

-- Whether a request comes from an address of the end whose tag it has: tags are sent in the clear, and each end knows both.
local function comes_from(side)
  local address = pv("$si") or ""
  if address == pv("$dlg_var(rf_" .. side .. "_ip)") or address == host_of(pv("$dlg_var(rf_" .. side .. ")")) then return true end
  if address == host_of(uri_of(pv("$dlg_var(rf_" .. side .. "_routes)"))) then return true end
  local f = split(pv("$dlg_var(rf_asked)") or "", "|")
  if side == "callee" then return of_carrier(address, f[1] or "") end
  return of_account(address, f[1], f[2], f[3])
end

-- Directs the request to the other end, by the `$dlg_var`s of its dialog, or by `target` and `routes` of a further fork.
local function point_to(other, target, routes)
  target = target or pv("$dlg_var(rf_" .. other .. ")")
  routes = routes or pv("$dlg_var(rf_" .. other .. "_routes)") or ""
  if target and target ~= "" then set("$ru", target) end
  set("$var(rf_routes)", routes)
  local first = uri_of(routes ~= "" and routes or nil)
  if first then set("$du", first) else KSR.pv.unset("$du") end
end

-- The call of the mark of a request, and which side sent it: the caller's tag is in From or in To.
function marked_call()
  local headers, call_id = route_headers("Route"), pv("$ci") or ""
  local from, to = pv("$ft") or "", pv("$tt") or ""
  local call = read_mark(headers, call_id, from)
  if call then return call, "caller" end
  call = read_mark(headers, call_id, to)
  return call, call and "callee" or nil
end

-- The next host of a request after us: of the first Route that is not ours, else of the Request-URI.
local function next_hop()
  for entry in route_headers("Route"):gmatch("<[^<>]+>[^,]*") do
    if not entry:find(";rf=", 1, true) then return host_of(uri_of(entry)) end
  end
  return host_of(pv("$ru"))
end

-- The callee's tag in a request of `side`.
local function fork_tag(side) return (side == "caller" and pv("$tt") or pv("$ft")) or "" end

-- state, target, routes of a further fork; state "" = no fork has answered with this tag.
local function fork_of(dialog, tag)
  local state, target, routes = tostring(KSR.htable.sht_get("forks", dialog .. "|" .. tag) or ""):match("^([%de])\t(.-)\t(.*)$")
  return state or "", target, routes
end

local function set_fork(dialog, tag, state, target, routes)
  KSR.htable.sht_sets("forks", dialog .. "|" .. tag, state .. "\t" .. (target or "") .. "\t" .. (routes or ""))
end

-- Stores a fork that has replied with a To tag. `state` e: it rings, and may get requests before the answer (PRACK, UPDATE);
-- 0: it has answered after another fork, and may be confirmed.
function fork_replied(state)
  local dialog, tag = pv("$avp(rf_dialog)"), pv("$tt") or ""
  if not dialog or tag == "" then return end
  local before = fork_of(dialog, tag)
  if before == "" or (before == "e" and state == "0") then
    set_fork(dialog, tag, state, uri_of(pv("$hdr(Contact)")) or sent_from(), table.concat(routes_to_callee(), ","))
  end
end

-- An ACK of a known call goes to the other end; one of a further fork confirms that fork. A call that has ended gets no ACK.
function acknowledged(known)
  guarded("ack", function()
    if known == "1" then
      local other = sender() == "caller" and "callee" or "caller"
      if (pv("$dlg_var(rf_answered)") or "") == "" then return end
      set("$var(rf_way)", "dialog")
      return point_to(other)
    end
    local call, side = marked_call()
    if not call then return end
    if call.boot ~= boot_id() then
      set("$var(rf_way)", "mark") -- all that it can do is to end the retransmission of a 200
      return
    end
    local state, target, routes = fork_of(call.dialog, fork_tag(side))
    local caller_tag, callee_tag = tags_of(call.dialog)
    if side ~= "caller" or state == "" or state == "e" or not caller_tag then return end
    if KSR.dialog.dlg_get(pv("$ci"), caller_tag, callee_tag) < 0 then return end
    set("$var(rf_way)", "dialog")
    point_to("callee", target, routes)
    if state == "0" then -- from now on its BYE is needed too
      set_fork(call.dialog, fork_tag(side), "1", target, routes)
      KSR.htable.sht_inc("forks", call.dialog)
    end
  end)
end

-- Sets $var(rf_way): how a request inside a call goes on ("dialog", "mark", or "" = refused), and $var(rf_code) for an INVITE that a block refuses.
function in_call(known)
  set("$var(rf_way)", "")
  guarded("in call", function()
    local method = pv("$rm")
    if method == "INVITE" or method == "UPDATE" then set("$avp(rf_contact)", uri_of(pv("$hdr(Contact)")) or "") end
    if known == "1" then
      local side = sender()
      if not comes_from(side) then return end -- from an address that is not this end's
      if (pv("$dlg_var(rf_stopped)") or "") == "1" and method ~= "BYE" then return end
      local answered, asked_uri = pv("$dlg_var(rf_answered)") or "", pv("$ru")
      if answered == "" then -- before the answer: only to a fork that rings, and no second INVITE
        if method == "INVITE" then return end
        if side == "caller" then
          local state, target, routes = fork_of(pv("$dlg_var(rf_dialog)") or "", fork_tag(side))
          if state == "" then return end
          set("$var(rf_way)", "dialog")
          point_to("callee", target, routes)
        else
          set("$var(rf_way)", "dialog")
          point_to("caller")
        end
        if method == "BYE" then set("$avp(rf_ends)", pv("$dlg_var(rf_dialog)") or "") end
        return
      end
      set("$var(rf_way)", "dialog")
      point_to(side == "caller" and "callee" or "caller")
      if method == "INVITE" then invite_in_call(side, asked_uri ~= pv("$ru") and asked_uri or nil) end
      if method == "BYE" then
        set("$avp(rf_ends)", pv("$dlg_var(rf_dialog)") or "")
        set("$avp(rf_end_tag)", pv("$dlg_var(rf_callee_tag)") or "")
        remember_bye(answered, side)
      end
      return
    end
    local call, side = marked_call()
    if not call then
      -- No dialog and no mark of ours: it ends no call here, but where it came through us it must get to the other end. If that accepts it,
      -- the stop record has the Call-ID and tag of the message, and no account.
      if method == "BYE" and pv("$hdr(Route)") then
        set("$var(rf_way)", "mark")
        set("$avp(rf_ends)", "")
        remember_bye(text_field("call_id", pv("$ci")) .. text_field("from_tag", pv("$ft")), nil)
      end
      return
    end
    if call.boot == boot_id() then
      local state, target, routes = fork_of(call.dialog, fork_tag(side))
      if (state == "" or state == "e") and method ~= "BYE" then return end -- no fork of this call has answered with this tag
      local caller_tag, callee_tag = tags_of(call.dialog)
      if not caller_tag or KSR.dialog.dlg_get(pv("$ci"), caller_tag, callee_tag) < 0 then return end -- it has ended
      if not comes_from(side) then return end
      set("$var(rf_way)", "dialog")
      local asked_uri = pv("$ru")
      if side == "caller" then point_to("callee", target, routes) else point_to("caller") end
      if method == "BYE" then
        set("$avp(rf_ends)", call.dialog)
        set("$avp(rf_end_tag)", fork_tag(side))
        set("$avp(rf_fork)", state ~= "" and state or "0")
        remember_bye(nil, side)
      elseif method == "INVITE" then
        invite_in_call(side, asked_uri ~= pv("$ru") and asked_uri or nil)
      end
      return
    end
    -- A call of the boot before: its dialog is gone, and only the mark is left. It may be hung up, from an address of one end to an address
    -- of the other; any other request could go anywhere, unrecorded.
    if method ~= "BYE" or now_ms() - call.setup_ms > longest_call_ms() then return end
    local function caller_at(address) return of_account(address, call.tenant, call.account, call.trunk) end
    local function carrier_at(address) return of_carrier(address, call.tenant) end
    local from, to = caller_at, carrier_at
    if side == "callee" then from, to = carrier_at, caller_at end
    if not from(pv("$si") or "") or not to(next_hop()) then return end
    set("$var(rf_way)", "mark")
    set("$avp(rf_ends)", "")
    remember_bye(identity(call), side)
  end)
end

-- The blocks apply to an INVITE inside a call as to a new call: to the called number, and to another number in its Request-URI (where it
-- does not go). It shows that the call is alive, so an interim record is written; a refused one is recorded as a refused call.
function invite_in_call(side, asked_uri)
  if side == "caller" then
    local call, plan = read_call(pv("$dlg_var(rf_asked)"))
    call.accept_unreadable, call.inside = true, true
    local verdict = admit(call, plan, false)
    if not verdict.code and not verdict.emergency and asked_uri then
      call.b_raw = user_of(asked_uri)
      call.b_number, call.b_kind = normalise(call.b_raw, plan)
      if call.b_kind == "e164" or call.b_kind == "national" then verdict = admit(call, plan, false) end
    end
    if verdict.code == 603 then
      emit_refused(call, 603, "blocked: a change inside a call", verdict.order)
      return set("$var(rf_code)", "603")
    end
  end
  local known, now = pv("$dlg_var(rf_answered)") or "", now_ms()
  local answer = tonumber(known:match('"answer_ms":(%d+)') or "")
  emit("interim", now, known .. number_field("interim_no", tonumber(KSR.htable.sht_inc("ctl", "interim")))
    .. (answer and number_field("duration_ms", now - answer) or ""))
end

-- Stores the fields of the stop record, for the case that the other end accepts this BYE.
function remember_bye(known, side)
  set("$avp(rf_bye_at)", ms(now_ms()))
  set("$avp(rf_bye_known)", known or "")
  set("$avp(rf_bye_says)", number_field("q850", q850_of(pv("$hdr(Reason)"))) .. (side and (',"release_side":"%s"'):format(side) or "")
    .. text_field("release_cause_text", pv("$hdr(Reason)")))
end

-- A BYE was accepted. $var(rf_last) = "1": it was of the last open fork, and the stop record is written.
function bye_taken()
  guarded("bye", function()
    local dialog, known = pv("$avp(rf_ends)") or "", pv("$avp(rf_bye_known)") or ""
    local at = tonumber(pv("$avp(rf_bye_at)") or "") or now_ms()
    local says = number_field("end_ms", at) .. (pv("$avp(rf_bye_says)") or "")
    if dialog == "" then -- of the boot before
      if known ~= "" then emit("stop", now_ms(), known .. says) end
      return
    end
    local forks, tag = KSR.htable, pv("$avp(rf_end_tag)") or ""
    local fork = pv("$avp(rf_fork)") or "1"
    if fork ~= "1" then return end -- a fork that was not confirmed was never open; a closed one has ended already
    if fork_of(dialog, tag) == "2" then return end
    local further = tonumber(forks.sht_get("forks", dialog) or 0)
    if further > 0 then
      set_fork(dialog, tag, "2")
      if tonumber(forks.sht_inc("forks", dialog .. "||closed")) <= further then return end -- another one is still open
    end
    local live = KSR.htable.sht_get("live", dialog)
    if not live then return end -- it was never answered, or has ended
    local caller_tag, callee_tag = tags_of(dialog)
    set("$var(rf_caller_tag)", caller_tag or "-")
    set("$var(rf_callee_tag)", callee_tag or "-")
    set("$var(rf_last)", "1")
    forget_call(dialog)
    emit("stop", now_ms(), tostring(live):match("^%d+(.*)$") .. says)
  end)
end

-- The tags of an answered call: the caller's, and that of the first answer.
function tags_of(dialog) return tostring(KSR.htable.sht_get("forks", dialog .. "||first") or ""):match("^(.-)\t(.*)$") end

-- Whether a call in the table `live` has a dialog. `known`: the first fields of its records.
function is_up(known)
  local dialog = known:match('"dialog_id":"(%d+)"')
  local caller_tag, callee_tag = tags_of(dialog or "")
  local call_id = KSR.htable.sht_get("forks", (dialog or "") .. "||id")
  return caller_tag ~= nil and call_id ~= nil and KSR.dialog.dlg_get(tostring(call_id), caller_tag, callee_tag) > 0
end

-- Ends the calls in progress that one of these orders (id -> true) refuses, by the rules of a new call: an emergency call, a protected one, one that
-- follows an emergency call, and every call while the switch is held go on.
function cut_calls(orders)
  local dialogs = {}
  KSR.htable.sht_iterator_start("rf_cut", "live")
  while KSR.htable.sht_iterator_next("rf_cut") > 0 do dialogs[#dialogs + 1] = pv("$shtitkey(rf_cut)") end
  KSR.htable.sht_iterator_end("rf_cut")
  for _, dialog in ipairs(dialogs) do
    local caller_tag, callee_tag = tags_of(tostring(dialog))
    local call_id = tostring(KSR.htable.sht_get("forks", tostring(dialog) .. "||id") or "")
    if caller_tag and call_id ~= "" and KSR.dialog.dlg_get(call_id, caller_tag, callee_tag) > 0 then
      local call, plan = read_call(pv("$dlg_var(rf_asked)"))
      call.accept_unreadable, call.inside = true, true
      local verdict = admit(call, plan, pv("$dlg_var(rf_safe)") == "1")
      if verdict.code == 603 and orders[verdict.order] then
        KSR.htable.sht_sets("ended", call_id, verdict.order)
        KSR.dialog.dlg_bye("all")
      end
    end
  end
end

-- Removes the stored state of a call.
function forget_call(dialog)
  for _, key in ipairs({ dialog, dialog .. "||first", dialog .. "||id", dialog .. "||closed" }) do KSR.htable.sht_rm("forks", key) end
  KSR.htable.sht_rm("live", dialog)
end

-- The 2xx of an INVITE or UPDATE inside a call: both targets may have changed (RFC 3261, clause 12.2.1.2).
function target_changed()
  guarded("target", function()
    local side = sender()
    local other = side == "caller" and "callee" or "caller"
    local asked, answered = pv("$avp(rf_contact)"), uri_of(pv("$hdr(Contact)"))
    if asked and asked ~= "" then set("$dlg_var(rf_" .. side .. ")", asked) end
    if answered then set("$dlg_var(rf_" .. other .. ")", answered) end
  end)
end

-- Whether a message comes from a carrier.
function is_from_carrier(tenant) return of_carrier(pv("$si") or "", tenant) end
