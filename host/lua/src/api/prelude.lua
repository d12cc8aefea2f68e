-- The parts of the API that are written in Lua.
local native, application, Client, methods = ...

local error, getmetatable, next, rawset, select, type = error, getmetatable, next, rawset, select, type
local setmetatable, pack, unpack = native.plain.setmetatable, table.pack, native.plain.unpack
local wait = native.wait

-- The host's functions --------------------------------------------------------------------------------------------------

_G.now = native.now
-- The arguments of a timer are kept in a table, whose memory counts.
local function timer(again, f, milliseconds, ...)
    return native.timer(again, f, milliseconds, select("#", ...) > 0 and pack(...) or nil)
end
_G.setInterval = function(...) return timer(true, ...) end
_G.setTimeout = function(...) return timer(false, ...) end
_G.clearInterval = native.clear_timer
_G.clearTimeout = native.clear_timer
_G.sleep = function(milliseconds) return wait(native.sleep(milliseconds)) end

_G.null, _G.undefined = native.null, native.undefined
_G.Array, _G.ByteArray, _G.Date = native.array, native.byte_array, native.date

_G.registry = {
    lookup = function(peer) return wait(native.look_up(peer)) end,
    publish = native.publish,
    withdraw = native.withdraw,
    joinGroup = native.join_group,
    leaveGroup = native.leave_group,
    groupNeighbors = function(digest, peer, near, far) return wait(native.group_neighbors(digest, peer, near, far)) end,
}

-- Clients -----------------------------------------------------------------------------------------------------------------

-- A client's object keeps a record in its field `__record`. In the record is, under a key that scripts do not have, what leads the host to the
-- client; and by their names the properties that do not change until the host says so.
local key = native.key
local properties, property, settable = native.properties, native.property, native.settable

local client_meta = { __host = "Client", __name = "Client", __metatable = false }

-- A field comes from the host's properties, the script's fields for all clients, the host's methods, or the values of properties that the
-- script has not set, in this order. The script's own fields of the object come before all.
local function field(client, name)
    local kind = properties[name]
    if kind then
        local record = client.__record
        local value = property(record[key], name)
        if kind == "kept" then record[name] = value end
        if name ~= "reportedAddresses" then return value end
        return { unpack(value) }
    end
    local value = Client[name]
    if value ~= nil then return value end
    value = methods[name]
    if value ~= nil then return value end
    return settable[name]
end

-- Scripts read the same few properties in each lookup: those that the record has take few instructions.
function client_meta.__index(client, name)
    local value = client.__record[name]
    if value then
        if name ~= "reportedAddresses" then return value end
        -- A script may change a list that it gets, so that it gets a new one each time.
        local first, second = value[1], value[2]
        if not second then return { first } end
        return { unpack(value) }
    end
    value = methods[name]
    if value and Client[name] == nil then return value end
    return field(client, name)
end

function client_meta.__newindex(client, name, value)
    if properties[name] then error(name .. " of a Client cannot be set", 2) end
    rawset(client, name, value)
end

function client_meta.__tostring() return "Client" end

local function next_field(client, last)
    local name, value = next(client, last)
    if name == "__record" then name, value = next(client, name) end
    return name, value
end

function client_meta.__pairs(client) return next_field, client, nil end

function native.make_client(handle)
    return setmetatable({ __record = { [key] = handle } }, client_meta)
end

local found, find, count_clients, each_client = native.found, native.client, native.count_clients, native.each_client
-- A client that the script has looked for before is found without a call.
setmetatable(found, {
    __index = function(_, which)
        if which == "length" then return count_clients() end
        return find(which)
    end,
})
application.clients = setmetatable({}, {
    __host = "list of clients",
    __metatable = false,
    __index = found,
    __newindex = function() error("application.clients cannot be changed", 2) end,
    __len = function() return count_clients() end,
    __pairs = function() return each_client(), nil, 0 end,
    __tostring = function() return "application.clients" end,
})

-- Passes a client's answer to the `onResult` or `onStatus` of an object.
function native.call_result(object, name, ...)
    local handler = object[name]
    if type(handler) == "function" then handler(object, ...) end
end

-- Lookups -----------------------------------------------------------------------------------------------------------------

local asker, event_key, next_lookup, usual_interface =
    native.asker, native.event_key, native.next_lookup, native.usual_interface
local found_by_number = native.found_by_number
-- An event keeps the asker's number under this key. Scripts can find the key in the event, so that it must be of no other use.
local asker_key = {}
local event_meta = { __host = "PeerLookupEvent", __name = "PeerLookupEvent", __metatable = false }

function event_meta.__index(event, name)
    if name == "client" then
        local number = event[asker_key]
        return number and asker(number) or nil
    elseif name == "initiatorApplication" then
        -- If the asker is a client of another application, the event has the field already.
        return event[asker_key] and application.name or nil
    elseif name == "targetPeerId" then
        return event.targetPeerID
    elseif name == "interfaceId" then
        return event.interfaceID
    elseif name == "attempt" then
        return 1
    elseif name == "interfaceID" then
        return usual_interface()
    end
