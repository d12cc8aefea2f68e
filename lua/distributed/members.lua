-- The members of groups on all servers, and whom a new member is told of.

local members = {}

-- How many members on each side of the ring are named to a new one, and how many far away: at half of the ring, a quarter, and so on.
local NEAR, FAR = 3, 6

-- The members of each group in the order of the ring, by its digest.
local groups = {}

-- Where a place is in the list of a ring, or would be.
local function find(ring, place)
    local low, high = 1, #ring + 1
    while low < high do
        local middle = (low + high) // 2
        if ring[middle].place < place then low = middle + 1 else high = middle end
    end
    return low
end

local function group(digest)
    groups[digest] = groups[digest] or { ring = {}, byID = {} }
    return groups[digest]
end

-- A peer is a member, by one more connection or server.
local function add(digest, peerID)
    local all = group(digest)
    local member = all.byID[peerID]
    if not member then
        member = { id = peerID, place = NetGroup.convertPeerIDToGroupAddress(peerID), holders = 0, controls = {} }
        all.byID[peerID] = member
        table.insert(all.ring, find(all.ring, member.place), member)
    end
    member.holders = member.holders + 1
    return member, all.ring
end

local function remove(digest, peerID)
    local all = groups[digest]
    local member = all and all.byID[peerID]
    if not member then return end
    member.holders = member.holders - 1
    if member.holders > 0 then return member end
    all.byID[peerID] = nil
    table.remove(all.ring, find(all.ring, member.place))
    if #all.ring == 0 then groups[digest] = nil end
    return member
end

-- The place that is so many steps further round the ring.
local function at(ring, place, steps)
    return ring[(place - 1 + steps) % #ring + 1]
end

-- A client of this server has joined a group. If it was a member before the script was loaded, nothing is named to it.
function members.joined(client, control, isOld)
    local member, ring = add(control.groupspecDigest, client.farID)
    table.insert(member.controls, control)
    if isOld then return end
    local place, named = find(ring, member.place), { [member.id] = true }
    local function name(steps, method)
        local other = at(ring, place, steps)
        if not named[other.id] then
            named[other.id] = true
            control[method](control, other.id)
        end
    end
    -- The two next to it close the ring, so that it connects to them now; the others are in reserve.
    name(1, "addNeighbor")
    name(-1, "addNeighbor")
    for steps = 2, NEAR do
        name(steps, "addMemberHint")
        name(-steps, "addMemberHint")
    end
    local steps = #ring // 2
    for _ = 1, FAR do
        if steps <= NEAR then break end
        name(steps, "addMemberHint")
        steps = steps // 2
    end
end

function members.left(digest, peerID, control)
    local member = remove(digest, peerID)
    for place, known in ipairs(member and member.controls or {}) do
        if known == control then
            table.remove(member.controls, place)
            break
        end
    end
end

-- A client of another server has joined. Its server names its neighbors to it, and it connects to them. Those of them that are clients here
-- are told of it as well, so that the ring closes if two join at the same time and neither server knew of the other.
function members.joinedElsewhere(digest, peerID)
    local member, ring = add(digest, peerID)
    local place = find(ring, member.place)
    local after, before = at(ring, place, 1), at(ring, place, -1)
    for _, other in ipairs { after, before ~= after and before or nil } do
        if other ~= member and other.controls[1] then
            other.controls[1]:addMemberHint(peerID)
        end
    end
end

members.leftElsewhere = remove

-- How many members of a group there are, on all servers.
function members.count(digest)
    return groups[digest] and #groups[digest].ring or 0
end

return members
