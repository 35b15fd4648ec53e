-- A call's life, event by event, as records. What a transaction knows is in $avp(rf_...), what a dialog must still know at its end
-- is in $dlg_var(rf_...): both are fragments of JSON that were built once, at the setup.

local function pv(name) return KSR.pv.get(name) end
local function set(name, value) KSR.pv.sets(name, value) end
local function ms(value) return ("%.0f"):format(value) end

local function guarded(name, body)
  local ok, problem = pcall(body)
  if not ok then KSR.err("ringfence " .. name .. ": " .. tostring(problem) .. "\n") end
  return ok
end

-- A refusal of ours, stated before the reply is sent.
local function emit_refused(call, code, why, order)
  local seq = next_seq()
  call.dialog = ms(seq)
  emit("refused", call.setup_ms, identity(call) .. facts(call) .. name_field("order_id", order) .. number_field("sip_code", code)
    .. text_field("release_cause_text", why) .. ',"release_side":"switch"' .. number_field("end_ms", call.setup_ms), seq)
end

-- An INVITE that opens a call. `safe` = "1": an emergency number by the pattern in the configuration, nothing may stop it.
-- Leaves $var(rf_code) = "" (go on) or the refusal's code, and in $avp(rf_...) what the call's later events need.
function setup(safe)
  set("$var(rf_code)", "")
  guarded("setup", function()
    local call, plan = read_call()
    local emergency = safe == "1" or call.b_kind == "emergency" or is_emergency_line(call.b_number)
    local order, shadow
    if emergency then
      guarded("after emergency", function() after_emergency_begins(call, plan) end)
    else
      guarded("verdict", function() order, shadow = verdict(call, plan) end)
    end
    if not emergency and call.tenant == "" and not SITE.accept_unknown then
      emit_refused(call, 403, "unknown source address", nil)
      return set("$var(rf_code)", "403")
    end
    if order then
      emit_refused(call, 603, "blocked", order)
      return set("$var(rf_code)", "603")
    end
    local seq = next_seq()
    call.dialog = ms(seq)
    local names = identity(call)
    local numbers = text_field("a_raw", call.a_raw) .. text_field("b_raw", call.b_raw)
    emit("setup", call.setup_ms, names .. facts(call) .. (shadow and name_field("order_id", "shadow:" .. shadow) or ""), seq)
    set("$avp(rf_call)", names .. numbers)
    set("$avp(rf_dialog)", call.dialog)
    set("$avp(rf_number)", (call.b_kind == "e164" or call.b_kind == "national") and call.b_number or "")
    set("$avp(rf_short)", (call.b_kind == "emergency" or call.b_kind == "short" or call.b_kind == "service") and call.b_number or "")
    set("$avp(rf_attempt)", "0")
    set("$var(rf_mark)", make_mark(call))
    if call.max_call_s ~= "" then KSR.pv.seti("$avp(rf_timeout)", tonumber(call.max_call_s) + 1) end -- its timer ticks in whole seconds
    set("$var(rf_keepalive)", call.keepalive)
  end)
end

-- After dlg_manage(): the dialog keeps what its end must say.
function keep_call()
  guarded("keep", function()
    set("$dlg_var(rf_call)", pv("$avp(rf_call)"))
    set("$dlg_var(rf_dialog)", pv("$avp(rf_dialog)"))
  end)
end

-- The source sends more than the limit: one record for the second, the rest is dropped.
function over_limit(limit)
  guarded("limit", function()
    local call = read_call()
    emit_refused(call, 503, "more than " .. limit .. " INVITEs in a second from this address: dropped until the second ends", nil)
  end)
end

-- An INVITE that Kamailio cannot parse.
function unreadable()
  guarded("unreadable", function() emit_refused(read_call(), 400, "From or To cannot be read", nil) end)
end

