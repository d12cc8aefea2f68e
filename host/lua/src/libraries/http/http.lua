-- The library `http`.
local native = ...

local error, pairs, rawget, select, setmetatable, type = error, pairs, rawget, select, native.plain.setmetatable, type
local lower = string.lower
local wait, send, from_json = native.wait, native.http_send, native.http_json

-- The names of headers are in small letters, and found however they are written.
local headers_meta = {
    __metatable = false,
    __index = function(headers, name)
        if type(name) == "string" then return rawget(headers, lower(name)) end
    end,
}

local methods = {}
local response_meta = { __name = "HTTPResponse", __metatable = false, __index = methods }

-- The value of the body, or nil and the reason.
function methods:json()
    return from_json(self.body)
end

local function request(options)
    local response, problem = wait(send(options))
    if response == nil then return nil, problem end
    setmetatable(response.headers, headers_meta)
    return setmetatable(response, response_meta)
end

-- The options of a function that has its own arguments for some of them.
local function with(name, options, own)
    if options ~= nil and type(options) ~= "table" then
        error("the options of " .. name .. " are a table, not a " .. type(options), 3)
    end
    for key, value in pairs(options or {}) do
        if own[key] ~= nil or key == "method" then
            error(name .. " has no option " .. key .. ": use http.request", 3)
        end
        own[key] = value
    end
    return own
end

_G.http = {
    request = request,
    get = function(url, options)
        local own = with("http.get", options, { url = url })
        own.method = "GET"
        return request(own)
    end,
    post = function(url, body, options)
        local own = with("http.post", options, { url = url, body = body })
        own.method = "POST"
        return request(own)
    end,
}
