-- The group of servers: this server's connection to it, and the messages between the servers.
--
-- A posting reaches all servers; a message to a neighbor is sent to it directly. Each message has a number, because equal postings do not
-- spread, and names the server that it is from. Whoever knows the groupspec is trusted; but no message makes a table grow without
-- bound, and one that makes no sense is counted and dropped.

local buckets = require("buckets")
local own = require("own")
local others = require("others")

local mesh = {}

-- How often changes are told, and how many messages may then be sent.
local TICK, PER_TICK = 200, 8
-- How often it is looked after what was missed and who has gone.
local CHECK = 1000
-- How long it takes until a connection that has failed is tried again.
local AGAIN = 5000
-- How many buckets may be on their way to others.
local MAX_ANSWERS = 4096

local config, nc, group
-- The servers that are neighbors, with their group addresses.
local neighbors = {}
-- Buckets that others want, in the order in which they asked.
local answers, first, last, queued = {}, 1, 0, {}
local number = 0
-- When each bootstrap node was last heard, and whether the log says that it is not.
local heard, missed = {}, {}

local function message(kind)
    number = number + 1
    return { kind = kind, from = nc.nearID, number = number, near = Array { table.unpack(own.near) } }
end

-- Sends a message to all servers.
local function post(told) return group ~= nil and group:post(told) ~= nil end

-- Sends a message to one server: directly if it is a neighbor, else in a posting that names it.
local function tell(server, told)
    if not group then return false end
    local address = neighbors[server]
    if address then return group:sendToNearest(told, address) == NetGroupSendResult.SENT end
    told.to = server
    return post(told)
end

-- What is sent ----------------------------------------------------------------------------------------------------------

local function beat()
    local told = message("beat")
    told.name = config.name
    told.versions, told.counts = own.digest()
    -- While changes wait to be told, the counts are ahead of the versions.
    if not own.isTold() then told.counts = nil end
    return told
end

