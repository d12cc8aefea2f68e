local NEW_YEAR = 1767225600 -- 2026-01-01T00:00:00Z, in seconds since 1970
local SECRET = "known to the site and to this server"

-- A URL as the site would sign it.
local function signed(user, expires, instance, secret)
    local signature = crypto.hmac("sha256", secret or SECRET, expires .. "\n" .. (instance or "_definst_") .. "\n" .. user)
    return "rtmfp://host/login-signed-url?user=" .. url.encode(user) .. "&expires=" .. expires .. "&signature=" .. signature
end

describe("a signed URL", function()
    local app
    before_each(function() app = start { clock = "2026-01-01T00:00:00Z", config = { secret = SECRET } } end)

    local function connects(uri) return app:connect({ uri = uri }).accepted end

    it("lets its user in until it expires", function()
        local uri = signed("Änn & Bob", NEW_YEAR + 60)
        local client = app:connect { uri = uri }
        assert.is_true(client.accepted)
        assert.equal("Änn & Bob", client:call("whoAmI"))
        app:advance(59 * 1000)
        assert.is_true(connects(uri))
        app:advance(1000)
        assert.is_false(connects(uri))
        assert.is_true(app.logs[1].text:find("the URL has expired at 2026-01-01 00:01:00 UTC", 1, true) ~= nil)
        assert.same({}, app.failures)
    end)

    it("has the same signature as PHP makes", function()
        -- hash_hmac("sha256", "1767229200\n_definst_\nann", "known to the site and to this server")
        local signature = "5719eb63d0cf91de39c583e20bb96dc6e0e04c9a3c262e67eeaa2d8a75769280"
        assert.is_true(connects("rtmfp://host/a?user=ann&expires=1767229200&signature=" .. signature))
        assert.is_true(connects("rtmfp://host/a?signature=" .. signature:upper() .. "&expires=1767229200&user=ann"))
    end)

    it("is good for no other user, time or instance, and only with the secret", function()
        local good = signed("ann", NEW_YEAR + 60)
        for _, uri in ipairs {
            good:gsub("user=ann", "user=bob"), good:gsub("expires=%d+", "expires=9999999999"), good:gsub("&signature.*", ""),
            good:gsub("expires=%d+", "expires=1e10"), good:gsub("expires=%d+", "expires=nan"), good:gsub("user=ann&", ""), good .. "0",
            signed("ann", NEW_YEAR + 60, "lobby"), signed("ann", NEW_YEAR + 60, nil, "guessed"), signed("ann", NEW_YEAR - 1),
            "rtmfp://host/login-signed-url", "rtmfp:", "",
        } do
            assert.is_false(connects(uri), uri)
        end
        assert.same({}, app.failures)
    end)

    it("takes the first of two values of a name", function()
        assert.is_true(connects(signed("ann", NEW_YEAR + 60) .. "&user=root"))
    end)

    it("lets nobody in if there is no secret", function()
        for _, config in ipairs { {}, { secret = "" } } do
            app = start { clock = "2026-01-01T00:00:00Z", config = config }
            assert.equal("error", app.logs[1].level)
            assert.is_false(connects(signed("ann", NEW_YEAR + 60, nil, "")))
        end
    end)
end)
