-- The library `file`.
local native = ...

local wait, begin_read = native.wait, native.file_read

-- The file, made into something else by a function of the host that gives nil and the reason for what it cannot read.
local function as(make)
    return function(name)
        local text, problem = wait(begin_read(name))
        if text == nil then return nil, problem end
        return make(text, name)
    end
end

_G.file = {
    read = function(name) return wait(begin_read(name)) end,
    lines = as(native.file_lines),
    json = as(native.file_json),
    xml = as(native.file_xml),
    watch = native.file_watch,
    unwatch = native.file_unwatch,
}
