-- What scripts find besides Lua's own: the parts that are best said in Lua, and Lua's own where it needs a bound.
-- Runs once in each new machine, before the script. `native` holds what the host gives.
local native, application, Client, methods, WAIT = ...

local error, getmetatable, next, rawget, rawlen, rawset, setmetatable, type =
    error, getmetatable, next, rawget, rawlen, rawset, setmetatable, type
local pcall, xpcall, math_type = pcall, xpcall, math.type
local resume, yield, wrap_error = coroutine.resume, coroutine.yield, native.plain_error
local select, unpack = select, table.unpack
local create, running = coroutine.create, coroutine.running
local is_over, has_len = native.is_over, native.has_len

-- Handlers ------------------------------------------------------------------------------------------------------------

-- Every handler runs in this, in a coroutine that serves one handler after the other.
local describe = native.describe
local function serve(handler, ...)
    return serve(yield(xpcall(handler, describe, ...)))
end
native.serve = serve

-- Leaves the handler until the host has what the token stands for.
local function wait(token)
    if native.is_crowded() then error("too many handlers wait", 3) end
    return yield(WAIT, token)
end

-- Errors --------------------------------------------------------------------------------------------------------------

-- A handler whose time is over cannot go on by catching the error that says so.
local function caught(ok, ...)
    if ok then return true, ... end
    if is_over() then native.raise_over() end
    local problem = ...
    if type(problem) == "userdata" then problem = wrap_error(problem) end
    return false, problem
end

_G.pcall = function(f, ...)
    return caught(pcall(f, ...))
end

_G.xpcall = function(f, handler, ...)
    local function on_error(problem)
        if is_over() then return problem end
        if type(problem) == "userdata" then problem = wrap_error(problem) end
        return handler(problem)
    end
    return caught(xpcall(f, on_error, ...))
end

-- Coroutines of the script's own: a wait in one of them is a wait of the handler around it.
local function passed(co, ok, first, ...)
    if ok and first == WAIT then return passed(co, resume(co, yield(WAIT, ...))) end
    if ok then return true, first, ... end
    return caught(false, first)
end

function coroutine.resume(co, ...)
    return passed(co, resume(co, ...))
end

-- Which they are: a handler's own coroutine has nobody to yield to.
local own = setmetatable({}, { __mode = "k" })

function coroutine.create(f)
    local co = create(f)
    own[co] = true
    return co
end

function coroutine.yield(...)
    if not own[running()] then error("a handler cannot yield; to wait, use sleep", 2) end
    return yield(...)
end

local function unwrapped(ok, ...)
    if ok then return ... end
    error((...), 0)
end

function coroutine.wrap(f)
    local co = coroutine.create(f)
    return function(...)
        return unwrapped(passed(co, resume(co, ...)))
    end
end

-- Lua's own, where one call could take for ever -------------------------------------------------------------------------

local LONGEST = 1 << 22

local function within(from, to, name)
    if to >= from and (to - from < 0 or to - from >= LONGEST) then
        error("too many elements for " .. name, 3)
    end
end

local function bounded(list, name)
    if type(list) == "table" and ((getmetatable(list) ~= nil and has_len(list)) or rawlen(list) > LONGEST) then
        error("this table cannot be given to " .. name, 3)
    end
end

local concat, insert, move, remove, sort = table.concat, table.insert, table.move, table.remove, table.sort

function table.concat(list, separator, from, to)
    bounded(list, "table.concat")
    if math_type(from) == "integer" or math_type(to) == "integer" then
        within(from or 1, to or rawlen(list), "table.concat")
    end
    if is_over() then native.raise_over() end
    return concat(list, separator, from, to)
end

function table.insert(list, ...)
    -- At the end it takes no time.
    if select("#", ...) ~= 1 then bounded(list, "table.insert") end
    return insert(list, ...)
end

function table.remove(list, ...)
    bounded(list, "table.remove")
    return remove(list, ...)
end

function table.sort(list, before)
    bounded(list, "table.sort")
    if is_over() then native.raise_over() end
    return sort(list, before)
end

function table.move(list, from, to, at, target)
    if math_type(from) == "integer" and math_type(to) == "integer" then within(from, to, "table.move") end
    if is_over() then native.raise_over() end
    return move(list, from, to, at, target)
end

local repeated = string.rep
function string.rep(text, count, separator)
    -- Nothing, a thousand million times, is still nothing, but takes its time.
    if text == "" and (separator == nil or separator == "") then return "" end
    if is_over() then native.raise_over() end
    return repeated(text, count, separator)
end

-- Finalizers run where no limit holds.
_G.setmetatable = function(object, metatable)
    if type(metatable) == "table" and rawget(metatable, "__gc") ~= nil then
        error("finalizers (__gc) are not available", 2)
    end
    return setmetatable(object, metatable)
