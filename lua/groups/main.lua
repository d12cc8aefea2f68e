-- Brings the members of a group together: it names some members to each client that joins.
-- It needs <JoinLeaveEvents mode="All"/> in Application.xml.

-- How many members are named to a new one. It learns of the others from the members themselves.
local HINTS = tonumber(application.config.hints) or 5

-- The members of each group, by its digest: a list of group controls.
local groups = {}

local function add(groupControl, client)
    local members = groups[groupControl.groupspecDigest]
    if not members then
        members = {}
        groups[groupControl.groupspecDigest] = members
    end
    groupControl.client = client
    table.insert(members, groupControl)
    groupControl.place = #members
end

function Client:onGroupJoin(groupControl)
    local members = groups[groupControl.groupspecDigest] or {}
    -- Name some members at random, each once: the first should become a neighbour now, the others are in reserve.
    local named = {}
    for attempt = 1, math.min(HINTS, #members) do
        local place = math.random(#members)
        local other = members[place]
        if not named[place] then
            named[place] = true
            if attempt == 1 then
                groupControl:addNeighbor(other.client.farID)
            else
                groupControl:addMemberHint(other.client.farID)
            end
        end
    end
    add(groupControl, self)
    -- Those of other servers that share the registry, and of other instances of this application. The server withdraws the client when it
    -- leaves the group. This handler waits for the registry; other handlers run meanwhile.
    registry.joinGroup(groupControl.groupspecDigest, self.farID)
    local elsewhere, problem = registry.groupNeighbors(groupControl.groupspecDigest, self.farID)
    if problem then
        trace("registry:", problem)
    end
    for _, peerID in ipairs(elsewhere or {}) do
        if not application.clients[peerID] then
            groupControl:addMemberHint(peerID)
        end
    end
end

function Client:onGroupLeave(digest, groupControl)
    local members = groups[digest]
    -- The last member of the list takes the place of the one that leaves.
    local last = table.remove(members)
    if last ~= groupControl then
        members[groupControl.place] = last
        last.place = groupControl.place
    end
    if #members == 0 then
        groups[digest] = nil
    end
end

-- When a new version of the script is loaded, its clients are connected and in their groups already.
function application.onAppStart()
    for _, client in ipairs(application.clients) do
        for _, groupControl in ipairs(client.groupControls) do
            add(groupControl, client)
        end
    end
end

-- Called only if Application.xml lets the script answer lookups; otherwise the server answers them.
function application.onPeerLookup(event)
    local target = application.clients[event.targetPeerID]
    if target then
        application.sendPeerRedirect({ target.farAddress, table.unpack(target.reportedAddresses) }, event)
        target:introducePeer(event.initiatorAddress, event.tag)
    end
end
