local config = { service = "https://accounts.example.com/login", key = "sesame" }

-- A service that knows one account.
local function service(request)
    assert.equal("POST", request.method)
    assert.equal(config.service, request.url)
    assert.equal("Bearer sesame", request.headers.authorization)
    if not request.body:find('"token":"right"', 1, true) then return { status = 401 } end
    return { json = { name = "Ann", rooms = Array { "lobby" } } }
end

local function login(app, ...) return app:connect { arguments = { ... } } end

describe("login by a web service", function()
    it("accepts those whom the service knows, and keeps what it says of them", function()
        local app = start { config = config, http = service }
        local ann = login(app, "ann", "right")
        assert.is_true(ann.accepted)
        assert.same({ name = "Ann", rooms = { "lobby" } }, ann:call("whoAmI"))
        assert.same({}, app.failures)
    end)

    it("rejects everyone if no service or no key is configured", function()
        for _, config in ipairs {
            {}, { service = config.service }, { service = config.service, key = "" }, { service = "", key = "sesame" },
        } do
            local app = start { config = config, http = function() error("nobody is asked") end }
            assert.equal("error", app.logs[1].level)
            assert.equal("unavailable", login(app, "ann", "right").rejected.application.reason)
            assert.same({}, app.failures)
        end
    end)

    it("rejects all others, and says why", function()
        local app = start { config = config, http = service }
        assert.equal("denied", login(app, "ann", "wrong").rejected.application.reason)
        assert.equal("arguments", login(app, "ann").rejected.application.reason)
        assert.equal("arguments", login(app, { "ann" }, 1).rejected.application.reason)
    end)

    it("rejects everyone while the service is not to be reached, or answers what is not understood", function()
        for _, answer in ipairs {
            { problem = "connection refused" },
            { status = 500, body = "oops" },
            { status = 200, body = "<html>" },
            { json = { name = 12 } },
            { json = "ann" },
        } do
            local app = start { config = config, http = function() return answer end }
            assert.equal("unavailable", login(app, "ann", "right").rejected.application.reason)
            assert.equal(1, #app.traces)
            assert.same({}, app.failures)
        end
    end)

    it("waits for a slow service while others are served, and not for ever", function()
        local after = 1000
        local app = start { config = config, http = function() return { json = { name = "Ann" }, after = after } end }
        local ann = login(app, "ann", "right")
        assert.equal("arguments", login(app).rejected.application.reason)
        app:advance(999)
        assert.is_false(ann.accepted)
        app:advance(1)
        assert.is_true(ann.accepted)
        after = 60000
        local bob = login(app, "bob", "right")
        app:advance(1500)
        assert.equal("unavailable", bob.rejected.application.reason)
    end)
end)