-- The next carrier of the list: $var(rf_next) = "1" and the request rewritten for it, or "0".
function next_carrier()
  set("$var(rf_next)", "0")
  guarded("next carrier", function()
    local attempt = tonumber(pv("$avp(rf_attempt)") or "0") + 1
    local row = KSR.htable.sht_get("carriers", ms(attempt))
    if not row then return end
    local f = split(tostring(row), "|")
    local number, short = pv("$avp(rf_number)") or "", pv("$avp(rf_short)") or ""
    local sent
    if number ~= "" then sent = f[5] .. number elseif short ~= "" then sent = short end
    if sent then
      KSR.pv.sets("$ru", "sip:" .. sent:gsub("#", "%%23") .. "@" .. f[4])
    else
      sent = pv("$(rU{s.unescape.user})") or pv("$rU") or ""
    end
    KSR.pv.sets("$du", "sip:" .. f[4])
    set("$avp(rf_attempt)", ms(attempt))
    set("$avp(rf_began)", ms(now_ms()))
    set("$avp(rf_rang)", "")
    set("$avp(rf_media)", "")
    set("$avp(rf_pdd)", "")
    set("$avp(rf_route)", number_field("attempt_no", attempt) .. name_field("carrier", f[1]) .. name_field("trunk_group", f[2])
      .. name_field("egress_trunk", f[3]) .. text_field("sent_number", sent))
    set("$var(rf_next)", "1")
  end)
end

local function q850_of(reason)
  return reason and reason:lower():match("q%.850.-cause%s*=%s*(%d+)") or nil
end

local function attempt_fields()
  return (pv("$avp(rf_call)") or "") .. (pv("$avp(rf_route)") or "") .. number_field("ringing_ms", pv("$avp(rf_rang)"))
    .. number_field("pdd_ms", pv("$avp(rf_pdd)"))
end

-- A reply to the INVITE, before it goes on to the caller.
function on_reply()
  guarded("reply", function()
    local code, now = tonumber(pv("$rs")), now_ms()
    if code <= 100 then return end
    if (pv("$avp(rf_pdd)") or "") == "" then
      set("$avp(rf_pdd)", ms(math.max(0, now - tonumber(pv("$avp(rf_began)") or now))))
    end
    if code < 200 then
      if (pv("$avp(rf_answered)") or "") ~= "" then return end -- overtaken by the answer in another worker
      local media = (tonumber(pv("$bs")) or 0) > 0
      local told = media and "$avp(rf_media)" or "$avp(rf_rang)"
      if (pv("$avp(rf_rang)") or "") == "" then
        set("$avp(rf_rang)", ms(now))
        if not media then emit("ringing", now, attempt_fields() .. number_field("sip_code", code)) end
      end
      if media and (pv(told) or "") == "" then
        set("$avp(rf_media)", ms(now))
        emit("early_media", now, attempt_fields() .. number_field("sip_code", code))
      end
    elseif code < 300 and (pv("$avp(rf_answered)") or "") == "" then
      set("$avp(rf_answered)", ms(now))
      local answered = attempt_fields() .. number_field("answer_ms", now)
      emit("answer", now, answered .. number_field("sip_code", code))
      set("$dlg_var(rf_answered)", answered)
      KSR.htable.sht_sets("live", pv("$avp(rf_dialog)"), ms(now) .. answered)
    end
  end)
end

-- A final answer of a carrier that is not the end of the call (or is): a record of the attempt.
function attempt_failed()
  guarded("attempt", function()
    local now, reason = now_ms(), pv("$T_rpl($hdr(Reason))")
    local code = pv("$T_reply_code")
    set("$avp(rf_code)", tostring(code or "408"))
    set("$avp(rf_q850)", q850_of(reason) or "")
    emit("attempt", now, attempt_fields() .. number_field("end_ms", now) .. number_field("sip_code", code)
      .. number_field("q850", q850_of(reason)) .. text_field("release_cause_text", pv("$T_rpl($rr)")))
  end)
end

-- An attempt that could not even be sent: no such host, no socket.
function attempt_unsent()
  guarded("attempt", function()
    local now = now_ms()
    set("$avp(rf_code)", "503")
    set("$avp(rf_q850)", "")
    emit("attempt", now, attempt_fields() .. number_field("end_ms", now) .. number_field("sip_code", 503)
      .. text_field("release_cause_text", "not sent"))
  end)
end

-- The call ends without an answer.
function ended_unanswered(side)
  guarded("stop", function()
    local now = now_ms()
    emit("stop", now, attempt_fields() .. number_field("end_ms", now) .. number_field("sip_code", pv("$avp(rf_code)") or 503)
      .. number_field("q850", pv("$avp(rf_q850)")) .. (',"release_side":"%s"'):format(side))
  end)
end

