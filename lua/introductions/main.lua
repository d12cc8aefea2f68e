-- Introduces the clients of this server to each other, as the server does by itself: a place to start from.
-- Application.xml: <PeerLookupEvents mode="All"/>

-- Where a peer can be tried: first what is known to work, then what it says of itself.
local function addressesOf(client)
    return { client.farAddress, table.unpack(client.reportedAddresses) }
end

function application.onConnect(client)
    trace("connected:", client.farID, client.farAddress)
    return true
end

function application.onPeerLookup(event)
    local target = application.clients[event.targetPeerID]
    if not target then
        -- Not here. Without an answer, the asker tries again and then gives up.
        return
    end
    -- Two halves: the asker learns where the target is, and the target opens its NAT to the asker.
    application.sendPeerRedirect(addressesOf(target), event)
    target:introducePeer(event.initiatorAddress, event.tag)
end
