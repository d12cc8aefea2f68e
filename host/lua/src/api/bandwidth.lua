-- client:checkBandwidth() and the limits of a client's bandwidth.
local native, methods = ...

local max, now, pcall, rep, select, type = math.max, now, pcall, string.rep, select, type
local error, setTimeout, tointeger = error, setTimeout, math.tointeger

-- The host's part of a client's object.
local function record(client, method)
    local found = type(client) == "table" and client.__record
    if not found then error(method .. " is a method of a client, called with a colon: client:" .. method .. "(...)", 3) end
    return found
end

-- Limits -----------------------------------------------------------------------------------------------------------------

local function limit(bytes)
    if bytes == nil then return 0 end
    local whole = type(bytes) == "number" and bytes == bytes and tointeger(bytes // 1)
    if not whole or whole < 0 then error("a limit is a number of bytes in a second, 0 or more", 3) end
    return whole
end

function methods.setBandwidthLimit(client, serverToClient, clientToServer)
    local found = record(client, "setBandwidthLimit")
    local down, up = limit(serverToClient), limit(clientToServer)
    -- 0 leaves a limit as it is.
    if down > 0 then found.limit_down = down end
    if up > 0 then found.limit_up = up end
end

function methods.getBandwidthLimit(client, direction)
    local found = record(client, "getBandwidthLimit")
    if direction ~= 0 and direction ~= 1 then
        error("the direction is 0, from the client to the server, or 1, from the server to the client", 2)
    end
    return (direction == 0 and found.limit_up or direction == 1 and found.limit_down) or 0
end

-- Measuring --------------------------------------------------------------------------------------------------------------

-- How many bytes are sent at first, and at most, at a time.
local FIRST, MOST = 16 * 1024, 512 * 1024
-- A measurement that has taken so many milliseconds is good enough.
local ENOUGH = 500
-- How many clients may be measured at a time: what is sent to them waits in memory.
local MAX_CHECKS = 16
local checks = 0

-- Calls the client's onBWCheck. Gives back how many milliseconds it took to answer, or nil if it did not.
local function ask(client, ...)
    local began = now()
    local ok, _, problem = pcall(client.callAndWait, client, "onBWCheck", ...)
    return ok and problem == nil and now() - began or nil
end

local function measure(client)
    -- What was on its way before may have slowed the first answer.
    local latency = ask(client) and ask(client)
    local size, sent, spent = FIRST, 0, 0
    while latency do
        local took = ask(client, rep("x", size))
        if not took then return end
        -- The answer comes back after the latency, too.
        local passed = max(took - latency, 1)
        sent, spent = sent + size, spent + passed
        if passed >= ENOUGH or size >= MOST then
            -- A bit in a millisecond is a kilobit in a second.
            client:call("onBWDone", nil, size * 8 // passed, sent * 8 // 1000, spent / 1000, latency)
            return
        end
        size = size * 4
    end
end

function methods.checkBandwidth(client)
    local found = record(client, "checkBandwidth")
    if found.is_checked or checks >= MAX_CHECKS then return false end
    found.is_checked, checks = true, checks + 1
    setTimeout(function()
        pcall(measure, client)
        found.is_checked, checks = nil, checks - 1
    end, 0)
    return true
end
