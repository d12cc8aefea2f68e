-- Names of Server-Side ActionScript that this server does not have: to use one is an error that says so.
local native, application = ...

local error, rawset, setmetatable = error, rawset, native.plain.setmetatable

local MISSING = {
    allowDebug = "there are no debug sessions; leave the line out",
    gc = "the server collects garbage by itself; leave the line out",
    registerClass = "classes of ActionScript arrive as tables that keep the name of their class",
    registerProxy = "write a method of Client that calls the other server by a NetConnection",
    clearSharedObjects = "there are no shared objects; keep a table, and send its changes to the clients with broadcastMsg",
    clearStreams = "there are no streams on the server",
}

local function check(name)
    local instead = MISSING[name]
    if instead then error("application." .. name .. " is not on this server: " .. instead .. " (see lua/PORTING.md)", 3) end
end

setmetatable(application, {
    __index = function(_, name) check(name) end,
    __newindex = function(_, name, value)
        check(name)
        rawset(application, name, value)
    end,
})
