-- The words of tests, made of the stage's functions. Runs once for each file of tests.
local native, tests = ...

-- describe, it, before_each, after_each ---------------------------------------------------------------------------------

local forget
local scope = { name = "", before = {}, after = {} }

local function names(inner)
    return scope.name == "" and inner or scope.name .. " " .. inner
end

function _G.describe(name, body)
    local outer = scope
    scope = { name = names(name), before = { table.unpack(outer.before) }, after = { table.unpack(outer.after) } }
    body()
    scope = outer
end

function _G.before_each(step) table.insert(scope.before, step) end

-- The last comes first: each undoes what came before.
function _G.after_each(step) table.insert(scope.after, 1, step) end

function _G.it(name, body)
    local steps = { function() forget() end, table.unpack(scope.before) }
    table.insert(steps, body)
    table.insert(tests, { name = names(name), steps = steps, cleanup = { table.unpack(scope.after) } })
end

-- assert ----------------------------------------------------------------------------------------------------------------

local function show(value, depth)
    depth = depth or 0
    if type(value) == "string" then return string.format("%q", value) end
    if type(value) ~= "table" or depth > 3 then return tostring(value) end
    local parts = {}
    for key, item in pairs(value) do
        if math.type(key) ~= "integer" then key = tostring(key) end
        parts[#parts + 1] = { key = key, text = tostring(key) .. " = " .. show(item, depth + 1) }
    end
    table.sort(parts, function(a, b) return tostring(a.key) < tostring(b.key) end)
    for index, part in ipairs(parts) do parts[index] = part.text end
    return "{ " .. table.concat(parts, ", ") .. " }"
end

local function same(a, b)
    if a == b then return true end
    if type(a) ~= "table" or type(b) ~= "table" then return false end
    for key, value in pairs(a) do
        if not same(value, b[key]) then return false end
    end
    for key in pairs(b) do
        if a[key] == nil then return false end
    end
    return true
end

local function check(ok, message, text)
    if not ok then error(message and (message .. ": " .. text) or text, 3) end
end

local assert = setmetatable({ is = {}, are = {}, has = {} }, {
    __call = function(_, value, message, ...)
        if not value then error(message or "assertion failed", 2) end
        return value, message, ...
    end,
})

function assert.is_true(value, message) check(value == true, message, "expected true, got " .. show(value)) end
function assert.is_false(value, message) check(value == false, message, "expected false, got " .. show(value)) end
function assert.is_nil(value, message) check(value == nil, message, "expected nil, got " .. show(value)) end
function assert.is_not_nil(value, message) check(value ~= nil, message, "expected something, got nil") end
function assert.is_truthy(value, message) check(value, message, "expected a true value, got " .. show(value)) end
function assert.is_falsy(value, message) check(not value, message, "expected a false value, got " .. show(value)) end
function assert.equal(expected, value, message)
    check(expected == value, message, "expected " .. show(expected) .. ", got " .. show(value))
end
function assert.not_equal(other, value, message)
    check(other ~= value, message, "expected something else than " .. show(value))
end
function assert.same(expected, value, message)
    check(same(expected, value), message, "expected " .. show(expected) .. ", got " .. show(value))
end
function assert.has_error(body, expected, message)
    local ok, problem = pcall(body)
    check(not ok, message, "expected an error")
    if expected then
        local found = string.find(tostring(problem), expected, 1, true)
        check(found, message, "expected the error " .. show(expected) .. ", got " .. show(problem))
    end
end
assert.are.equal, assert.are.same, assert.are_equal, assert.are_same = assert.equal, assert.same, assert.equal, assert.same
assert.equals, assert.has.error, assert.error = assert.equal, assert.has_error, assert.has_error
for _, name in ipairs { "true", "false", "nil", "truthy", "falsy" } do assert.is[name] = assert["is_" .. name] end
_G.assert = assert

-- The stage -------------------------------------------------------------------------------------------------------------

-- The applications of the test, by the names of their servers, and whose client is whose.
local apps = {}
-- Nothing is left of earlier tests.
forget = function() apps = {} end
local app_of = setmetatable({}, { __mode = "k" })

-- The test's own function answers the HTTP requests of a script, which may then send others.
local function answer_requests(app)
    local number, request = native.http_asked(app.server)
    while number do
        local answer, problem = app.http(request)
        if type(answer) == "table" and answer.json ~= nil then
            local body = { body = json.encode(answer.json) }
            answer = setmetatable(body, { __index = answer })
        end
        native.http_answer(app.server, number, answer, problem)
        number, request = native.http_asked(app.server)
    end
end

-- Commands of a script are noted with the client that they are for.
local function update(app)
    answer_requests(app)
    for _, command in ipairs(native.take(app.server)) do
        table.insert(app.commands, command)
        local client, lookup = app.clients[command.client], app.lookups[command.lookup]
        local kind = command.kind
        if kind == "accept" then
            client.accepted = true
        elseif kind == "reject" then
            client.rejected = command
        elseif kind == "disconnect" then
            client.disconnected = true
        elseif kind == "call" then
            table.insert(client.calls, command)
        elseif kind == "answer" then
            client.answers[command.transaction] = command
        elseif kind == "publish" then
            client.published[command.publication] = command.allowed
        elseif kind == "hint" then
            table.insert(client.hints, command.peer)
        elseif kind == "introduce" then
            table.insert(client.introductions, command)
        elseif kind == "redirect" then
            lookup.outcome, lookup.addresses = "redirected", command.addresses
        elseif kind == "deny" then
            lookup.outcome, lookup.reason = "denied", command.reason
        elseif kind == "builtin" then
            lookup.outcome = "builtin"
        elseif kind == "relay" then
            lookup.outcome, lookup.limits = "relayed", command.limits
        end
    end
    for _, entry in ipairs(native.journal(app.server)) do
        if entry.trace then
            table.insert(app.traces, entry.trace)
        elseif entry.level then
            table.insert(app.logs, entry)
        elseif entry.warning then
            table.insert(app.warnings, entry.warning)
        else
            table.insert(app.failures, entry)
        end
    end
end

local function update_all()
    for _, app in pairs(apps) do update(app) end
end

local Client = {}
Client.__index = Client

-- Acts on the application of a client.
local function act(client, name, ...)
    local app = app_of[client]
    local result = native[name](app.server, client.number, ...)
    update(app)
    return result
end

function Client:call(method, ...)
    local app = app_of[self]
    app.transactions = app.transactions + 1
    local transaction = app.transactions
    act(self, "call", method, transaction, ...)
    local answer = self.answers[transaction]
    if not answer then return nil, transaction end
    if answer.ok then return answer.value end
    return nil, answer.value
end

-- Answers what the script has called, the oldest first.
function Client:answer(...)
    local call = table.remove(self.calls, 1) or error("the script has called nothing", 2)
    act(self, "answer", call.token, true, ...)
end

function Client:fail(...)
    local call = table.remove(self.calls, 1) or error("the script has called nothing", 2)
    act(self, "answer", call.token, false, ...)
end

function Client:report(addresses) act(self, "report", addresses) end
function Client:move(address) self.farAddress = address act(self, "move", address) end
function Client:join(digest) return act(self, "join", digest) end
function Client:leave(membership, digest) act(self, "leave", membership, digest) end
function Client:disconnect() act(self, "disconnect") end

-- Publishes a stream to the server. Gives back whether it may, or nil if the script has not decided.
function Client:publish(name, kind)
    local publication = { name = name, kind = kind or "live" }
    publication.number = act(self, "publish", name, publication.kind)
    self.publications[name] = publication
    return self.published[publication.number]
end

function Client:unpublish(name)
    local publication = self.publications[name] or error("the client has not published " .. tostring(name), 2)
    self.publications[name] = nil
    act(self, "unpublish", publication.number, name, publication.kind)
end

local App = {}
App.__index = App

function App:connect(options)
    local client = setmetatable(native.connect(self.server, options), Client)
    app_of[client] = self
    client.calls, client.answers, client.hints, client.introductions = {}, {}, {}, {}
    client.published, client.publications = {}, {}
    client.accepted = false
    self.clients[client.number] = client
    update(self)
    return client
end

-- lookup{ target = peer id or client, from = client, address = "ip:port", application = "other/instance", attempt = number of times asked }
function App:lookup(options)
    native.check_options("lookup", options)
    local target = options.target
    if type(target) == "table" then target = target.farID end
    local from = options.from
    local lookup = {}
    local number = native.look_up(self.server, {
        target = target,
        address = options.address or (from and from.farAddress) or "192.0.2.99:9",
        asker = from and from.number,
        application = options.application,
        attempt = options.attempt,
    })
    self.lookups[number] = lookup
    update(self)
    return lookup
end

-- Time passes on all servers. It stands still where the test is to answer an HTTP request.
function App:advance(milliseconds)
    local left = milliseconds
    repeat
        left = native.advance(left)
        update_all()
    until left == 0
end

-- Writes a file that the test has made up; without a text, the file is gone. The script is told if it watches the file.
function App:write(name, text) native.write(self.server, name, text) update(self) end
function App:reload() native.reload(self.server) update(self) end
function App:stop() native.stop(self.server) update(self) end
-- The server dies without closing anything.
function App:crash() update(self) native.crash(self.server) apps[self.server] = nil end

-- start { server = "a" } starts one of several servers; without a name it is the only one.
function _G.start(options)
    local server = options and options.server
    if not server then apps = {} end
    local app = setmetatable({
        server = server or "", clients = {}, lookups = {}, commands = {}, traces = {}, logs = {}, warnings = {}, failures = {}, transactions = 0,
        http = options and options.http,
    }, App)
    native.start(server, options)
    apps[app.server] = app
    update(app)
    return app
end

-- Cuts these applications' servers off from all others, until heal().
function _G.partition(cut)
    local names = {}
    for index, app in ipairs(cut) do names[index] = app.server end
    native.partition(names)
end
_G.heal = native.heal
