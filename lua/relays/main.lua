-- Introduces the clients of this server to each other, and lets clients who have paid for it meet through a relay of the server, once direct
-- attempts have failed. It needs <PeerLookupEvents mode="All"/> in Application.xml, and RTMFP/Relay/Ports in Adaptor.xml.
--
-- A site signs a JSON Web Token for each client who may be relayed, with the secret in config of Application.xml; the claim `relayRate` is the rate
-- in bytes a second. A client's program passes the token to connect(), or calls setRelayToken(token) later. A token that is wrong gives no relay,
-- and keeps nobody out.

local secret = application.config.secret
-- From which attempt of an asker on: the first two may reach the target directly, and the server pays nothing for that.
local PATIENCE = 3
-- How long a relay lasts at most, in milliseconds. An asker whose relay has ended looks for its peer again.
local LIFETIME = 30 * 60 * 1000

-- The rate that a token grants, in bytes a second; nil if it grants none.
local function rateOf(token)
    if not secret or secret == "" then return nil end
    local claims = crypto.verifyJwt(token, { key = secret, algorithms = "HS256" })
    local rate = claims and claims.relayRate
    return type(rate) == "number" and rate >= 1 and rate or nil
end

function application.onAppStart()
    if not secret or secret == "" then log.warn("config in Application.xml has no secret: no client is relayed") end
end

function application.onConnect(client, token)
    client.relayRate = rateOf(token)
    return true
end

-- Called by a client's program, also after the script has been loaded again, which forgets what clients had. Returns whether the token is good.
function Client:setRelayToken(token)
    self.relayRate = rateOf(token)
    return self.relayRate ~= nil
end

function application.onPeerLookup(event)
    local target = application.clients[event.targetPeerID]
    if not target then return end
    -- One of the two has paid. The asker is nil if it is no client of this instance.
    local rate = event.client and event.client.relayRate or target.relayRate
    if rate and event.attempt >= PATIENCE then
        application.relayPeer(event, { bytesPerSecond = rate, lifetime = LIFETIME })
        return
    end
    -- Some clients keep seven addresses in all. Five leave room for those of the relay, of which there may be two.
    application.sendPeerRedirect({ target.farAddress, table.unpack(target.reportedAddresses, 1, 4) }, event)
    target:introducePeer(event.initiatorAddress, event.tag)
end
