-- The example "Filter introduction requests" of Adobe's document: it answers lookups of peers that are in the map, and leaves others
-- unanswered. To run it, rename it to main.lua.

-- A registry mapping peer ID values to clients, for this application instance.
local peerIDToClientMap = {}

-- On client connect, add RTMFP clients to the peer ID registry.
application.onConnect = function(client)
    if client.protocol == "rtmfp" then
        peerIDToClientMap[client.farID] = client
    end
end

application.onDisconnect = function(client)
    -- If the peer has already connected again, the map holds its new client.
    if peerIDToClientMap[client.farID] == client then
        peerIDToClientMap[client.farID] = nil
    end
end

application.onPeerLookup = function(event)
    local targetPeer = peerIDToClientMap[event.targetPeerID]
    if not targetPeer then
        -- Returning without calling application.sendPeerRedirect() prevents the peer-to-peer connection.
        return
    end
    application.sendPeerRedirect({ targetPeer.farAddress, table.unpack(targetPeer.reportedAddresses) }, event)
    targetPeer:introducePeer(event.initiatorAddress, event.tag)
end
