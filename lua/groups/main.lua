-- Brings the members of a group together: each who joins is told of some who are there.
-- Application.xml: <JoinLeaveEvents mode="All"/>

-- How many members a new one is told of. The members tell each other of the rest.
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
    -- Some of them, each once: the first is to be a neighbour now, the others are in reserve.
    local told = {}
    for attempt = 1, math.min(HINTS, #members) do
        local place = math.random(#members)
        local other = members[place]
        if not told[place] then
            told[place] = true
            if attempt == 1 then
                groupControl:addNeighbor(other.client.farID)
            else
                groupControl:addMemberHint(other.client.farID)
            end
        end
    end
    add(groupControl, self)
end

function Client:onGroupLeave(digest, groupControl)
    local members = groups[digest]
    -- The last takes the place of the one that leaves.
    local last = table.remove(members)
    if last ~= groupControl then
        members[groupControl.place] = last
        last.place = groupControl.place
    end
    if #members == 0 then
        groups[digest] = nil
    end
end

-- When the script is loaded anew, the clients and their groups are still there.
function application.onAppStart()
    for _, client in ipairs(application.clients) do
        for _, groupControl in ipairs(client.groupControls) do
            add(groupControl, client)
        end
    end
end

-- Lookups are the server's, unless Application.xml gives them to the script.
function application.onPeerLookup(event)
    local target = application.clients[event.targetPeerID]
    if target then
        application.sendPeerRedirect({ target.farAddress, table.unpack(target.reportedAddresses) }, event)
        target:introducePeer(event.initiatorAddress, event.tag)
    end
end
