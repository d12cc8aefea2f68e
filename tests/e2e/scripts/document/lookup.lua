application.onPeerLookup = function(event)
    -- Check whether the target peer is local (connected to the same server as the initiating peer).
    local targetPeer = getClientIfLocal(event.targetPeerID)
    if targetPeer then
        -- Send the addresses of the target peer to the initiating peer.
        application.sendPeerRedirect(getClientRedirectAddrs(targetPeer), event)
        -- The target peer sends a responder hello to the initiating peer.
        targetPeer:introducePeer(event.initiatorAddress, event.tag)
    else
        -- Client is not connected locally.
        targetPeerAddrs = getRemoteClientAddrs(event.targetPeerID)
        if not targetPeerAddrs then
            -- Returning without calling application.sendPeerRedirect() prevents the peer-to-peer connection.
            return
        end
        -- Send the addresses of the target peer to the initiating peer.
        application.sendPeerRedirect(targetPeerAddrs, event)
    end
end
