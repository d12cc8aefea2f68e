-- Replaces those of Lua's own functions of which one call could take for ever, or would call the script back from C. A handler whose
-- time is over yields where it stands (limits.rs), which is impossible where C has called it. Therefore functions and metamethods of a
-- script are called from here.
local native = ...

local error, getmetatable, next, rawequal, rawget, rawlen, select, setmetatable, tonumber, tostring, type =
    error, getmetatable, next, rawequal, rawget, rawlen, select, setmetatable, tonumber, tostring, type
-- The local names are those of Lua's functions: an error names a function as it was called here.
local math_type, tointeger = math.type, math.tointeger
local concat, insert, move, remove, unpack = table.concat, table.insert, table.move, table.remove, table.unpack
local format, gmatch, rep = string.format, string.gmatch, string.rep
local metafield = native.metafield

-- The host's own parts use Lua's functions, not the ones that scripts find in their place.
native.plain = { setmetatable = setmetatable, unpack = unpack }

-- Bounds ----------------------------------------------------------------------------------------------------------------

-- One call of some functions takes long if its arguments are large, and no limit could end it.
local LONG = 1 << 12
local MAX_LENGTH = 1 << 22

local function within(from, to, name)
    if to >= from and (to - from < 0 or to - from >= MAX_LENGTH) then
        error("too many elements for " .. name, 3)
    end
end

-- Errors as Lua's own functions raise them.
local function wrong(position, name, problem)
    error("bad argument #" .. position .. " to '" .. name .. "' (" .. problem .. ")", 3)
end

local function whole(value, default, position, name)
    if value == nil and default then return default end
    local number = tointeger(value)
    if number == nil then
        error("bad argument #" .. position .. " to '" .. name .. "' (a whole number expected, got " .. type(value) .. ")", 3)
    end
    return number
end

-- Texts and numbers -------------------------------------------------------------------------------------------------------

local function text_of(value)
    local own = type(value) == "table" and metafield(value, "__tostring")
    if not own then return tostring(value) end
    local text = own(value)
    if type(text) == "number" then return tostring(text) end
    if type(text) ~= "string" then error("'__tostring' must return a string", 3) end
    return text
end

_G.tostring = function(...)
    if select("#", ...) == 0 then wrong(1, "tostring", "value expected") end
    -- No tail call, so that an error names the caller's line.
    return (text_of((...)))
end

-- Which values belong to `%s` is found out only if one of them has a `__tostring`.
function string.format(text, ...)
    local count = select("#", ...)
    if count == 0 then return format(text) end
    local values, is_own = { ... }, false
    for i = 1, count do
        is_own = is_own or type(values[i]) == "table" and metafield(values[i], "__tostring") ~= nil
    end
    if not is_own then return format(text, ...) end
    local at = 0
    for kind in gmatch(text, "%%[-+#0-9. ]*(.)") do
        if kind ~= "%" then at = at + 1 end
        if kind == "s" and type(values[at]) == "table" then values[at] = text_of(values[at]) end
    end
    return format(text, unpack(values, 1, count))
end

function string.rep(text, count, separator)
    -- To repeat an empty text a thousand million times gives an empty text, but would take long.
    if text == "" and (separator == nil or separator == "") then return "" end
    return rep(text, count, separator)
end

-- Lua's own functions compare values of any kind.
function math.max(...)
    local best, second = ...
    local count = select("#", ...)
    if count == 0 then wrong(1, "max", "value expected") end
    if count == 2 then return best < second and second or best end
    local values = { ... }
    for i = 2, count do
        if best < values[i] then best = values[i] end
    end
    return best
end

function math.min(...)
    local best, second = ...
    local count = select("#", ...)
    if count == 0 then wrong(1, "min", "value expected") end
    if count == 2 then return second < best and second or best end
    local values = { ... }
    for i = 2, count do
        if values[i] < best then best = values[i] end
    end
    return best
end

-- Arithmetic with texts that stand for numbers.
local operators = {
    __add = function(a, b) return a + b end,
    __sub = function(a, b) return a - b end,
    __mul = function(a, b) return a * b end,
    __div = function(a, b) return a / b end,
    __mod = function(a, b) return a % b end,
    __pow = function(a, b) return a ^ b end,
    __idiv = function(a, b) return a // b end,
    __unm = function(a) return -a end,
}

local function number_of(value)
    if type(value) == "number" then return value end
    -- No number is so long, and to search many blanks for one would take long.
    return type(value) == "string" and #value <= LONG and tonumber(value) or nil
end

local texts = getmetatable("")
-- C asks the metatable of strings for `__tostring` and more: scripts get a copy of it.
texts.__metatable = { __index = string }
for name, work in next, operators do
    texts[name] = function(a, b)
        local left, right = number_of(a), number_of(b)
        if left and right then return work(left, right) end
        local own = type(b) == "table" and metafield(b, name)
        if own then return own(a, b) end
        local culprit = type(b) ~= "string" and not right and b or a
        error("attempt to perform arithmetic on a " .. type(culprit) .. " value", 2)
    end
