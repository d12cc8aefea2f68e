-- Two servers or more that know each other's addresses and nothing else: an asker whose peer is not here is sent to the others, and the one
-- that has the peer introduces the two. This is what scripts for MonaServer do by `onRendezVousUnknown` with `return mona.servers`.
-- It needs <PeerLookupEvents mode="Partial"/> in Application.xml, and in its config the address of each other server: <server>ip:port</server>.
-- With many servers lookups multiply; then use the shared registry (lua/shared-registry), or a group of the servers (lua/distributed).

-- One element is a text, several are a list.
local servers = application.config.server or {}
if type(servers) == "string" then servers = { servers } end

-- An asker repeats its lookup at an address of the origin "relay".
local redirect = { table.unpack(servers) }
redirect.origins = {}
for _, address in ipairs(servers) do redirect.origins[address] = "relay" end

function application.onPeerLookup(event)
    local target = application.clients[event.targetPeerID]
    if target then
        -- An asker from outside looks for a client of this server. To answer is to agree: the server introduces the two.
        application.sendPeerRedirect({ target.farAddress, table.unpack(target.reportedAddresses) }, event)
    elseif event.client and servers[1] then
        -- Only the clients of this server are sent on. Without this condition two servers would send an asker to and fro.
        application.sendPeerRedirect(redirect, event)
    end
end
