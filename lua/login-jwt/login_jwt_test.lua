-- Times are seconds since 1970.
local NEW_YEAR = 1767225600 -- 2026-01-01T00:00:00Z
local SECRET = "known to the site and to this server"

-- A token as the site would issue it.
local function issue(claims, secret, header)
    local function part(value) return crypto.encode("base64url", json.encode(value)) end
    local head = part(header or { alg = "HS256", typ = "JWT" }) .. "." .. part(claims)
    return head .. "." .. crypto.hmac("sha256", secret or SECRET, head, "base64url")
end

local function claims(changes)
    local claims = { sub = "ann", iss = "https://login.example", aud = "chat", exp = NEW_YEAR + 3600, roles = { "user" } }
    for name, value in pairs(changes or {}) do claims[name] = value ~= null and value or nil end
    return claims
end

local function begin(config)
    config = config or { secret = SECRET, issuer = "https://login.example", audience = "chat" }
    return start { clock = "2026-01-01T00:00:00Z", config = config }
end

describe("login by a token", function()
    it("accepts a client with a good token, in connect or in the URL", function()
        local app = begin()
        local ann = app:connect { arguments = { issue(claims()) } }
        assert.is_true(ann.accepted)
        assert.same({ user = "ann", roles = { "user" } }, ann:call("whoAmI"))
        assert.is_true(app:connect({ uri = "rtmfp://host/login-jwt?token=" .. issue(claims()) }).accepted)
        assert.same({}, app.failures)
        assert.same({}, app.logs)
    end)

    it("rejects all others, and tells only the log why", function()
        local app = begin()
        for reason, token in pairs {
            ["the signature of the token is wrong"] = issue(claims(), "another secret"),
            ["not known here, or not signed"] = issue(claims(), SECRET, { alg = "none" }),
            ["the token has expired"] = issue(claims { exp = NEW_YEAR - 3600 }),
            ["the token is not valid yet"] = issue(claims { nbf = NEW_YEAR + 600 }),
            ["the token never expires"] = issue(claims { exp = null }),
            ["the token is of another issuer"] = issue(claims { iss = "https://evil.example" }),
            ["the token is for another audience"] = issue(claims { aud = "files" }),
            ["the token has no claim aud"] = issue(claims { aud = null }),
            ["the token names no user"] = issue(claims { sub = 7 }),
            ["this is not a JSON Web Token"] = "open sesame",
            ["there is no token"] = 42,
        } do
            local client = app:connect { arguments = { token } }
            assert.is_false(client.accepted, reason)
            client:disconnect()
            assert.same({ reason = "login" }, client.rejected.application)
            assert.equal("Please log in.", client.rejected.description)
            local line = table.remove(app.logs)
            assert.is_truthy(line.level == "info" and line.text:find(reason, 1, true), reason .. ": " .. line.text)
        end
        assert.is_false(app:connect().accepted)
        assert.same({}, app.failures)
    end)

    it("ends a connection when its token expires, unless the client renews it", function()
        local app = begin()
        local ann = app:connect { arguments = { issue(claims { exp = NEW_YEAR + 60 }) } }
        local bob = app:connect { arguments = { issue(claims { sub = "bob", exp = NEW_YEAR + 60 }) } }
        app:advance(89 * 1000) -- 30 s more than the token says
        assert.is_false(bob:call("renew", issue(claims { sub = "ann" })))
        assert.is_false(bob:call("renew", "open sesame"))
        assert.is_true(bob:call("renew", issue(claims { sub = "bob", exp = NEW_YEAR + 120 })))
        assert.is_nil(ann.disconnected)
        app:advance(2 * 1000)
        assert.is_true(ann.disconnected)
        assert.is_nil(bob.disconnected)
        app:advance(60 * 1000)
        assert.is_true(bob.disconnected)
    end)

    it("keeps a connection for as long as its token is valid", function()
        local app = begin()
        local ann = app:connect { arguments = { issue(claims { exp = NEW_YEAR + 60 * 86400 }) } }
        app:advance(59 * 86400 * 1000)
        assert.is_nil(ann.disconnected)
        app:advance(2 * 86400 * 1000)
        assert.is_true(ann.disconnected)
    end)

    it("keeps a connection if its token is valid for ever", function()
        for _, exp in ipairs { 1 << 62, math.maxinteger, 92233720368547758, 9223372036854775, 1e18, 1e300 } do
            local app = begin()
            local ann = app:connect { arguments = { issue(claims { exp = exp }) } }
            assert.is_true(ann.accepted, exp)
            assert.is_true(ann:call("renew", issue(claims { exp = exp })), exp)
            app:advance(100 * 86400 * 1000)
            assert.is_nil(ann.disconnected, exp)
            assert.same({}, app.failures)
        end
    end)

    it("lets a user be connected once, if so configured", function()
        local app = begin { secret = SECRET, audience = "chat", onePerUser = "" }
        local first = app:connect { arguments = { issue(claims()) } }
        local second = app:connect { arguments = { issue(claims()) } }
        assert.is_true(first.disconnected)
        assert.is_true(second.accepted and not second.disconnected)
        first:disconnect()
        app:connect { arguments = { issue(claims()) } }
        assert.is_true(second.disconnected)
    end)

    it("gives clients a minute to log in again when the script is loaded again", function()
        local app = begin()
        local ann = app:connect { arguments = { issue(claims()) } }
        local bob = app:connect { arguments = { issue(claims { sub = "bob" }) } }
        app:reload()
        assert.is_nil(ann:call("whoAmI"))
        assert.is_true(ann:call("renew", issue(claims())))
        app:advance(61 * 1000)
        assert.is_nil(ann.disconnected)
        assert.is_true(bob.disconnected)
    end)

    it("takes an empty element for none", function()
        local app = begin { secret = SECRET, issuer = "", audience = "chat", publicKey = "", keys = "" }
        assert.is_true(app:connect({ arguments = { issue(claims { iss = "https://other.example" }) } }).accepted)
        -- A token that names an audience is for nobody else.
        app = begin { secret = SECRET, issuer = "", audience = "" }
        assert.is_false(app:connect({ arguments = { issue(claims()) } }).accepted)
        assert.is_true(app:connect({ arguments = { issue(claims { aud = null }) } }).accepted)
        assert.same({}, app.failures)
    end)

    it("rejects every client if no key is configured", function()
        for _, config in ipairs { {}, { publicKey = "", secret = "", keys = "" } } do
            local app = begin(config)
            assert.equal("error", app.logs[1].level)
            assert.is_false(app:connect({ arguments = { issue(claims(), "") } }).accepted)
            assert.same({}, app.failures)
        end
    end)
end)

