-- Many entries in one command, and what a table holds, read from the table itself.
--
--   ringfence.set     [table, entry, order id, seconds,  table, entry, ...]   order id "" = take it off; seconds 0 = for good
--   ringfence.digest  [table]               how many entries, and for each of 4,096 buckets the sum of its entries' marks
--   ringfence.list    [table, bucket, ...]  the entries of these buckets
--
-- An entry's MD5 (of entry=order id) gives its bucket (3 hex digits) and its mark (the next 12). Two tables whose sums are equal
-- hold the same; where a sum differs, that bucket alone is listed. switches/digest.py does the same with the books.

local MODULUS = 2 ^ 48
local MOST = 2000        -- changes in one command
local MOST_LISTED = 50000
local WITH_LIFE = { blocks = true, shadow = true }

-- Entries that have expired are among them until they are swept. The iterator holds a lock, which nothing may leave behind.
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

-- Read to the end before the first of them is done: all of them, or none.
local function changes_of(params)
  if #params == 0 or #params % 4 ~= 0 or #params > 4 * MOST then return nil end
  local changes = {}
  for at = 1, #params, 4 do
    local name, key, value, seconds = params[at], params[at + 1], params[at + 2], tonumber(params[at + 3])
    if not (WITH_LIFE[name] or name == "protected") or key == "" then return nil end
    if not seconds or seconds < 0 or seconds ~= math.floor(seconds) then return nil end
    if value ~= "" and (seconds > 0) ~= (WITH_LIFE[name] == true) then return nil end -- no block without an end
    changes[#changes + 1] = { name, key, value, seconds }
  end
  return changes
end

local function set(changes)
  local h = KSR.htable
  for _, change in ipairs(changes) do
    local name, key, value, seconds = change[1], change[2], change[3], change[4]
    if value == "" then h.sht_rm(name, key)
    elseif seconds > 0 then h.sht_setxs(name, key, value, seconds)
    else h.sht_sets(name, key, value) end
  end
  return tostring(#changes)
end

-- method -> what it does with its parameters: the result as JSON, or nil where they make no sense.
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
