-- Decides which clients may meet.
-- It needs <PeerLookupEvents mode="All"/> in Application.xml. ScriptEngine/ApplicationObject/config there may have:
--   <token>...</token>     the token that a client's program must pass to connect(); without the element, every client is accepted
--   <rate>20</rate>        how many lookups a client may make in a minute; without the element, there is no limit
-- If the token is there but empty, as by a variable that is not set, or if the rate is not a number, every client is rejected, and the log
-- says why.
-- A client that calls allow(peerID, ...) can be found only by these peers; after allow() without arguments, by none.

local config = application.config
local MINUTE = 60 * 1000
local rate = tonumber(config.rate)
-- What is wrong with the configuration, or nil.
local mistake = config.token == "" and "token is empty" or config.rate and not rate and "rate is not a number" or nil

local function addressesOf(client)
    return { client.farAddress, table.unpack(client.reportedAddresses) }
end

function application.onAppStart()
    if mistake then log.error("no client can connect, because in config of Application.xml the " .. mistake) end
end

function application.onConnect(client, token)
    if mistake then
        application.rejectConnection(client, "The application is not set up.", { reason = "configuration" })
        return false
    end
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
        -- What is no text is no peer ID, and allows nobody.
        if type(peerID) == "string" then self.allowed[peerID:lower()] = true end
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