-- Sends a bucket, all parts of it at once: they must be of one version. What does not go out is asked for again. Gives back the number of
-- messages.
local function answer(wanted)
    local parts, version = own.parts(wanted.number)
    for part, entries in ipairs(parts) do
        local told = message("bucket")
        told.bucket = { number = wanted.number, version = version, part = part, parts = #parts, entries = entries }
        if not tell(wanted.server, told) then break end
    end
    return #parts
end

local function tick()
    if not group then return end
    local left = PER_TICK
    while left > PER_TICK // 2 do
        local updates = own.takeChanges()
        if not updates then break end
        local told = message("change")
        told.updates = updates
        post(told)
        left = left - 1
    end
    while left > 0 and first <= last do
        local wanted = answers[first]
        left = left - answer(wanted)
        answers[first] = nil
        queued[wanted.server .. wanted.number] = nil
        first = first + 1
    end
end

-- What is received ------------------------------------------------------------------------------------------------------

local receive = {}

function receive.beat(server, told, now)
    -- Postings of a server that has gone may still come. It lives if its beats come one after the other, or if it is a neighbor.
    if neighbors[told.from] or now - server.first >= config.beat / 2 then server.isLive = true end
    server.heard = now
    server.name = type(told.name) == "string" and told.name:sub(1, 255) or nil
    if server.isLive and not server.isSaid then
        server.isSaid = true
        trace("server", server.name or told.from, "is in the group")
    end
    if server.name and heard[server.name] and server.isLive then heard[server.name] = now end
    if type(told.versions) == "table" then
        others.compare(server, told.versions, type(told.counts) == "table" and told.counts or {}, now)
    end
end

function receive.change(server, told, now)
    if type(told.updates) == "table" then others.change(server, told.updates, now) end
end

function receive.bucket(server, told, now)
    if type(told.bucket) == "table" then others.fill(server, told.bucket, now) end
end

function receive.want(_, told)
    if type(told.buckets) ~= "table" then return end
    for index = 1, math.min(#told.buckets, buckets.COUNT) do
        local wanted = told.buckets[index]
        local key = told.from .. tostring(wanted)
        if math.type(wanted) == "integer" and wanted >= 1 and wanted <= buckets.COUNT and not queued[key]
            and last - first + 1 < MAX_ANSWERS then
            last = last + 1
            answers[last], queued[key] = { server = told.from, number = wanted }, true
        end
    end
end

function receive.bye(server, told)
    trace("server", server.name or told.from, "has stopped; it had", server.count, "clients")
    others.drop(told.from)
end

local function received(told)
    local now = now()
    local work = type(told) == "table" and receive[told.kind]
    if not work or not buckets.isPeerID(told.from) or told.from == nc.nearID then
        others.refused = others.refused + 1
        return
    end
    -- A posting for another server.
    if told.to and told.to ~= nc.nearID then return end
    local server = others.meet(told.from, now)
    if not server then return end
    if neighbors[told.from] then server.isLive = true end
    server.near = buckets.texts(told.near, 16, 64)
    work(server, told, now)
end

-- Who lives -------------------------------------------------------------------------------------------------------------

local function check()
    if not group then return end
    local now = now()
    for id, server in others.each() do
        -- A neighbor whose link has broken has half of the time to be heard another way.
        local patience = server.isParted and config.gone / 2 or config.gone
        if now - server.heard >= patience then
            trace("server", server.name or id, "is not heard any more; it had", server.count, "clients")
            others.drop(id)
        else
            local wanted = others.wanted(server, now)
            if wanted then
                local told = message("want")
                told.buckets = wanted
                if not tell(id, told) then server.asked = nil end
            end
        end
    end
    -- The document's advice: a bootstrap node posts, and who does not get that tells somebody.
    for name, since in pairs(heard) do
        local isMissed = now - since >= config.alarm
        if isMissed and not missed[name] then
            trace("ALARM: nothing is heard of the bootstrap node", name, "for", config.alarm // 1000, "seconds: this server may be cut off")
        elseif missed[name] and not isMissed then
            trace("the bootstrap node", name, "is heard again")
        end
        missed[name] = isMissed or nil
    end
end

-- The connection --------------------------------------------------------------------------------------------------------

local function onGroupStatus(self, info)
    if self ~= group then return end
    if info.code == "NetGroup.Posting.Notify" or info.code == "NetGroup.SendTo.Notify" then
        received(info.message)
    elseif info.code == "NetGroup.Neighbor.Connect" then
        neighbors[info.peerID] = info.neighbor
        local server = others.get(info.peerID)
        if server then server.isLive, server.isParted = true, nil end
        -- It learns at once what it lacks.
        tell(info.peerID, beat())
    elseif info.code == "NetGroup.Neighbor.Disconnect" then
        neighbors[info.peerID] = nil
        local server = others.get(info.peerID)
        if server then server.isParted = true end
    elseif info.level == "error" then
        trace("the group of servers:", info.code, info.description)
    end
end

local connect

local function onStatus(self, info)
    if self ~= nc then return end
    if info.code == "NetConnection.Connect.Success" then
        group = NetGroup(nc, config.groupspec)
        group.onStatus = onGroupStatus
        for _, node in ipairs(config.bootstrap) do
            group:addPermanentNeighborByName(node.name, node.addresses)
        end
    else
        trace("the connection of the servers:", info.code, info.description, "- it is tried again")
        group, neighbors = nil, {}
        setTimeout(connect, AGAIN)
    end
end

function connect()
    nc = NetConnection()
    nc.rtmfpEndpointName, nc.rtmfpBindAddresses = config.name, config.bind
    nc.onStatus = onStatus
    nc:connect("rtmfp:")
end

function mesh.start(settings)
    config = settings
    others.maxClients = config.maxClients
    for _, node in ipairs(config.bootstrap) do
        heard[node.name] = now()
    end
    setInterval(tick, TICK)
    setInterval(check, CHECK)
    setInterval(function() post(beat()) end, config.beat)
    connect()
end

-- The server stops, or its script is loaded again: the others need not wait to find that out.
function mesh.stop()
    if group then post(message("bye")) end
end

return mesh
