-- The application `{{name}}`: clients connect to it at rtmfp://SERVER/{{shown}}, or at rtmfp://SERVER/{{shown}}/ROOM, where each room is an
-- instance of its own. The server loads this file anew when it is saved (ScriptEngine/Watch in Application.xml).
-- Test what you change, without a network:  introd test {{folder}}

-- A client wants to connect. It may hand over a name: connect(url, name).
function application.onConnect(client, name)
    if name ~= nil and (type(name) ~= "string" or name == "" or #name > 40) then
        application.rejectConnection(client, "A name is a text of 1 to 40 characters.")
        return false
    end
    client.name = name or "somebody"
    trace(client.name .. " has connected from " .. client.farAddress)
    return true
end

-- It is called for clients that were rejected, too: those have no name. Nor have those that were here before this file was
-- loaded anew.
function application.onDisconnect(client)
    if client.name then
        trace(client.name .. " has disconnected")
    end
end

-- A client looks for a peer: only clients of the same instance find each other.
function application.onPeerLookup(event)
    local target = application.clients[event.targetPeerID]
    if not target or not event.client then
        application.denyPeerLookup(event)
        return
    end
    -- The asker learns where the target's packets come from, and the addresses in its local network, where the asker may be, too.
    application.sendPeerRedirect({ target.farAddress, table.unpack(target.reportedAddresses) }, event)
    target:introducePeer(event.initiatorAddress, event.tag)
end

-- A method that clients may call: call("peers", responder). It returns the names of all others, by their peer IDs.
function Client:peers()
    local peers = {}
    for _, client in ipairs(application.clients) do
        if client ~= self then
            peers[client.farID] = client.name
        end
    end
    return peers
end
