-- The server introduces the clients of this application. The script counts them for the soak, which reads the log.
function application.onConnect(client, wish, number)
    trace("soak connects", client.id, number, wish)
    return wish ~= "rejection"
end

function application.onDisconnect(client)
    trace("soak disconnects", client.id)
end

function Client:echo(value)
    return value
end

-- The soak changes the file to have a handler hang until its time limit ends it.
function application.onAppStart(info)
    trace("soak starts", info.reason, #application.clients)
    file.watch("hang.txt", function()
        while true do end
    end)
end

function application.onAppStop(info)
    trace("soak stops", info.reason)
end
