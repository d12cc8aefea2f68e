-- The other servers, and their clients.

local buckets = require("buckets")

local others = {
    -- Called with the digest of a group and a peer ID when a client of another server joins the group, or leaves it.
    onJoin = function() end,
    onLeave = function() end,
    maxClients = 200000,
    count = 0,
    -- How many messages were ignored because they make no sense.
    refused = 0,
}

local MAX_SERVERS = 256
-- How long a change may be on its way before the bucket is asked for, and how long an answer may take.
local GRACE, ANSWER = 2000, 5000

-- By the peer ID of the server's NetConnection, which it has anew each time it starts.
local servers = {}
local serverCount = 0

function others.get(id) return servers[id] end
function others.each() return pairs(servers) end

-- The record of a server from which a message has come; nil if there are too many.
function others.meet(id, now)
    local server = servers[id]
    if not server and serverCount < MAX_SERVERS then
        server = { heard = now, first = now, isLive = false, near = {}, clients = {}, buckets = {}, behind = {}, count = 0 }
        for number = 1, buckets.COUNT do
            server.buckets[number] = { version = 0, count = 0, entries = {} }
        end
        servers[id] = server
        serverCount = serverCount + 1
    end
    return server
end

-- Entries ---------------------------------------------------------------------------------------------------------------

local function members(entry)
    local set = {}
    for _, digest in ipairs(entry and entry.groups or {}) do set[digest] = true end
    return set
end

local function put(server, bucket, peerID, entry)
    local before = bucket.entries[peerID]
    if not before and entry and others.count >= others.maxClients then return end
    if not before and not entry then return end
    local more = (entry and 1 or 0) - (before and 1 or 0)
    bucket.count, server.count, others.count = bucket.count + more, server.count + more, others.count + more
    bucket.entries[peerID] = entry
    local was, is = members(before), members(entry)
    for digest in pairs(was) do
        if not is[digest] then others.onLeave(digest, peerID) end
    end
    for digest in pairs(is) do
        if not was[digest] then others.onJoin(digest, peerID) end
    end
end

-- An entry of a message: false is a client that has gone. Nil if it is neither.
local function read(server, bucket, number, peerID, value, now)
    if not buckets.isPeerID(peerID) or buckets.of(peerID) ~= number then return false end
    local entry = nil
    if value ~= false then
        entry = buckets.entry(value)
        if not entry then return false end
        entry.at = now
    end
    put(server, bucket, peerID, entry)
    return true
end

local function isCount(value) return math.type(value) == "integer" and value >= 0 end

local function behind(server, number, since)
    server.behind[number] = math.min(server.behind[number] or since, since)
end

-- Changes of a server's clients.
function others.change(server, updates, now)
    for index = 1, math.min(#updates, buckets.COUNT) do
        local update = updates[index]
        local bucket = type(update) == "table" and server.buckets[update.number]
        if bucket and isCount(update.version) and type(update.entries) == "table" then
            if server.isLive and update.before == bucket.version and update.version > bucket.version then
                for peerID, value in pairs(update.entries) do
                    if not read(server, bucket, update.number, peerID, value, now) then
                        others.refused = others.refused + 1
                    end
                end
                bucket.version = update.version
            elseif update.version > bucket.version then
                behind(server, update.number, now)
            end
        else
            others.refused = others.refused + 1
        end
    end
end

-- What a server says of its buckets: what has been missed shows.
function others.compare(server, versions, counts, now)
    for number, bucket in ipairs(server.buckets) do
        local version, count = versions[number], counts[number]
        if isCount(version) then
            -- A table that is full has not all entries, and needs not ask for them again and again.
            local lacks = isCount(count) and count ~= bucket.count and others.count < others.maxClients
            if version > bucket.version or (version == bucket.version and lacks) then
                -- Who knows nothing yet need not wait for changes that are on their way.
                behind(server, number, bucket.version == 0 and now - GRACE or now)
            elseif version == bucket.version then
                server.behind[number] = nil
            end
        end
    end
end

-- A part of a bucket has come. With the last part the bucket is as it was at the server.
function others.fill(server, message, now)
    local bucket = server.buckets[message.number]
    local part, parts = message.part, message.parts
    if not bucket or not isCount(message.version) or not isCount(part) or not isCount(parts) or part < 1 or part > parts
        or parts > 1000 or type(message.entries) ~= "table" or not server.isLive then
        others.refused = others.refused + 1
        return
    end
    if message.version < bucket.version then return end
    local filling = bucket.filling
    if not filling or filling.version ~= message.version or filling.parts ~= parts then
        filling = { version = message.version, parts = parts, come = {}, left = parts, seen = {} }
        bucket.filling = filling
    end
    if filling.come[part] then return end
    filling.come[part] = true
    filling.left = filling.left - 1
    for peerID, value in pairs(message.entries) do
        if value and read(server, bucket, message.number, peerID, value, now) then
            filling.seen[peerID] = true
        else
            others.refused = others.refused + 1
        end
    end
    if filling.left > 0 then return end
    for peerID in pairs(bucket.entries) do
        if not filling.seen[peerID] then put(server, bucket, peerID, nil) end
    end
    bucket.version, bucket.filling = filling.version, nil
    server.behind[message.number] = nil
end

-- The buckets of a server that are to be asked for now. Nil if there are none.
function others.wanted(server, now)
    if not server.isLive or (server.asked and now - server.asked < ANSWER) then return nil end
    local wanted = {}
    for number, since in pairs(server.behind) do
        if now - since >= GRACE then table.insert(wanted, number) end
    end
    if not wanted[1] then return nil end
    table.sort(wanted)
    server.asked = now
    return wanted
end

-- A server has gone, and its clients with it.
function others.drop(id)
    local server = servers[id]
    if not server then return end
    servers[id] = nil
    serverCount = serverCount - 1
    for _, bucket in ipairs(server.buckets) do
        for peerID in pairs(bucket.entries) do put(server, bucket, peerID, nil) end
    end
end

-- Lookups ---------------------------------------------------------------------------------------------------------------

-- The addresses of a client of another server, with their origins: its own, then those of its server. If several servers have it, it
-- counts where it came last. Nil if none has it.
function others.addressesOf(peerID)
    if not peerID then return nil end
    local number = buckets.of(peerID)
    local found, at
    for _, server in pairs(servers) do
        local entry = server.buckets[number].entries[peerID]
        if entry and (not found or entry.at > found.at) then found, at = entry, server end
    end
    if not found then return nil end
    local addresses = { table.unpack(found.reported) }
    addresses.origins = { [found.far] = "observed" }
    table.insert(addresses, found.far)
    for _, address in ipairs(at.near) do
        table.insert(addresses, address)
        addresses.origins[address] = "relay"
    end
    return addresses
end

return others
