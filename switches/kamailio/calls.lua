-- The events of a call as records. The state of a transaction is in $avp(rf_...), the state that a dialog needs until its end is in
-- $dlg_var(rf_...): mostly fragments of JSON that are built once, at the setup.

local function pv(name) return KSR.pv.get(name) end
local function set(name, value) KSR.pv.sets(name, value) end
local function ms(value) return ("%.0f"):format(value) end

-- Runs `body`; an error is logged under `name`, and the call goes on.
function guarded(name, body)
  local ok, problem = pcall(body)
  if not ok then KSR.err("ringfence " .. name .. ": " .. tostring(problem) .. "\n") end
  return ok
end

-- Writes the record of a refusal, before the reply is sent.
function emit_refused(call, code, why, order)
  local seq = next_seq()
  call.dialog = ms(seq)
  emit("refused", call.setup_ms, identity(call) .. facts(call) .. name_field("order_id", order) .. number_field("sip_code", code)
    .. text_field("release_cause_text", why) .. ',"release_side":"switch"' .. number_field("end_ms", call.setup_ms), seq)
end

-- The refusal of a call that no gateway can carry, or that the lists of its route plan deny.
local function refuse_route(call, code, why)
  emit_refused(call, code, why, nil)
  set("$var(rf_code)", ms(code))
end

local REASONS = { [403] = "unknown source address", [484] = "the called number means no number", [603] = "blocked" }

-- An INVITE that opens a call. `safe` = "1": an emergency number by the pattern in the configuration, which always passes.
-- Sets $var(rf_code) to "" (go on) or the code of the refusal, and the $avp(rf_...) that later events of the call need.
function setup(safe)
  set("$var(rf_code)", "")
  guarded("setup", function()
    local call, plan = read_call()
    local verdict = { number = "" }
    guarded("verdict", function() verdict = admit(call, plan, safe == "1") end)
    if verdict.code then
      emit_refused(call, verdict.code, REASONS[verdict.code], verdict.order)
      if verdict.code == 603 then set("$var(rf_redress)", call.redress) end
      return set("$var(rf_code)", ms(verdict.code))
    end
    local number = verdict.number -- another reading of the dialled number: the call goes to that one
    if number == "" and call.b_kind ~= "withheld" then number = call.b_number end
    local full = number ~= "" and (verdict.number ~= "" and #number > 6 or call.b_kind == "e164" or call.b_kind == "national")
    local code, why
    guarded("route", function() code, why = begin_hunt(call, full and number or "", verdict.emergency or verdict.number ~= "") end)
    if code then return refuse_route(call, code, why) end
    local seq = next_seq()
    call.dialog = ms(seq)
    local names = identity(call)
    local numbers = text_field("a_raw", call.a_raw) .. text_field("b_raw", call.b_raw)
    local shadow = verdict.shadow and name_field("order_id", "shadow:" .. verdict.shadow) or ""
    local kept = emit("setup", call.setup_ms, names .. facts(call) .. shadow, seq)
    if not kept and SITE.refuse_unrecorded and not verdict.emergency then -- the record is in the log alone: the disk is full
      emit("stop", call.setup_ms, names .. numbers .. number_field("end_ms", call.setup_ms) .. number_field("sip_code", 503)
        .. ',"release_side":"switch"' .. text_field("release_cause_text", "records cannot be kept"))
      return set("$var(rf_code)", "503")
    end
    set("$avp(rf_tenant)", call.tenant)
    set("$avp(rf_account)", call.account)
    if pv("$avp(rf_ask)") == "1" then set("$var(rf_ask)", "1") end
    set("$avp(rf_number)", full and number or "")
    set("$avp(rf_short)", full and "" or number)
    set("$avp(rf_call)", names .. numbers)
    set("$avp(rf_asked)", pack_call(call))
    set("$avp(rf_dialog)", call.dialog)
    set("$avp(rf_attempt)", "0")
    set("$var(rf_mark)", make_mark(call))
    if call.max_call_s ~= "" then KSR.pv.seti("$avp(rf_timeout)", tonumber(call.max_call_s) + 1) end -- its timer counts whole seconds
    set("$var(rf_keepalive)", call.keepalive)
    if hides_caller(call.b_raw, plan) then KSR.hdr.append("Privacy: id\r\n") end -- the dialled code itself is not sent on
  end)
end

-- After dlg_manage(): stores in the dialog what records of later requests and of its end need.
function keep_call()
  guarded("keep", function()
    set("$dlg_var(rf_call)", pv("$avp(rf_call)"))
    set("$dlg_var(rf_asked)", pv("$avp(rf_asked)"))
    set("$dlg_var(rf_dialog)", pv("$avp(rf_dialog)"))
    set("$dlg_var(rf_safe)", pv("$var(rf_safe)"))
    remember_caller()
  end)
end

-- Whether the message comes from a known source: $var(rf_known).
function is_source()
  guarded("source", function() set("$var(rf_known)", source_of(pv("$si")) and "1" or "0") end)
end

-- A source that sends more than the limit: one record per second, the other INVITEs are dropped.
function over_limit(limit)
  guarded("limit", function()
    local call = read_call()
    emit_refused(call, 503, "more than " .. limit .. " INVITEs in a second from this address: dropped until the second ends", nil)
  end)
end

-- Emergency calls above the limit of an address are answered with a refusal. One record per second, with the count so far.
function emergency_over_limit(count)
  guarded("limit", function()
    if tonumber(KSR.htable.sht_inc("rate", "logged:" .. pv("$si") .. ":" .. os.time())) > 1 then return end
    emit_refused(read_call(), 503, "emergency calls: " .. count .. " in a second from this address", nil)
  end)
end

-- An INVITE that Kamailio cannot parse.
function unreadable()
  guarded("unreadable", function() emit_refused(read_call(), 400, "From or To cannot be read", nil) end)
end

-- The next carrier of the call's tenant: $var(rf_next) = "1" and the request rewritten for it, or "0".
function next_carrier()
  set("$var(rf_next)", "0")
  guarded("next carrier", function()
    local attempt = tonumber(pv("$avp(rf_attempt)") or "0") + 1
    local tenant, f, route = pv("$avp(rf_tenant)") or "", nil, ""
    set("$var(rf_gateway)", "")
    if (pv("$avp(rf_view)") or "") ~= "" then
      local row, name, rank = next_gateway(tenant)
      if not row then return end
      f = { row[1], row[2], name, row[3], row[4] }
      route = name_field("route", pv("$avp(rf_view)") .. "|" .. (pv("$avp(rf_prefix)") or "")) .. number_field("route_rank", rank)
      set("$var(rf_gateway)", tenant .. "|" .. name)
    else
      local row = KSR.htable.sht_get("carriers", tenant .. "|" .. ms(attempt))
      if not row then return end
      f = split(tostring(row), "|")
    end
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
      .. name_field("egress_trunk", f[3]) .. text_field("sent_number", sent) .. route)
    set("$var(rf_next)", "1")
  end)
