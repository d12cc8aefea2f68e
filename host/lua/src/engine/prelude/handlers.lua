-- How handlers, their errors and the script's coroutines run. The parts of the prelude run once in each new VM, one after the other
-- and before the script; `native` holds the functions of the host and of the earlier parts.
local native, WAIT, CLOSE = ...

local error, rawequal, setmetatable, type, xpcall = error, rawequal, setmetatable, type, xpcall
local resume, yield, wrap_error = native.resume, coroutine.yield, native.plain_error
local status = coroutine.status
local create, running, select = coroutine.create, coroutine.running, select
local is_over = native.is_over

-- Handlers ------------------------------------------------------------------------------------------------------------

-- Runs one handler after the other in a coroutine.
local describe = native.describe
local function serve(handler, ...)
    return serve(yield(xpcall(handler, describe, ...)))
end
native.serve = serve

-- A handler that is to end while it waits is unwound by an error that it cannot catch.
local function resumed(first, ...)
    if rawequal(first, CLOSE) then error(CLOSE, 0) end
    return first, ...
end

-- Suspends the handler until the host has the result that belongs to the token.
local function wait(token)
    if native.is_crowded() then error("too many handlers wait: handlers that wait must end before others can", 3) end
    return resumed(yield(WAIT, token))
end
native.wait = wait

-- Errors --------------------------------------------------------------------------------------------------------------

-- A handler whose time is over cannot go on by catching the error that says so.
local function caught(ok, ...)
    if ok then return true, ... end
    if is_over() then native.raise_over() end
    local problem = ...
    if rawequal(problem, CLOSE) then error(CLOSE, 0) end
    if type(problem) == "userdata" then problem = wrap_error(problem) end
    return false, problem
end

-- Errors that lines of the prelude raise name the script's line that called it.
local placed = native.placed

_G.pcall = function(...)
    if select("#", ...) == 0 then error("bad argument #1 to 'pcall' (value expected)", 2) end
    local f = ...
    return caught(xpcall(f, placed, select(2, ...)))
end

-- The error handler runs after the function has been left: where Lua's own xpcall runs it, no limit could stop it.
local function handled(handler, ok, ...)
    if ok then return true, ... end
    return false, handler(...)
end

_G.xpcall = function(f, handler, ...)
    return handled(handler, caught(xpcall(f, placed, ...)))
end

-- The coroutines that the script has made. A handler's own coroutine may not yield: only the host resumes it.
local own = setmetatable({}, { __mode = "k" })

-- The errors of coroutines that an error has ended.
local raised = setmetatable({}, { __mode = "k" })

-- Resumes a coroutine of the script. If it waits, the handler around it waits.
local function passed(co, ok, first, ...)
    if ok and rawequal(first, WAIT) then return passed(co, resume(co, yield(WAIT, ...))) end
    if ok then
        -- A coroutine whose time is over is left where it stands.
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
        if rawequal((...), CLOSE) then return end
        return unwrapped(xpcall(f, placed, ...))
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
    local ok, problem = xpcall(passed, placed, co, resume(co, CLOSE))
    raised[co] = nil
    if is_over() then native.raise_over() end
    if ok or rawequal(problem, CLOSE) then return true end
    return false, problem
end

function coroutine.wrap(f)
    local co = coroutine.create(f)
    return function(...)
        return unwrapped(passed(co, resume(co, ...)))
    end
end
