-- For the tests: a member of the group of servers that posts whatever a client tells it to.
local config = application.config

function application.onAppStart()
    local spec = GroupSpecifier("introd servers " .. config.secret)
    spec.postingEnabled, spec.routingEnabled, spec.ipMulticastMemberUpdatesEnabled = true, true, true
    nc = NetConnection()
    function nc:onStatus(info)
        if info.code ~= "NetConnection.Connect.Success" then return end
        group = NetGroup(nc, spec)
        group:addPermanentNeighborByName(config.bootstrap.name, config.bootstrap.address)
    end
    nc:connect("rtmfp:")
end

function Client:post(message) group:post(message) end
function Client:whoami() return nc.nearID end