end

-- A cause of Q.850 has seven bits; any other value is left out (the header is in release_cause_text).
function q850_of(reason)
  local cause = reason and reason:lower():match("q%.850.-cause%s*=%s*(%d+)") or nil
  return cause and #cause <= 3 and tonumber(cause) <= 127 and cause or nil
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
    -- A reply of an earlier carrier, or after the final answer, is not an event of this call.
    local branch = tonumber(pv("$T_branch_idx") or "")
    local sent = tonumber(pv("$avp(rf_attempt)") or "0") - tonumber(pv("$avp(rf_unsent)") or "0")
    if (pv("$avp(rf_over)") or "") ~= "" or (branch and branch + 1 < sent) then return end
    if (pv("$avp(rf_pdd)") or "") == "" then
      set("$avp(rf_pdd)", ms(math.max(0, now - tonumber(pv("$avp(rf_began)") or now))))
    end
    if code < 200 then
      fork_replied("e")
      if (pv("$avp(rf_answered)") or "") ~= "" then return end -- overtaken by the answer in another worker
      local media = (tonumber(pv("$bs")) or 0) > 0
      if (pv("$avp(rf_rang)") or "") == "" then
        set("$avp(rf_rang)", ms(now))
        if not media then emit("ringing", now, attempt_fields() .. number_field("sip_code", code)) end
      end
      if media and (pv("$avp(rf_media)") or "") == "" then
        set("$avp(rf_media)", ms(now))
        emit("early_media", now, attempt_fields() .. number_field("sip_code", code))
      end
    elseif code < 300 and (pv("$avp(rf_answered)") or "") == "" then
      set("$avp(rf_answered)", ms(now))
      local answered = attempt_fields() .. number_field("answer_ms", now)
      emit("answer", now, answered .. number_field("sip_code", code))
      set("$dlg_var(rf_answered)", answered)
      remember_callee()
      KSR.htable.sht_sets("live", pv("$avp(rf_dialog)"), ms(now) .. answered)
    elseif code < 300 and pv("$tt") ~= pv("$dlg_var(rf_callee_tag)") then
      fork_replied("0")
    end
  end)