local function route_headers(name)
  local all = {}
  for i = 0, 7 do
    local value = pv("$(hdr(" .. name .. ")[" .. i .. "])")
    if not value then break end
    all[#all + 1] = value
  end
  return table.concat(all, ",")
end

-- The mark of a request inside a call, and which side sent it: the caller's tag is in From or in To.
local function marked_call()
  local headers, call_id = route_headers("Route"), pv("$ci") or ""
  local from, to = pv("$ft") or "", pv("$tt") or ""
  local call = read_mark(headers, call_id, from)
  if call then return call, "caller" end
  call = read_mark(headers, call_id, to)
  return call, call and "callee" or nil
end

-- Whether a request with a To tag belongs to a call that we let in: $var(rf_ours) = "1". A To tag alone is anybody's to write.
function check_mark()
  set("$var(rf_ours)", "0")
  guarded("mark", function()
    if marked_call() then set("$var(rf_ours)", "1") end
  end)
end

-- A BYE, once: the stop of the call, with whatever we still know of it.
function bye()
  guarded("bye", function()
    local now, call, side = now_ms(), marked_call()
    local dialog, known = pv("$dlg_var(rf_dialog)"), nil
    if dialog and (not call or (call.dialog == dialog and call.boot == boot_id())) then
      known = pv("$dlg_var(rf_answered)") or pv("$dlg_var(rf_call)")
    end
    if known then
      KSR.htable.sht_rm("live", dialog)
      set("$dlg_var(rf_stopped)", "1")
      if not side then
        local tag = pv("$ft")
        side = known:find('"from_tag":' .. json_text(tag or ""), 1, true) and "caller" or "callee"
      end
    elseif call then
      known = identity(call)
    else
      -- No dialog and no mark: the call is named as the message names it, and no account is.
      known = text_field("call_id", pv("$ci")) .. text_field("from_tag", pv("$ft"))
    end
    emit("stop", now, known .. number_field("end_ms", now) .. number_field("q850", q850_of(pv("$hdr(Reason)")))
      .. (side and (',"release_side":"%s"'):format(side) or "") .. text_field("release_cause_text", pv("$hdr(Reason)")))
  end)
end

-- The dialog ended without a BYE of theirs: it expired, a keepalive failed, or we were asked to end it.
function dialog_ended()
  guarded("dialog end", function()
    if pv("$dlg_var(rf_stopped)") then return end
    local known, dialog = pv("$dlg_var(rf_answered)"), pv("$dlg_var(rf_dialog)")
    if not known then return end
    local now = now_ms()
    KSR.htable.sht_rm("live", dialog)
    set("$dlg_var(rf_stopped)", "1")
    local asked = KSR.htable.sht_get("ended", pv("$dlg(callid)") or "")
      or KSR.htable.sht_get("ended", (pv("$dlg(h_entry)") or "") .. ":" .. (pv("$dlg(h_id)") or ""))
    emit("stop", now, known .. number_field("end_ms", now) .. ',"release_side":"switch"'
      .. (asked and ',"release_cause_text":"ended by the operator"' or ',"suspected_hung":true'))
  end)
end

-- A final reply to an INVITE of the boot before this one: its transaction is gone, its mark is in the Record-Route.
function late_reply()
  guarded("late reply", function()
    local call = read_mark(route_headers("Record-Route"), pv("$ci") or "", pv("$ft") or "")
    if not call or call.boot == boot_id() then return end
    if KSR.htable.sht_inc("late", call.boot .. "~" .. call.dialog) > 1 then return end -- a retransmission
    local code, now = tonumber(pv("$rs")), now_ms()
    if code < 300 then
      emit("answer", now, identity(call) .. number_field("answer_ms", now) .. number_field("sip_code", code))
    else
      emit("stop", now, identity(call) .. number_field("end_ms", now) .. number_field("sip_code", code)
        .. number_field("q850", q850_of(pv("$hdr(Reason)"))) .. ',"release_side":"callee"')
    end
  end)
end

-- Each interval: a record of each call that is under way, with the interval's own number.
function interim()
  guarded("interim", function()
    local count, now = tonumber(KSR.htable.sht_inc("ctl", "interim")), now_ms()
    local calls = {}
    KSR.htable.sht_iterator_start("rf_live", "live")
    while KSR.htable.sht_iterator_next("rf_live") > 0 do calls[#calls + 1] = pv("$shtitval(rf_live)") end
    KSR.htable.sht_iterator_end("rf_live")
    for _, value in ipairs(calls) do
      local answer, known = tostring(value):match("^(%d+)(.*)$")
      if answer then
        emit("interim", now, known .. number_field("interim_no", count) .. number_field("duration_ms", now - tonumber(answer)))
      end
    end
  end)
end

-- The first word of a boot.
function booted()
  guarded("boot", function()
    load_after_emergency()
    load_fence()
    sync_hold()
    emit("boot", now_ms(), "")
  end)
end