end

-- A script that looks at all fields finds those, too, that most events do not have themselves.
function event_meta.__pairs(event)
    local fields = { attempt = event.attempt, interfaceID = event.interfaceID }
    for name, value in next, event do
        if name ~= event_key and name ~= asker_key then fields[name] = value end
    end
    return next, fields, nil
end

function event_meta.__tostring() return "PeerLookupEvent" end

-- The event that was made last, with its target's object, its address and tag, and the handler that was found to be a function.
-- Nothing of a script is the same as what these are at first.
local latest, latest_handler, no_client = {}, {}, {}
local latest_client, latest_initiator, latest_tag = no_client, nil, nil

-- Asks the script about one lookup after the other, as long as the host has some. A handler that fails, or whose time is
-- over, ends that. While one waits, the host goes on in another coroutine.
function native.call_on_peer_lookup()
    for number, target, initiator, tag, which, attempt, interface, asked_by, from in next_lookup do
        local handler = application.onPeerLookup
        if handler ~= latest_handler then
            if type(handler) ~= "function" then
                -- The host's latest lookup is another than that of the latest event.
                latest, latest_client = no_client, no_client
                return true
            end
            latest_handler = handler
        end
        -- A client that the script has found before has its peer id itself.
        local event, client = nil, no_client
        if which then
            client = found_by_number[which]
            target = client.__record.farID
        end
        if attempt then
            event = setmetatable({
                [event_key] = number,
                [asker_key] = asked_by,
                targetPeerID = target,
                initiatorAddress = initiator,
                tag = tag,
                attempt = attempt,
                interfaceID = interface,
            }, event_meta)
            if from then event.initiatorApplication = from end
        else
            -- It is like most others, and `__index` has the rest: each field that an event has itself takes time and memory.
            event = setmetatable({
                [event_key] = number,
                targetPeerID = target,
                initiatorAddress = initiator,
                tag = tag,
            }, event_meta)
        end
        latest = event
        latest_client = client
        latest_initiator = initiator
        latest_tag = tag
        handler(event)
    end
end

-- `application:f(x)` is taken as `application.f(x)`.
for name, f in next, native.application do
    application[name] = function(first, ...)
        if first == application then return f(...) end
        return f(first, ...)
    end
end

-- The same for the function that is called most often, without variable arguments. The lookup and the addresses are mostly known to the
-- host by numbers.
local send_peer_redirect = native.application.sendPeerRedirect
local redirect_latest, numbers = native.redirect_latest, native.address_numbers
function application.sendPeerRedirect(addresses, event, last)
    if event == latest and type(addresses) == "table" and getmetatable(addresses) == nil and not addresses.origins then
        -- An address without a number is one that the host has yet to read.
        local first = numbers[addresses[1]]
        if first then
            local count = #addresses
            if count == 2 then
                local second = numbers[addresses[2]]
                if second then return redirect_latest(first, second) end
            elseif count == 1 then
                return redirect_latest(first)
            elseif count == 3 then
                local second, third = numbers[addresses[2]], numbers[addresses[3]]
                if second and third then return redirect_latest(first, second, third) end
            end
        end
    end
    if addresses == application then addresses, event = event, last end
    return send_peer_redirect(addresses, event)
end

for name, f in next, native.methods do methods[name] = f end
local introduce, introduce_latest = native.methods.introducePeer, native.introduce_latest
function methods.introducePeer(client, initiator, tag)
    if client == latest_client and initiator == latest_initiator and tag == latest_tag then
        return introduce_latest()
    end
    local record = type(client) == "table" and client.__record
    return introduce(type(record) == "table" and record[key] or nil, initiator, tag)
end
function methods:callAndWait(method, ...) return wait(native.call_and_wait(self, method, ...)) end
function methods:getStats() return wait(native.stats(self)) end

-- NetConnections and NetGroups ------------------------------------------------------------------------------------------

-- A class is made like GroupSpecifier: NetConnection(), or NetConnection.new().
local function class(name, new)
    _G[name] = setmetatable({ new = new }, {
        __call = function(_, ...) return new(...) end,
        __metatable = name,
    })
end
class("NetConnection", native.new_connection)
class("NetGroup", native.new_group)
-- A peer has the same address in all groups, so that no group is needed to compute it.
NetGroup.convertPeerIDToGroupAddress = native.group_address
local call_and_wait = native.connection_call_and_wait
function native.connection_methods:callAndWait(method, ...) return wait(call_and_wait(self, method, ...)) end

-- Other files of the application ----------------------------------------------------------------------------------------

function _G.load(name)
    return native.load(name)()
end

local loaded = {}
function _G.require(name)
    local value = loaded[name]
    if value == nil then
        local chunk, file = native.find(name)
        value = chunk(name, file)
        if value == nil then value = loaded[name] end
        if value == nil then value = true end
        loaded[name] = value
    end
    return value
end
