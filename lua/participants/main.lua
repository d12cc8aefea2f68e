-- Keeps a list of those who are there, as a rendezvous for calls and games needs it. A client passes its name to connect(), and is told of
-- the others: participants(list) once, then joined(participant) and left(peerID). It may ask for the list at any time: nc.call("list", responder).
-- With a peer ID its program opens a NetStream to that peer; the server introduces the two.

local MAX_NAME = 64

-- What is told of a client.
local function participant(client)
    return { peerID = client.farID, name = client.name }
end

-- The others, for a client.
function Client:list()
    local list = Array {}
    for _, other in ipairs(application.clients) do
        if other ~= self then table.insert(list, participant(other)) end
    end
    return list
end

-- Calls a method of all clients but one.
local function tellOthers(client, method, ...)
    for _, other in ipairs(application.clients) do
        if other ~= client then other:call(method, nil, ...) end
    end
end

function application.onConnect(client, name)
    if type(name) ~= "string" or name == "" or #name > MAX_NAME then
        application.rejectConnection(client, "Pass your name to connect().")
        return false
    end
    client.name = name
    return true
end

-- The client is in now: it can be called, and it is in application.clients.
function application.onConnectAccept(client)
    client:call("participants", nil, client:list())
    tellOthers(client, "joined", participant(client))
end

function application.onDisconnect(client)
    -- A client that was rejected is in nobody's list. One that has connected again stays in it.
    if client.name and not application.clients[client.farID] then
        tellOthers(client, "left", client.farID)
    end
end

-- Names are lost when the script is loaded again. The clients that are connected then are asked for theirs, all at once and after this handler:
-- others connect meanwhile, and nobody waits for one that does not answer.
function application.onAppStart()
    for _, client in ipairs(application.clients) do
        client.name = "?"
        setTimeout(function()
            local name = client:callAndWait("whatIsYourName")
            if type(name) == "string" and name ~= "" then client.name = name:sub(1, MAX_NAME) end
        end, 0)
    end
end
