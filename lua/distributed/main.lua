-- Introduces clients of several servers to each other, and the members of their groups, as Adobe's document "Distribute introductions"
-- describes it: the servers are members of a group of their own, and tell each other in it who their clients are. README.md is the guide.

local settings = require("settings")
local own = require("own")
local others = require("others")
local mesh = require("mesh")
local members = require("members")

-- All addresses that lead to a client: its own, then those of this server. An asker that is redirected to this server repeats its
-- lookup here, and this server introduces the two.
local function addressesOf(client)
    local addresses = { table.unpack(client.reportedAddresses) }
    table.insert(addresses, client.farAddress)
    for _, address in ipairs(client.potentialNearAddresses) do
        table.insert(addresses, address)
    end
    return addresses
end

-- What the other servers are to know of a client.
local function publish(client)
    own.near = client.potentialNearAddresses
    local groups = {}
    for _, control in ipairs(client.groupControls) do
        table.insert(groups, control.groupspecDigest)
    end
    own.set(client.farID, { far = client.farAddress, reported = client.reportedAddresses, groups = groups })
end

function application.onConnect(client)
    application.acceptConnection(client)
    publish(client)
end

Client.onFarAddressChange = publish
Client.onReportedAddressesChange = publish

function application.onDisconnect(client)
    -- If the peer has already connected again, its new connection stands for it.
    local again = application.clients[client.farID]
    if again then
        publish(again)
    else
        own.remove(client.farID)
    end
end

function application.onPeerLookup(event)
    local target = application.clients[event.targetPeerID]
    if target then
        application.sendPeerRedirect(addressesOf(target), event)
        target:introducePeer(event.initiatorAddress, event.tag)
        return
    end
    local addresses = others.addressesOf(event.targetPeerID)
    -- Without an answer the asker asks again; the peer may be known by then.
    if addresses then
        application.sendPeerRedirect(addresses, event)
    end
end

-- Groups. These two are called only with <JoinLeaveEvents mode="All"/>.
function Client:onGroupJoin(control)
    members.joined(self, control)
    publish(self)
end

function Client:onGroupLeave(digest, control)
    members.left(digest, self.farID, control)
    if application.clients[self.farID] == self then
        publish(self)
    end
end

others.onJoin = members.joinedElsewhere
others.onLeave = members.leftElsewhere

function application.onAppStart()
    -- When a new version of the script is loaded, its clients are connected already.
    for _, client in ipairs(application.clients) do
        for _, control in ipairs(client.groupControls) do
            members.joined(client, control, true)
        end
        publish(client)
    end
    local read, problem = settings.read(application.config)
    if read then
        mesh.start(read)
    else
        trace(problem .. ": this server knows its own clients only")
    end
end

function application.onAppStop()
    mesh.stop()
end