-- The public key of an issuer, and a token of it that is valid from 2026-01-01T00:00:00Z for an hour.
local PUBLIC_KEY = [[
          -----BEGIN PUBLIC KEY-----
          MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAybalMutsYqyOvW0rF6ng
          Pa8xkxHsElwjdl2Bt4cKcxf7118qxJgGoQpsrkWMjUEI9itAUnxC8jz1J4TmDM3w
          kZS/Qo12Zmy+wcjYt3+34j9zhZwcusEv+IkMDJ7s6s1ZbSFDvpmnJVPGdr8m1uSc
          P6OkN7YxdbYqgDNpGmdHK99Vzafyb9bc4uFywaOWWTQR/EXjXuIZWL8oO3KeZvPA
          VYshwf/eAIUhldoUu0ozVgn2yGidySKz6b5Nc0mTwhElkHPeJXflfNylYfGYbMuY
          Q4gOU6IJmp/SfVZ5uesX9+enqjo4w1wPOVe8Yy+jxYa1GAYjTXfGIMI3megD7TpR
          9wIDAQAB
          -----END PUBLIC KEY-----
]]
local TOKEN =
    "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6InJzYSJ9.eyJpc3MiOiJodHRwczovL2xvZ2luLmV4YW1wbGUiLCJhdWQiOlsiY2hhd" ..
    "CIsImZpbGVzIl0sInN1YiI6ImFubiIsImV4cCI6MTc2NzIyOTIwMCwibmJmIjoxNzY3MjI1NjAwLCJyb2xlcyI6WyJ1c2VyIl19.V2EHdpImmS" ..
    "0qfno8aBKz7kNHMNvPgUsJtnsdSWF1JTJGNPZrA8tIJc-jCWIuT7QTUm2qAJvKoPi9yYu2AN4sNqAo4X_ZmCShNAE7xZKikfN7bnEZHVS-ZH-X" ..
    "PqshMCi2RHIwAL0wS0HPMLdnZMLgo_DBcRbJG0XzIUYtHLSV38jzEeSFnElUhRZfMhqPotF-4384dICPbN3QIqcEg9ki3iq_Ld5BFftRZUxpk4" ..
    "XIjCODadIrRchH5LnduAptDm4DzfhupAqPkcNtzr2Uq4OSZMNmemi79pXMRUPIIbrxQiZgO4Qvz-x6euxMm300QHHgxTETSzZhUa9mRnlyROT7" ..
    "Aw"

describe("login by a token that a public key verifies", function()
    local app
    before_each(function() app = begin { publicKey = PUBLIC_KEY, issuer = "https://login.example", audience = "chat" } end)

    it("accepts the issuer's token while it is valid", function()
        assert.is_true(app:connect({ arguments = { TOKEN } }).accepted)
        app:advance(2 * 3600 * 1000)
        assert.is_false(app:connect({ arguments = { TOKEN } }).accepted)
    end)

    it("does not take the public key for a secret", function()
        assert.is_false(app:connect({ arguments = { issue(claims(), PUBLIC_KEY) } }).accepted)
        assert.is_true(app.logs[1].text:find("does not allow", 1, true) ~= nil)
    end)
end)

