-- Lets clients wait at the door. The first client is the host; every other waits until the host's program has answered knock(peerID, name):
-- with true it is let in, with anything else it is rejected. If the host leaves, the one who has been in for longest is the next.

-- Those who are in, the first in front, and those who wait at the door.
local inside, waiting = {}, {}

local function remove(list, client)
    for place, other in ipairs(list) do
        if other == client then return table.remove(list, place) end
    end
end

-- Asks the host about a client. This waits for the answer; other handlers run meanwhile.
local function ask(client)
    local host = inside[1]
    if not host then return end
    local answer, problem = host:callAndWait("knock", client.farID, client.name)
    -- The host has left before it answered: the next one is asked.
    if problem and application.clients[host.farID] ~= host then return end
    if not remove(waiting, client) then return end
    if answer == true then
        application.acceptConnection(client)
    else
        application.rejectConnection(client, "The host has not let you in.")
    end
end

function application.onConnect(client, name)
    client.name = type(name) == "string" and name:sub(1, 64) or "?"
    if not inside[1] then return true end
    table.insert(waiting, client)
    setTimeout(ask, 0, client)
    -- To decide later is to return nil, not just nothing.
    return nil
end

function application.onConnectAccept(client)
    table.insert(inside, client)
end

function application.onDisconnect(client)
    remove(waiting, client)
    local wasHost = inside[1] == client
    remove(inside, client)
    if not wasHost then return end
    if inside[1] then
        for _, other in ipairs(waiting) do setTimeout(ask, 0, other) end
    else
        -- Nobody is left to ask: the one who has waited for longest is the host, who is asked about the others.
        local first = table.remove(waiting, 1)
        if first then application.acceptConnection(first) end
        setTimeout(function()
            for _, other in ipairs { table.unpack(waiting) } do setTimeout(ask, 0, other) end
        end, 0)
    end
end

-- When a new version of the script is loaded, its clients are connected already. Those who wait come to onConnect again.
function application.onAppStart()
    for _, client in ipairs(application.clients) do table.insert(inside, client) end
end
