-- Commands for many entries at once, the digest of a table, and the file of the tables that must survive a restart.
--
--   ringfence.set     [table, entry, order id, seconds,  table, entry, ...]   order id "" = remove it; seconds 0 = no expiry
--   ringfence.digest  [table]               the number of entries, and for each of 4,096 buckets the sum of its entries' marks
--   ringfence.list    [table, bucket, ...]  the entries of these buckets
--
-- An entry's MD5 (of entry=order id) gives its bucket (3 hex digits) and its mark (the next 12). Two tables with equal sums hold
-- the same entries; only a bucket whose sums differ is listed. switches/kamailio/digest.py does the same with the books.

local MODULUS = 2 ^ 48
local MOST = 2000        -- changes in one command
local MOST_LISTED = 50000
local MOST_APPENDED = 1000000 -- lines appended to the tables' file before it is rewritten: of 300,000 rows that holds up the control worker for seconds
local MOST_STALE = 1000 -- lines that a start leaves in it, besides as many as there are rows
local WITH_LIFE = { blocks = true, shadow = true }
LASTING = { "protected", "lists", "dialplan", "gateways", "routes", "plans", "sources", "carriers" } -- their rows do not expire, and survive a restart
local lasting = {}
for _, name in ipairs(LASTING) do lasting[name] = true end

local function tables_path() return SITE.run .. "/tables" end

-- Visits all entries, also expired ones until Kamailio removes them. The iterator holds a lock, which must be released in any case.
local function walk(name, visit)
  local get = KSR.pv.get
  KSR.htable.sht_iterator_start("walk", name)
  local ok, problem = pcall(function()
    while KSR.htable.sht_iterator_next("walk") > 0 do
      visit(tostring(get("$shtitkey(walk)")), tostring(get("$shtitval(walk)")))
    end
  end)
  KSR.htable.sht_iterator_end("walk")
  if not ok then error(problem) end
end

local function md5_of(key, value)
  KSR.pv.sets("$var(rf_entry)", key .. "=" .. value)
  return KSR.pv.get("$(var(rf_entry){s.md5})")
end