end

-- Tables ------------------------------------------------------------------------------------------------------------------

local function check_list(list, position, name)
    if type(list) ~= "table" then
        error("bad argument #" .. position .. " to '" .. name .. "' (table expected, got " .. type(list) .. ")", 3)
    end
    if rawlen(list) > MAX_LENGTH then error("this table cannot be given to table." .. name, 3) end
end

-- Whether C calls no metamethod of the script when it works on a table.
local function is_plain(list)
    return getmetatable(list) == nil or native.has_no_access_methods(list)
end

-- A part of a list, without the list's metamethods.
local function copied(list, from, to)
    local copy = {}
    for i = from, to do copy[i - from + 1] = list[i] end
    return copy
end

function table.concat(list, separator, from, to)
    check_list(list, 1, "concat")
    from = whole(from, 1, 3, "concat")
    local plain = is_plain(list)
    to = whole(to, plain and rawlen(list) or #list, 4, "concat")
    within(from, to, "table.concat")
    if plain then return concat(list, separator, from, to) end
    return concat(copied(list, from, to), separator, 1, to - from + 1)
end

function table.insert(list, ...)
    local count = select("#", ...)
    if count == 1 and type(list) == "table" and getmetatable(list) == nil then
        -- At the end nothing has to be moved.
        return insert(list, ...)
    end
    check_list(list, 1, "insert")
    if is_plain(list) then return insert(list, ...) end
    local last = whole(#list, nil, 1, "insert") + 1
    local position, value = last, (...)
    if count == 2 then
        position, value = ...
        position = whole(position, nil, 2, "insert")
        if position < 1 or position > last then wrong(2, "insert", "position out of bounds") end
    elseif count ~= 1 then
        error("wrong number of arguments to 'insert'", 2)
    end
    for i = last, position + 1, -1 do list[i] = list[i - 1] end
    list[position] = value
end

function table.remove(list, ...)
    check_list(list, 1, "remove")
    if is_plain(list) then return remove(list, ...) end
    local last = whole(#list, nil, 1, "remove")
    local position = whole((...), last, 2, "remove")
    if position ~= last and (position < 1 or position > last + 1) then
        wrong(2, "remove", "position out of bounds")
    end
    local value = list[position]
    for i = position, last - 1 do list[i] = list[i + 1] end
    if position < last then position = last end
    list[position] = nil
    return value
end

function table.move(list, from, to, at, target)
    if target == nil then target = list end
    check_list(list, 1, "move")
    check_list(target, 5, "move")
    from, to, at = whole(from, nil, 2, "move"), whole(to, nil, 3, "move"), whole(at, nil, 4, "move")
    within(from, to, "table.move")
    if is_plain(list) and is_plain(target) then return move(list, from, to, at, target) end
    if to >= from and at > math.maxinteger - (to - from) then wrong(4, "move", "destination wrap around") end
    if at > to or at <= from or not rawequal(list, target) then
        for i = 0, to - from do target[at + i] = list[from + i] end
    else
        for i = to - from, 0, -1 do target[at + i] = list[from + i] end
    end
    return target
end

function table.unpack(list, from, to)
    if from == nil and to == nil and type(list) == "table" and getmetatable(list) == nil then
        local count = #list
        if count == 1 then return list[1] end
        if count <= MAX_LENGTH then return unpack(list) end
    end
    check_list(list, 1, "unpack")
    if is_plain(list) then return unpack(list, from, to) end
    from, to = whole(from, 1, 2, "unpack"), whole(to, #list, 3, "unpack")
    within(from, to, "table.unpack")
    return unpack(copied(list, from, to), 1, to - from + 1)
end

local function less(a, b) return a < b end

-- Sorts by merging: no limit could stop Lua's own sort, neither in a comparison of the script nor between its own.
function table.sort(list, before)
    check_list(list, 1, "sort")
    if before ~= nil and type(before) ~= "function" then
        wrong(2, "sort", "function expected, got " .. type(before))
    end
    before = before or less
    local from, to, count, width = list, {}, #list, 1
    within(1, whole(count, nil, 1, "sort"), "table.sort")
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
        from, to, width = to, rawequal(from, list) and {} or from, 2 * width
    end
    if not rawequal(from, list) then
        for k = 1, count do list[k] = from[k] end
    end
end

local function following(list, i)
    i = i + 1
    local value = list[i]
    if value ~= nil then return i, value end
end

_G.ipairs = function(...)
    local list = ...
    if list == nil then wrong(1, "ipairs", "table expected, got " .. (select("#", ...) == 0 and "no value" or "nil")) end
    return following, list, 0
end

-- What scripts do not have ----------------------------------------------------------------------------------------------

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
