-- Introduces the clients of this server to each other, as the server does without a script. Start your own script from it.
-- It needs <PeerLookupEvents mode="All"/> in Application.xml.

-- The addresses to try for a client: first the one that its packets come from, then those that it reports.
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
        -- The target is not connected. The asker gets no answer, tries again, and then gives up; event.attempt is 1 for the first time.
        -- event.client is the asker, or nil if that is no client of this application: a peer that another server has sent here, for instance.
        if event.attempt == 1 then
            trace("not connected:", event.targetPeerID, "asked for by", event.client and event.client.farID or event.initiatorAddress)
        end
        return
    end
    -- An introduction has two halves: the asker learns the target's addresses, and the target opens its NAT to the asker.
    application.sendPeerRedirect(addressesOf(target), event)
    target:introducePeer(event.initiatorAddress, event.tag)
end
