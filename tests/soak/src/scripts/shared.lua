-- The script of lua/shared-registry, which stands beside this file as registry.lua, introduces the clients of this application. This one counts
-- them for the soak, which reads the log.
load("registry.lua")
local accept, forget, publishAll = application.onConnect, application.onDisconnect, application.onAppStart

function application.onConnect(client, wish, number)
    trace("soak connects", client.id, number, wish)
    if wish == "rejection" then return false end
    accept(client)
end

function application.onDisconnect(client)
    trace("soak disconnects", client.id)
    forget(client)
end

function Client:echo(value)
    return value
end

-- The soak changes the file to have a handler hang until its time limit ends it.
function application.onAppStart(info)
    trace("soak starts", info.reason, #application.clients)
    publishAll()
    file.watch("hang.txt", function()
        while true do end
    end)
end

function application.onAppStop(info)
    trace("soak stops", info.reason)
end
