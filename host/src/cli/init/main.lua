-- The application `hello`: clients connect to it at rtmfp://SERVER/hello. The server loads this file at its start, and anew when it gets SIGHUP.
-- Test what you change, without a network:  introd test lua/hello

-- A client wants to connect. It may hand over a name: connect(url, name).
function application.onConnect(client, name)
    client.name = type(name) == "string" and name:sub(1, 40) or "somebody"
    trace(client.name .. " is here, from " .. client.farAddress)
    return true
end

-- Clients that were here before this file was loaded anew have no name.
function application.onDisconnect(client)
    if client.name then
        trace(client.name .. " is gone")
    end
end

-- A method that clients may call:  call("who", responder)
function Client:who()
    local names = {}
    for _, client in ipairs(application.clients) do
        names[#names + 1] = client.name
    end
    return names
end
