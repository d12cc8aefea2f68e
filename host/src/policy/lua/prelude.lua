-- What scripts find besides Lua's own: the parts that are best said in Lua, and Lua's own where it needs a bound.
-- Runs once in each new machine, before the script. `native` holds what the host gives.
local native, application, Client, methods, WAIT, CLOSE = ...

local error, getmetatable, next, rawget, rawlen, rawset, setmetatable, type =
    error, getmetatable, next, rawget, rawlen, rawset, setmetatable, type
local pcall, xpcall, math_type = pcall, xpcall, math.type
local resume, yield, wrap_error = coroutine.resume, coroutine.yield, native.plain_error
local status = coroutine.status
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

-- What is to end while it waits is unwound by an error that nothing catches.
local function resumed(first, ...)
    if first == CLOSE then error(CLOSE, 0) end
    return first, ...
end

-- Leaves the handler until the host has what the token stands for.
local function wait(token)
    if native.is_crowded() then error("too many handlers wait", 3) end
    return resumed(yield(WAIT, token))
end

-- Errors --------------------------------------------------------------------------------------------------------------

-- A handler whose time is over cannot go on by catching the error that says so.
local function caught(ok, ...)
    if ok then return true, ... end
    if is_over() then native.raise_over() end
    local problem = ...
    if problem == CLOSE then error(CLOSE, 0) end
    if type(problem) == "userdata" then problem = wrap_error(problem) end
    return false, problem
end

_G.pcall = function(f, ...)
    return caught(pcall(f, ...))
end

-- The handler of the error runs after the function has been left: where Lua's own runs it, no limit could stop it.
local function handled(handler, ok, ...)
    if ok then return true, ... end
    return false, handler(...)
end

_G.xpcall = function(f, handler, ...)
    return handled(handler, caught(pcall(f, ...)))
end

-- Which coroutines are the script's own: a handler's has nobody to yield to.
local own = setmetatable({}, { __mode = "k" })

-- What the coroutines that an error has ended raised.
local raised = setmetatable({}, { __mode = "k" })

-- Coroutines of the script's own: a wait in one of them is a wait of the handler around it.
local function passed(co, ok, first, ...)
    if ok and first == WAIT then return passed(co, resume(co, yield(WAIT, ...))) end
    if ok then
        -- One whose time is over is left where it stands.
        if first == nil and is_over() then native.raise_over() end
        return true, first, ...
    end
    if own[co] and first ~= "cannot resume dead coroutine" then raised[co] = first end
    return caught(false, first)
end

function coroutine.resume(co, ...)
    return passed(co, resume(co, ...))
end

local function unwrapped(ok, ...)
    if ok then return ... end
    error((...), 0)
end

function coroutine.create(f)
    if type(f) ~= "function" then return create(f) end
    -- Inside pcall, so that its variables are closed where the limits hold.
    local co = create(function(...)
        if (...) == CLOSE then return end
        return unwrapped(pcall(f, ...))
    end)
    own[co] = true
    return co
end

function coroutine.yield(...)
    if not own[running()] then error("a handler cannot yield; to wait, use sleep", 2) end
    return resumed(yield(...))
end

-- Closes the variables of a coroutine by an error in it, so that the limits hold.
function coroutine.close(co)
    if is_over() then native.raise_over() end
    local state = status(co)
    if state == "dead" then
        local problem = raised[co]
        raised[co] = nil
        if problem == nil then return true end
        if type(problem) == "userdata" then problem = wrap_error(problem) end
        return false, problem
    end
    if state ~= "suspended" then error("cannot close a " .. state .. " coroutine", 2) end
    local ok, problem = pcall(passed, co, resume(co, CLOSE))
    raised[co] = nil
    if is_over() then native.raise_over() end
    if ok or problem == CLOSE then return true end
    return false, problem
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

-- One call of these takes long if it is given much. A script that calls them often must not get through many before somebody
-- looks at the clock.
local LONG = 1 << 12

local function on_time()
    if is_over() then native.raise_over() end
end

local function is_long(text)
    return type(text) == "string" and #text > LONG
end

