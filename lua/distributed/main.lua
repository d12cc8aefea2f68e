-- Introduces clients of several servers to each other. What each server knows stands in the registry that they share.
-- Application.xml: <PeerLookupEvents mode="Partial"/> or "All"

-- Everything that leads to a client: its own addresses, then this server's. An asker who is sent to the server repeats its
-- lookup there, and this server introduces the two.
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
    -- A peer that is back already has published anew.
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
    -- This waits, and nobody else does.
    local addresses, problem = registry.lookup(event.targetPeerID)
    if problem then
        trace("registry:", problem)
    end
    if addresses then
        application.sendPeerRedirect(addresses, event)
    end
end

-- When the script is loaded anew, the clients are still there.
function application.onAppStart()
    for _, client in ipairs(application.clients) do
        publish(client)
    end
end
