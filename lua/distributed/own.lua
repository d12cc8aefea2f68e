-- The clients of this server, as the other servers are to know them.

local buckets = require("buckets")

local own = {
    -- The public addresses of this server.
    near = {},
    count = 0,
}

-- How many clients one message tells of.
local MOST = 150

local all = {}
for number = 1, buckets.COUNT do
    all[number] = { version = 0, count = 0, entries = {} }
end

-- The peers whose entries have changed since the others were told, by bucket.
local changed = {}

local function put(peerID, entry)
    local number = buckets.of(peerID)
    local bucket = all[number]
    local before = bucket.entries[peerID]
    if before == nil and entry == nil then return end
    local more = (entry and 1 or 0) - (before and 1 or 0)
    bucket.count, own.count = bucket.count + more, own.count + more
    bucket.entries[peerID] = entry
    changed[number] = changed[number] or {}
    changed[number][peerID] = true
end

function own.set(peerID, entry)
    -- An empty table would be sent as an object; what is missing is empty.
    local function some(list) return list[1] and list or nil end
    put(peerID, { far = entry.far, reported = some(entry.reported), groups = some(entry.groups) })
end

function own.remove(peerID) put(peerID, nil) end

-- Takes some of the changes, for one message. Nil if there are none.
function own.takeChanges()
    local updates, count = Array {}, 0
    for number, peers in pairs(changed) do
        local bucket = all[number]
        local entries = {}
        for peerID in pairs(peers) do
            if count >= MOST then break end
            entries[peerID] = bucket.entries[peerID] or false
            peers[peerID] = nil
            count = count + 1
        end
        if next(peers) == nil then changed[number] = nil end
        table.insert(updates, {
            number = number, before = bucket.version, version = bucket.version + 1, entries = entries,
        })
        bucket.version = bucket.version + 1
        if count >= MOST then break end
    end
    return updates[1] and updates
end

-- The versions of all buckets, and how many entries each has. Changes that were not taken are not in the versions.
function own.digest()
    local versions, counts = {}, {}
    for number, bucket in ipairs(all) do
        versions[number], counts[number] = bucket.version, bucket.count
    end
    return versions, counts
end

-- Whether the others have been told all.
function own.isTold() return next(changed) == nil end

-- A bucket in parts that fit into messages, and its version.
function own.parts(number)
    local bucket, parts, part, count = all[number], {}, {}, 0
    for peerID, entry in pairs(bucket.entries) do
        if count == MOST then
            table.insert(parts, part)
            part, count = {}, 0
        end
        part[peerID] = entry
        count = count + 1
    end
    table.insert(parts, part)
    return parts, bucket.version
end

return own
