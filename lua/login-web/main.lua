-- Asks a web service whether a client may connect.
-- Application.xml needs the host of the service in ScriptEngine/HTTP/Allow, and in ScriptEngine/ApplicationObject/config:
--   <service>https://accounts.example.com/login</service>   the URL of the service
--   <key>...</key>                                          the secret by which the service knows this server
-- A client's program connects with a name and a token. The service receives a POST with them as JSON, for example
--   { "name": "ann", "token": "...", "address": "192.0.2.7:1935" }
-- and answers with the status 200 and { "name": "Ann", "rooms": ["lobby"] } if the client may connect, or with 401 or 403 if it may not.

local config = application.config

-- Less than Policy/Deadline, which is two seconds by default: so the client is told why it waits in vain.
local TIMEOUT = 1500

-- An element that is empty, as by a variable that is not set, is none.
local function given(name) return config[name] ~= "" and config[name] or nil end
local service, key = given "service", given "key"

local function refuse(client, description, reason)
    application.rejectConnection(client, description, { reason = reason })
    return false
end

function application.onAppStart()
    if not (service and key) then log.error("config in Application.xml needs a service and a key: no client can connect") end
end

function application.onConnect(client, name, token)
    if not (service and key) then return refuse(client, "Logins are not possible at the moment.", "unavailable") end
    if type(name) ~= "string" or type(token) ~= "string" then
        return refuse(client, "A name and a token are needed.", "arguments")
    end
    -- Other clients are served while this handler waits.
    local response, problem = http.post(service, nil, {
        headers = { Authorization = "Bearer " .. key },
        json = { name = name, token = token, address = client.farAddress },
        timeout = TIMEOUT,
    })
    if not response then
        trace("the login service does not answer:", problem)
        return refuse(client, "Logins are not possible at the moment.", "unavailable")
    end
    if response.status == 401 or response.status == 403 then
        return refuse(client, "The name or the token is wrong.", "denied")
    end
    local account = response:json()
    if response.status ~= 200 or type(account) ~= "table" or type(account.name) ~= "string" then
        trace("the login service gives an answer that is not understood, with the status", response.status)
        return refuse(client, "Logins are not possible at the moment.", "unavailable")
    end
    client.name, client.rooms = account.name, account.rooms
    return true
end

-- A client's program asks who it is.
function Client:whoAmI()
    return { name = self.name, rooms = self.rooms }
end