end

local count = collectgarbage
_G.collectgarbage = function(option)
    if option == "count" then return count("count") end
    return 0
end

string.dump, dofile, loadfile, warn = nil, nil, nil, nil

-- The host's functions --------------------------------------------------------------------------------------------------

_G.print = native.trace
_G.trace = native.trace
_G.now = native.now
_G.setInterval = function(...) return native.timer(true, ...) end
_G.setTimeout = function(...) return native.timer(false, ...) end
_G.clearInterval = native.clear_timer
_G.clearTimeout = native.clear_timer
_G.sleep = function(milliseconds) return wait(native.sleep(milliseconds)) end

_G.null, _G.undefined = native.null, native.undefined
_G.Array, _G.ByteArray, _G.Date = native.array, native.byte_array, native.date

_G.registry = {
    lookup = function(peer) return wait(native.look_up(peer)) end,
    publish = native.publish,
    withdraw = native.withdraw,
}

-- Clients -----------------------------------------------------------------------------------------------------------------

-- What the host has in its objects stands under this key.
local key = native.key
local properties, property = native.properties, native.property

local client_meta = { __host = "Client", __name = "Client", __metatable = false }

-- The script's own field, then what the host knows, then what the script gives to all clients, then the host's methods.
function client_meta.__index(client, name)
    local kind = properties[name]
    if kind then
        local record = client[key]
        local value = record[name]
        if value == nil then
            value = property(record[1], name)
            if kind ~= "made" then record[name] = value end
        end
        -- A list may be changed by whoever gets it, and so is another for each.
        if kind == "list" then return { unpack(value) } end
        return value
    end
    local value = Client[name]
    if value ~= nil then return value end
    return methods[name]
end

function client_meta.__newindex(client, name, value)
    if properties[name] then error(name .. " of a Client cannot be set", 2) end
    rawset(client, name, value)
end

function client_meta.__tostring() return "Client" end

local function next_field(client, last)
    local name, value = next(client, last)
    if name == key then name, value = next(client, name) end
    return name, value
end

function client_meta.__pairs(client) return next_field, client, nil end

function native.make_client(handle)
    return setmetatable({ [key] = { handle } }, client_meta)
end

local found, find, count_clients, each_client = native.found, native.client, native.count_clients, native.each_client
application.clients = setmetatable({}, {
    __host = "list of clients",
    __metatable = false,
    __index = function(_, which)
        local client = found[which]
        if client ~= nil then return client end
        if which == "length" then return count_clients() end
        return find(which)
    end,
    __newindex = function() error("application.clients cannot be changed", 2) end,
    __len = function() return count_clients() end,
    __pairs = function() return each_client(), nil, 0 end,
    __tostring = function() return "application.clients" end,
})

-- Lookups -----------------------------------------------------------------------------------------------------------------

local asker, event_key = native.asker, native.event_key
local event_meta = { __host = "PeerLookupEvent", __name = "PeerLookupEvent", __metatable = false }

function event_meta.__index(event, name)
    if name == "client" then
        local number = event[event_meta]
        return number and asker(number) or nil
    elseif name == "initiatorApplication" then
        -- A client of another application is named when the event is made.
        return event[event_meta] and application.name or nil
    elseif name == "targetPeerId" then
        return event.targetPeerID
    elseif name == "interfaceId" then
        return event.interfaceID
    end
end

function event_meta.__tostring() return "PeerLookupEvent" end

function native.call_on_peer_lookup(number, target, initiator, tag, interface, asked_by, from)
    local handler = application.onPeerLookup
    if type(handler) ~= "function" then return true end
    handler(setmetatable({
        [event_key] = number,
        [event_meta] = asked_by or false,
        targetPeerID = target,
        initiatorAddress = initiator,
        initiatorApplication = from,
        tag = tag,
        interfaceID = interface,
    }, event_meta))
end

-- `application:f(x)` is taken as `application.f(x)`, which it is meant to be.
for name, f in next, native.application do
    application[name] = function(first, ...)
        if first == application then return f(...) end
        return f(first, ...)
    end
end

-- The same, for the one that is called most.
local send_peer_redirect = native.application.sendPeerRedirect
function application.sendPeerRedirect(addresses, event, last)
    if addresses == application then addresses, event = event, last end
    return send_peer_redirect(addresses, event)
end

for name, f in next, native.methods do methods[name] = f end
local introduce = native.methods.introducePeer
function methods.introducePeer(client, initiator, tag)
    local record = type(client) == "table" and client[key]
    return introduce(record and record[1] or nil, initiator, tag)
end
function methods:callAndWait(method, ...) return wait(native.call_and_wait(self, method, ...)) end
function methods:getStats() return wait(native.stats(self)) end

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
