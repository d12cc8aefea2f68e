-- A registry mapping peer ID values to Client objects for this application instance.
local peerIDToClientMap = {}

-- On client connect, add RTMFP clients to the peer ID registry.
application.onConnect = function(client)
    if client.protocol == "rtmfp" then
        peerIDToClientMap[client.farID] = client
    end
end

application.onPeerLookup = function(event)
    local targetPeer = peerIDToClientMap[event.targetPeerID]
    if not targetPeer then
        -- Returning without calling application.sendPeerRedirect() prevents the peer-to-peer connection.
        return
    end
    -- The document ends here. A lookup that passes is to be answered, or nobody would ever meet.
    application.sendPeerRedirect({ targetPeer.farAddress }, event)
    targetPeer:introducePeer(event.initiatorAddress, event.tag)
end
