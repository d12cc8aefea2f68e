-- Introduces clients of several servers to each other, by the registry that the servers share (PeerRegistry in Server.xml).
-- It needs <PeerLookupEvents mode="Partial"/> or mode="All" in Application.xml.

-- All addresses that lead to a client: its own, then those of this server. An asker that is redirected to this server repeats its
-- lookup here, and this server introduces the two.
local function addressesOf(client)
    local addresses = { table.unpack(client.reportedAddresses) }
    table.insert(addresses, client.farAddress)
    for _, address in ipairs(client.potentialNearAddresses) do
        table.insert(addresses, address)
    end
    return addresses
end

local function publish(client)
    local ok, problem = registry.publish(client.farID, addressesOf(client))
    if not ok then
        trace("not published:", client.farID, problem)
    end
end

function application.onConnect(client)
    application.acceptConnection(client)
    publish(client)
end

Client.onFarAddressChange = publish
Client.onReportedAddressesChange = publish

function application.onDisconnect(client)
    -- If the peer has already connected again, its new connection has published it.
    if not application.clients[client.farID] then
        registry.withdraw(client.farID)
    end
end

function application.onPeerLookup(event)
    local target = application.clients[event.targetPeerID]
    if target then
        application.sendPeerRedirect(addressesOf(target), event)
        target:introducePeer(event.initiatorAddress, event.tag)
        return
    end
    -- This handler waits here; other handlers run meanwhile.
    local addresses, problem = registry.lookup(event.targetPeerID)
    if problem then
        trace("registry:", problem)
    end
    if addresses then
        application.sendPeerRedirect(addresses, event)
    end
end

-- When a new version of the script is loaded, its clients are connected already.
function application.onAppStart()
    for _, client in ipairs(application.clients) do
        publish(client)
    end
end