describe("login by a token whose key the issuer publishes", function()
    local KEYS = "https://login.example/keys"
    local MODULUS =
        "ybalMutsYqyOvW0rF6ngPa8xkxHsElwjdl2Bt4cKcxf7118qxJgGoQpsrkWMjUEI9itAUnxC8jz1J4TmDM3wkZS_Qo12Zmy-wcjYt3-34j9zhZ" ..
        "wcusEv-IkMDJ7s6s1ZbSFDvpmnJVPGdr8m1uScP6OkN7YxdbYqgDNpGmdHK99Vzafyb9bc4uFywaOWWTQR_EXjXuIZWL8oO3KeZvPAVYshwf_e" ..
        "AIUhldoUu0ozVgn2yGidySKz6b5Nc0mTwhElkHPeJXflfNylYfGYbMuYQ4gOU6IJmp_SfVZ5uesX9-enqjo4w1wPOVe8Yy-jxYa1GAYjTXfGIM" ..
        "I3megD7TpR9w"
    local served, requests

    local function serve(request)
        assert.equal(KEYS, request.url)
        requests = requests + 1
        return served
    end

    local function begin_with(answer)
        served, requests = answer, 0
        local config = { keys = KEYS, issuer = "https://login.example", audience = "chat" }
        return start { clock = "2026-01-01T00:00:00Z", config = config, http = serve }
    end

    local good = { json = { keys = Array { { kty = "RSA", kid = "rsa", n = MODULUS, e = "AQAB" } } } }
    local other = { json = { keys = Array { { kty = "RSA", kid = "older", n = MODULUS, e = "AQAB" } } } }

    local function connects(app) return app:connect({ arguments = { TOKEN } }).accepted end

    it("asks for the keys once, and each hour", function()
        local app = begin_with(good)
        assert.is_true(connects(app) and connects(app))
        assert.equal(1, requests)
        app:advance(3600 * 1000)
        assert.equal(2, requests)
        assert.same({}, app.failures)
    end)

    -- The issuer's answer comes after so many milliseconds.
    local function late(answer, after) return { json = answer.json, after = after } end

    it("lets those who come before the keys wait for them, and asks once", function()
        local app = begin_with(late(good, 300))
        local ann, bob = app:connect { arguments = { TOKEN } }, app:connect { arguments = { TOKEN } }
        app:advance(200)
        assert.is_false(ann.accepted or bob.accepted)
        assert.same({ nil, nil }, { ann.rejected, bob.rejected })
        app:advance(150)
        assert.is_true(ann.accepted and bob.accepted)
        assert.equal(1, requests)
        assert.same({}, app.failures)
    end)

    it("lets a client that renews its token wait for the keys, too", function()
        local app = begin_with(good)
        local ann = app:connect { arguments = { TOKEN } }
        served = late(good, 300)
        app:reload()
        local _, ann_asks = ann:call("renew", TOKEN)
        app:advance(350)
        assert.is_true(ann.answers[ann_asks].value)
        app:advance(61 * 1000)
        assert.is_nil(ann.disconnected)
        assert.same({ 2, {} }, { requests, app.failures })
    end)

    it("does not let a client wait longer than an issuer may take to answer", function()
        local app = begin_with(late(good, 60 * 1000))
        app:advance(1000)
        local ann = app:connect { arguments = { TOKEN } }
        app:advance(400)
        assert.is_nil(ann.rejected)
        app:advance(200)
        assert.equal("Please log in.", ann.rejected.description)
        -- Those who come later are told at once, and cause no other request, until a minute has passed.
        assert.equal("Please log in.", app:connect({ arguments = { TOKEN } }).rejected.description)
        assert.equal(1, requests)
        served = good
        app:advance(60 * 1000)
        assert.is_true(connects(app))
        assert.same({ 2, {} }, { requests, app.failures })
    end)

    it("asks for no keys on behalf of clients without a token", function()
        local app = begin_with(other)
        app:advance(60 * 1000)
        assert.is_false(app:connect().accepted)
        assert.is_false(app:connect({ arguments = { 7 } }).accepted)
        assert.equal(1, requests)
    end)

    it("asks again when a token is signed by a key that it does not know, but only each minute", function()
        local app = begin_with(other)
        assert.is_false(connects(app))
        served = good
        app:advance(59 * 1000)
        assert.is_false(connects(app))
        assert.equal(1, requests)
        app:advance(1000)
        assert.is_true(connects(app))
        assert.equal(2, requests)
    end)

    it("goes on with the keys that it has while the issuer fails, and accepts nobody without any", function()
        for _, answer in ipairs {
            { problem = "there is no route" }, { status = 500 }, { body = "<html>" }, { json = 7 }, { json = { keys = 7 } },
            { json = { keys = Array { { kty = "RSA" } } } }, { json = { keys = Array {} } }, { json = Array {} },
        } do
            local app = begin_with(answer)
            assert.is_false(connects(app))
            assert.same({}, app.failures)
            served = good
            app:advance(60 * 1000)
            assert.is_true(connects(app))
            served = { status = 503 }
            app:advance(50 * 60 * 1000)
            assert.is_true(connects(app))
        end
    end)
end)
