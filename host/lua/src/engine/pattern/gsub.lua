-- `string.gsub` with a replacement that may run the script's code: a function, or a table with metamethods. It is called from here and
-- not from Rust, so that it can wait, and can yield when the handler's time is over.
local string, matches = ...
local gsub, sub, concat = string.gsub, string.sub, table.concat
local error, getmetatable, math_type, type = error, getmetatable, math.type, type

local function replaced(replacement, kind, from, to, ...)
    if from == nil then return nil end
    if kind == "function" then return from, to, (replacement(...)) end
    return from, to, replacement[(...)]
end

function string.gsub(subject, pattern, replacement, limit)
    local kind = type(replacement)
    if kind ~= "function" and (kind ~= "table" or getmetatable(replacement) == nil) then
        return gsub(subject, pattern, replacement, limit)
    end
    local next_match = matches(subject, pattern, limit)
    local pieces, size, at, count = {}, 0, 1, 0
    while true do
        local from, to, value = replaced(replacement, kind, next_match())
        if from == nil then break end
        count = count + 1
        if value then
            if type(value) ~= "string" and not math_type(value) then
                error("invalid replacement value (a " .. type(value) .. ")", 2)
            end
            pieces[size + 1], pieces[size + 2] = sub(subject, at, from - 1), value
            size, at = size + 2, to + 1
        end
    end
    pieces[size + 1] = sub(subject, at)
    return concat(pieces), count
end
