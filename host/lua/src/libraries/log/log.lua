-- Lines for the log, made of values of any kind.
local native = ...

local next, select, tostring = next, select, tostring

-- A line is cut off. Values that would stand behind the cut are not made texts.
local MAX_LINE = native.max_line

local function writer(name)
    local is_wanted, write = native["wants_" .. name], native[name]
    return function(...)
        if not is_wanted() then return end
        local texts, count = { ... }, select("#", ...)
        if count > MAX_LINE then count = MAX_LINE end
        for i = 1, count do texts[i] = tostring(texts[i]) end
        write(texts, count)
    end
end

_G.trace = writer("trace")
_G.print = trace

_G.log = {}
for _, level in next, { "debug", "info", "warn", "error" } do log[level] = writer(level) end