local function digest(name)
  local sums, count = {}, 0
  walk(name, function(key, value)
    local md5 = md5_of(key, value)
    local bucket = md5:sub(1, 3)
    sums[bucket] = ((sums[bucket] or 0) + tonumber(md5:sub(4, 15), 16)) % MODULUS
    count = count + 1
  end)
  local marks = {}
  for bucket, sum in pairs(sums) do marks[#marks + 1] = bucket .. ("%012x"):format(sum) end
  return ('{"count":%d,"marks":"%s"}'):format(count, table.concat(marks))
end

local function json(text)
  return '"' .. text:gsub('[%z\1-\31"\\\127-\255]', function(c) return ("\\u%04x"):format(c:byte()) end) .. '"'
end

local function list(name, wanted)
  local found = {}
  walk(name, function(key, value)
    if #found < 2 * MOST_LISTED and wanted[md5_of(key, value):sub(1, 3)] then
      found[#found + 1] = json(key)
      found[#found + 1] = json(value)
    end
  end)
  return "[" .. table.concat(found, ",") .. "]"
end

-- All changes are checked before the first is applied: all of them, or none.
local function changes_of(params)
  if #params == 0 or #params % 4 ~= 0 or #params > 4 * MOST then return nil end
  local changes = {}
  for at = 1, #params, 4 do
    local name, key, value, seconds = params[at], params[at + 1], params[at + 2], tonumber(params[at + 3])
    if not (WITH_LIFE[name] or lasting[name]) or key == "" then return nil end
    if not seconds or seconds < 0 or seconds ~= math.floor(seconds) then return nil end
    if value ~= "" and (seconds > 0) ~= (WITH_LIFE[name] == true) then return nil end -- no block without an end
    changes[#changes + 1] = { name, key, value, seconds }
  end
  return changes
end

-- Stores which prefix lengths occur among the sources, the longest first, and the longest call that one of them allows.
local function note_source(key, value)
  local which, length = "lengths" .. (key:find(":", 1, true) and "6" or "4"), tonumber(key:match("/(%d+)$"))
  local all, known = {}, tostring(KSR.htable.sht_get("ctl", which) or "")
  for one in known:gmatch("%d+") do
    if tonumber(one) == length then length = nil end
    all[#all + 1] = tonumber(one)
  end
  if length then
    all[#all + 1] = length
    table.sort(all, function(one, other) return one > other end)
    KSR.htable.sht_sets("ctl", which, table.concat(all, ","))
  end
  local longest = tonumber(split(value, "|")[5]) or 0
  if longest > (tonumber(KSR.htable.sht_get("ctl", "longest_call_s")) or 0) then KSR.htable.sht_sets("ctl", "longest_call_s", ("%.0f"):format(longest)) end
end

local function put(name, key, value, seconds)
  local h = KSR.htable
  if value == "" then return h.sht_rm(name, key) end
  if name == "sources" then note_source(key, value) end
  if seconds > 0 then h.sht_setxs(name, key, value, seconds) else h.sht_sets(name, key, value) end
end

-- The file of the tables whose rows do not expire: one line per change, TABLE TAB KEY TAB VALUE TAB ., of which the last one of a key counts;
-- value "" = removed; a line without the full stop is torn. A start reads it; rewritten it has each row once.
local appended = 0

local function line_of(name, key, value) return table.concat({ name, key, value, "." }, "\t") end

local function rewrite()
  local path = tables_path()
  local file = io.open(path .. ".new", "w")
  if not file then return KSR.err("the file " .. path .. " cannot be written: a restart loses the rows that were delivered since\n") end
  for _, name in ipairs(LASTING) do
    walk(name, function(key, value) file:write(line_of(name, key, value), "\n") end)
  end
  local ok = file:close()
  if ok then os.rename(path .. ".new", path) end
  appended = 0
end

local function remember(lines)
  if #lines == 0 then return end
  local file = io.open(tables_path(), "a")
  -- a newline before it as well: a torn line (disk full) must not run into the next one
  if not (file and file:write("\n", table.concat(lines, "\n"), "\n") and file:close()) then
    return KSR.err("the file " .. tables_path() .. " cannot be written: a restart loses the rows that were delivered since\n")
  end
  appended = appended + #lines
  if appended > MOST_APPENDED then rewrite() end
end

function load_tables()
  local file = io.open(tables_path(), "r")
  if not file then return end
  local rows, lines, kept = {}, 0, 0
  for _, name in ipairs(LASTING) do rows[name] = {} end
  for line in file:lines() do
    local name, key, value = line:match("^(%l+)\t([^\t]+)\t([^\t]*)\t%.$")
    if name and rows[name] then rows[name][key] = value end
    lines = lines + 1
  end
  file:close()
  for name, own in pairs(rows) do
    for key, value in pairs(own) do
      if value ~= "" then
        put(name, key, value, 0)
        kept = kept + 1
      end
    end
  end
  appended = lines - kept
  if appended > MOST_STALE + kept then rewrite() end
end

local function set(changes)
  local lines, cutting = {}, {}
  for _, change in ipairs(changes) do
    local name, key, value, seconds = change[1], change[2], change[3], change[4]
    put(name, key, value, seconds)
    if name == "blocks" and value:find(";cut", 1, true) then cutting[value:match("^[^;]*")] = true end
    if lasting[name] then lines[#lines + 1] = line_of(name, key, value) end
  end
  remember(lines)
  if next(cutting) then guarded("cut", function() cut_calls(cutting) end) end -- one pass over the calls, however many orders end some
  return tostring(#changes)
end

-- method -> a function of its parameters: the result as JSON, or nil where they are invalid.
MANY = {
  ["ringfence.digest"] = function(params) return #params == 1 and digest(params[1]) or nil end,
  ["ringfence.list"] = function(params)
    local wanted = {}
    for at = 2, #params do wanted[params[at]] = true end
    return list(params[1], wanted)
  end,
  ["ringfence.set"] = function(params)
    local changes = changes_of(params)
    return changes and set(changes) or nil
  end,
}
