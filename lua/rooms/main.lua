-- Rooms within an instance. A client's program calls
--   nc.call("room.enter", responder, "lobby")   to enter a room, and leave the one it was in; the result are the peer IDs of the others,
--                                               or false if the name is no text or has more than 64 bytes
--   nc.call("room.say", null, "hello")          to say something to all in its room, itself included
--   nc.call("room.leave", null)                 to leave
-- and gets the calls entered(peerID), said(peerID, text) and left(peerID) of those in its room.

local MAX_NAME, MAX_TEXT = 64, 1024

-- The members of each room, as the keys of a table; empty rooms are forgotten.
local rooms = {}

local function tell(room, method, ...)
    for member in pairs(rooms[room] or {}) do
        member:call(method, nil, ...)
    end
end

local function leave(client)
    local room = client.place
    if not room then return end
    client.place = nil
    rooms[room][client] = nil
    if next(rooms[room]) == nil then
        rooms[room] = nil
    else
        tell(room, "left", client.farID)
    end
end

Client.room = {}

-- The first argument of a method in a table is the client, too.
function Client.room.enter(client, name)
    if type(name) ~= "string" or #name > MAX_NAME then return false end
    leave(client)
    local others = Array {}
    for member in pairs(rooms[name] or {}) do table.insert(others, member.farID) end
    tell(name, "entered", client.farID)
    rooms[name] = rooms[name] or {}
    rooms[name][client] = true
    client.place = name
    return others
end

function Client.room.say(client, text)
    if client.place and type(text) == "string" and #text <= MAX_TEXT then
        tell(client.place, "said", client.farID, text)
        return true
    end
    return false
end

function Client.room.leave(client)
    leave(client)
end

function application.onDisconnect(client)
    leave(client)
end
