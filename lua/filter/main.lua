-- Decides which clients may meet.
-- It needs <PeerLookupEvents mode="All"/> in Application.xml. ScriptEngine/ApplicationObject/config there may have:
--   <token>...</token>     the token that a client's program must pass to connect(); without it, every client is accepted
--   <rate>20</rate>        how many lookups a client may make in a minute; without it, there is no limit
-- A client that calls allow(peerID, ...) can be found only by these peers; after allow() without arguments, by none.

local config = application.config
local MINUTE = 60 * 1000
local rate = tonumber(config.rate)

local function addressesOf(client)
    return { client.farAddress, table.unpack(client.reportedAddresses) }
end

function application.onConnect(client, token)
    if config.token and not crypto.equal(token, config.token) then
        application.rejectConnection(client, "A token is needed.", { reason = "token" })
        return false
    end
    return true
end

-- Called by a client's program. Until a client has called it, every peer may find the client.
function Client:allow(...)
    self.allowed = {}
    for _, peerID in ipairs { ... } do
        self.allowed[peerID:lower()] = true
    end
    return true
end

-- A client may make `rate` lookups at once, and after that as many in each minute.
local function mayLookUp(client)
    if not rate then return true end
    local time = now()
    local left = math.min(rate, (client.left or rate) + (time - (client.last or time)) * rate / MINUTE)
    client.last = time
    client.left = left >= 1 and left - 1 or left
    return left >= 1
end

function application.onPeerLookup(event)
    local asker = event.client
    local target = application.clients[event.targetPeerID]
    if not target then
        -- Returning without calling application.sendPeerRedirect() prevents the peer-to-peer connection.
        return
    end
    -- The refusal is counted in rtmfp_lookups_denied.
    if not asker or not mayLookUp(asker) or (target.allowed and not target.allowed[asker.farID]) then
        application.denyPeerLookup(event)
        return
    end
    application.sendPeerRedirect(addressesOf(target), event)
    target:introducePeer(event.initiatorAddress, event.tag)
end
