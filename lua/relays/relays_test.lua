local NEW_YEAR = 1767225600 -- 2026-01-01T00:00:00Z, in seconds since 1970
local SECRET = "known to the site and to this server"
local RATE = 64000

-- A token as the site would sign it.
local function issue(rate, changes)
    local function part(value) return crypto.encode("base64url", json.encode(value)) end
    local claims = { relayRate = rate, exp = changes and changes.exp or NEW_YEAR + 3600 }
    local head = part { alg = "HS256", typ = "JWT" } .. "." .. part(claims)
    return head .. "." .. crypto.hmac("sha256", changes and changes.secret or SECRET, head, "base64url")
end

local function begin(config) return start { clock = "2026-01-01T00:00:00Z", config = config or { secret = SECRET } } end

describe("relays", function()
    -- What comes of each of the first four attempts.
    local function outcomes(app, from, target, application)
        local list = {}
        for attempt = 1, 4 do
            list[attempt] = app:lookup({ from = from, target = target, application = application, attempt = attempt }).outcome
        end
        return table.concat(list, " ")
    end

    it("are for clients who have paid, once two attempts have failed", function()
        local app = begin()
        local ann, bob, cid = app:connect { arguments = { issue(RATE) } }, app:connect(), app:connect()
        local paid = "redirected redirected relayed relayed"
        assert.equal(paid, outcomes(app, ann, bob))
        assert.equal(paid, outcomes(app, bob, ann))
        assert.equal(paid, outcomes(app, nil, ann, "other/room"))
        assert.equal("redirected redirected redirected redirected", outcomes(app, bob, cid))
        local limits = app:lookup({ from = ann, target = bob, attempt = 3 }).limits
        assert.same({ bytesPerSecond = RATE, lifetime = 1800000 }, limits)
        assert.equal(4, #cid.introductions)
        assert.same({}, app.failures)
    end)

    it("take no token that the site has not signed, and keep nobody out for one", function()
        local app = begin()
        local bob = app:connect()
        for _, token in ipairs {
            issue(RATE, { secret = "another" }), issue(RATE, { exp = NEW_YEAR - 3600 }), issue(0), issue("64000"), issue(nil), "open sesame", 5, {},
        } do
            local ann = app:connect { arguments = { token } }
            assert.is_true(ann.accepted)
            assert.equal("redirected redirected redirected redirected", outcomes(app, ann, bob))
            assert.is_false(ann:call("setRelayToken", token))
        end
        assert.same({}, app.failures)
    end)

    it("leave a client with room for seven addresses some for the relay", function()
        local app = begin()
        local ann, bob = app:connect(), app:connect()
        bob:report { "10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1", "10.0.0.4:1", "10.0.0.5:1", "10.0.0.6:1" }
        assert.equal(5, #app:lookup({ from = ann, target = bob }).addresses)
    end)

    it("can be paid for later", function()
        local app = begin()
        local ann, bob = app:connect(), app:connect()
        assert.is_true(ann:call("setRelayToken", issue(RATE)))
        assert.equal("relayed", app:lookup({ from = ann, target = bob, attempt = 3 }).outcome)
    end)

    it("are made for nobody without a secret, which the log says", function()
        local app = begin {}
        assert.equal("warn", app.logs[1].level)
        local ann, bob = app:connect { arguments = { issue(RATE, { secret = "" }) } }, app:connect()
        assert.equal("redirected", app:lookup({ from = ann, target = bob, attempt = 3 }).outcome)
        assert.same({}, app.failures)
    end)
end)
