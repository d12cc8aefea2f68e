-- The script of a server that is a member of a group. It posts `says` with a number four times a second, and traces its neighbors and
-- what others post. `one` and `two` are the addresses of servers with these endpoint names, if it is to know any.
local config = application.config
local posted = 0

function application.onAppStart()
    nc = NetConnection()
    nc.rtmfpBindAddresses = { config.bind }
    nc.rtmfpEndpointName = config.name
    function nc:onStatus(info)
        if info.code ~= "NetConnection.Connect.Success" then return trace("connection: " .. info.code) end
        group = NetGroup(nc, config.groupspec)
        function group:onStatus(info)
            if info.code == "NetGroup.Posting.Notify" then
                trace("posting of " .. info.message .. ".")
            elseif info.code:find("Neighbor") then
                trace(info.code:match("Neighbor.*") .. ", now " .. group.neighborCount .. " neighbors.")
            end
        end
        for _, name in ipairs { "one", "two" } do
            if config[name] then group:addPermanentNeighborByName(name, { config[name] }) end
        end
    end
    nc:connect("rtmfp:")
    setInterval(function()
        if not group then return end
        posted = posted + 1
        group:post(config.says .. ": " .. posted)
    end, 250)
end