end

-- The final answer of a carrier, with which the call ends or not: a record of the attempt.
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

-- An attempt that could not be sent: no such host, no socket.
function attempt_unsent()
  guarded("attempt", function()
    local now = now_ms()
    set("$avp(rf_code)", "503")
    set("$avp(rf_q850)", "")
    set("$avp(rf_unsent)", ms(tonumber(pv("$avp(rf_unsent)") or "0") + 1))
    emit("attempt", now, attempt_fields() .. number_field("end_ms", now) .. number_field("sip_code", 503)
      .. text_field("release_cause_text", "not sent"))
  end)
end

-- The call ends without an answer.
function ended_unanswered(side)
  guarded("stop", function()
    local now = now_ms()
    set("$avp(rf_over)", "1")
    forget_call(pv("$avp(rf_dialog)") or "")
    emit("stop", now, attempt_fields() .. number_field("end_ms", now) .. number_field("sip_code", pv("$avp(rf_code)") or 503)
      .. number_field("q850", pv("$avp(rf_q850)")) .. text_field("release_cause_text", pv("$avp(rf_cause)"))
      .. (',"release_side":"%s"'):format(side))
  end)
end

-- Why we ended a call: an order (`cut_calls`), or the operator at the control port.
local function ended_by(asked)
  if asked == "1" then return ',"release_cause_text":"ended by the operator"' end
  return name_field("order_id", asked) .. ',"release_cause_text":"ended by a block"'
end

-- The dialog ended without a BYE of an end: it expired, a keepalive failed, or the operator ended it.
function dialog_ended()
  guarded("dialog end", function()
    if pv("$dlg_var(rf_stopped)") then return end
    local known, dialog = pv("$dlg_var(rf_answered)"), pv("$dlg_var(rf_dialog)")
    if not known then return end
    local now = now_ms()
    forget_call(dialog)
    set("$dlg_var(rf_stopped)", "1")
    local asked = KSR.htable.sht_get("ended", pv("$dlg(callid)") or "")
      or KSR.htable.sht_get("ended", (pv("$dlg(h_entry)") or "") .. ":" .. (pv("$dlg(h_id)") or ""))
    emit("stop", now, known .. number_field("end_ms", now) .. ',"release_side":"switch"'
      .. (asked and ended_by(tostring(asked)) or ',"suspected_hung":true'))
  end)
end

-- A final reply to an INVITE of the boot before this one: its transaction is gone, its mark is in the Record-Route.
function late_reply()
  guarded("late reply", function()
    local call = read_mark(route_headers("Record-Route"), pv("$ci") or "", pv("$ft") or "")
    if not call or call.boot == boot_id() or not is_from_carrier(call.tenant) then return end
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

-- Each interval: a record of each active call, with the number of the interval.
function interim()
  guarded("interim", function()
    local count, now = tonumber(KSR.htable.sht_inc("ctl", "interim")), now_ms()
    local calls = {}
    KSR.htable.sht_iterator_start("rf_live", "live")
    while KSR.htable.sht_iterator_next("rf_live") > 0 do calls[#calls + 1] = pv("$shtitval(rf_live)") end
    KSR.htable.sht_iterator_end("rf_live")
    for _, value in ipairs(calls) do
      local answer, known = tostring(value):match("^(%d+)(.*)$")
      if answer and not is_up(known) then -- its dialog is gone without an event: the call ends now
        forget_call(known:match('"dialog_id":"(%d+)"') or "")
        emit("stop", now, known .. number_field("end_ms", now) .. ',"release_side":"switch","suspected_hung":true')
      elseif answer then
        emit("interim", now, known .. number_field("interim_no", count) .. number_field("duration_ms", now - tonumber(answer)))
      end
    end
  end)
end

-- The first record of a boot.
function booted()
  guarded("tables", load_tables)
  KSR.htable.sht_sets("ctl", "loaded", "1")
  guarded("boot", function()
    load_after_emergency()
    load_fence()
    sync_hold()
    emit("boot", now_ms(), name_field("tenant", SITE.tenant))
  end)
end