local concat, insert, move, remove, sort = table.concat, table.insert, table.move, table.remove, table.sort

function table.concat(list, separator, from, to)
    bounded(list, "table.concat")
    if math_type(from) == "integer" or math_type(to) == "integer" then
        within(from or 1, to or rawlen(list), "table.concat")
    end
    on_time()
    return concat(list, separator, from, to)
end

function table.insert(list, ...)
    -- At the end it takes no time.
    if select("#", ...) ~= 1 then
        bounded(list, "table.insert")
        if type(list) == "table" and rawlen(list) > LONG then on_time() end
    end
    return insert(list, ...)
end

function table.remove(list, ...)
    bounded(list, "table.remove")
    if select("#", ...) ~= 0 and type(list) == "table" and rawlen(list) > LONG then on_time() end
    return remove(list, ...)
end

local function less(a, b) return a < b end

-- Sorted here, by merging: Lua's own could be stopped neither in a comparison of the script's nor between its own.
function table.sort(list, before)
    bounded(list, "table.sort")
    on_time()
    if type(list) ~= "table" or before ~= nil and type(before) ~= "function" then return sort(list, before) end
    before = before or less
    local from, to, count, width = list, {}, #list, 1
    while width < count do
        for left = 1, count, 2 * width do
            local middle, stop = left + width, left + 2 * width
            if middle > count + 1 then middle = count + 1 end
            if stop > count + 1 then stop = count + 1 end
            local i, j = left, middle
            for k = left, stop - 1 do
                if i < middle and (j >= stop or not before(from[j], from[i])) then
                    to[k] = from[i]
                    i = i + 1
                else
                    to[k] = from[j]
                    j = j + 1
                end
            end
        end
        from, to, width = to, from == list and {} or from, 2 * width
    end
    if from ~= list then
        for k = 1, count do list[k] = from[k] end
    end
end

function table.move(list, from, to, at, target)
    if math_type(from) == "integer" and math_type(to) == "integer" then within(from, to, "table.move") end
    on_time()
    return move(list, from, to, at, target)
end

function table.unpack(list, from, to)
    if type(list) == "table" and (from ~= nil or to ~= nil or rawlen(list) > LONG) then on_time() end
    return unpack(list, from, to)
end

local repeated = string.rep
function string.rep(text, count, separator)
    -- Nothing, a thousand million times, is still nothing, but takes its time.
    if text == "" and (separator == nil or separator == "") then return "" end
    on_time()
    return repeated(text, count, separator)
end

for _, name in next, { "upper", "lower", "reverse" } do
    local f = string[name]
    string[name] = function(text)
        if is_long(text) then on_time() end
        return f(text)
    end
end

for library, names in next, { [string] = { "format", "pack", "unpack" }, [utf8] = { "len", "offset", "codepoint" } } do
    for _, name in next, names do
        local f = library[name]
        library[name] = function(...)
            on_time()
            return f(...)
        end
    end
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

-- What a client answered goes to an object's `onResult` or `onStatus`.
function native.call_result(object, name, ...)
    local handler = object[name]
    if type(handler) == "function" then handler(object, ...) end
end

-- Lookups -----------------------------------------------------------------------------------------------------------------

local asker, event_key = native.asker, native.event_key
-- The asker's number stands under this key. Scripts find it in the event, and therefore it must be nothing but a key.
local asker_key = {}
local event_meta = { __host = "PeerLookupEvent", __name = "PeerLookupEvent", __metatable = false }

function event_meta.__index(event, name)
    if name == "client" then
        local number = event[asker_key]
        return number and asker(number) or nil
    elseif name == "initiatorApplication" then
        -- A client of another application is named when the event is made.
        return event[asker_key] and application.name or nil
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
        [asker_key] = asked_by or false,
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
    on_time()
    return native.load(name)()
end

local loaded = {}
function _G.require(name)
    local value = loaded[name]
    if value == nil then
        on_time()
        local chunk, file = native.find(name)
        value = chunk(name, file)
        if value == nil then value = loaded[name] end
        if value == nil then value = true end
        loaded[name] = value
    end
    return value
end
