describe("filter", function()
    it("accepts clients that have the token", function()
        local app = start { config = { token = "open sesame" } }
        assert.is_true(app:connect({ arguments = { "open sesame" } }).accepted)
        for _, arguments in ipairs { {}, { "open" }, { "open sesame!" }, { 42 }, { "" } } do
            local client = app:connect { arguments = arguments }
            assert.is_false(client.accepted)
            assert.equal("token", client.rejected.application.reason)
            client:disconnect()
        end
        assert.same({}, app.failures)
    end)

    it("accepts every client if no token is configured", function()
        assert.is_true(start():connect().accepted)
    end)

    it("accepts nobody if the token is empty or the rate is no number", function()
        for _, config in ipairs { { token = "" }, { rate = "" }, { token = "open sesame", rate = "a few" } } do
            local app = start { config = config }
            assert.equal("error", app.logs[1].level)
            for _, arguments in ipairs { {}, { "" }, { "open sesame" } } do
                local client = app:connect { arguments = arguments }
                assert.is_false(client.accepted)
                assert.equal("configuration", client.rejected.application.reason)
            end
            assert.same({}, app.failures)
        end
    end)

    it("lets a client name no peers that are none", function()
        local app = start()
        local ann, bob = app:connect(), app:connect()
        assert.is_true(bob:call("allow", 7, {}, ann.farID))
        assert.equal("redirected", app:lookup({ target = bob, from = ann }).outcome)
        assert.same({}, app.failures)
    end)

    it("lets a client choose the peers that may find it", function()
        local app = start()
        local ann, bob, eve = app:connect(), app:connect(), app:connect()
        assert.equal("redirected", app:lookup({ target = bob, from = eve }).outcome)
        assert.is_true(bob:call("allow", ann.farID:upper()))
        assert.equal("redirected", app:lookup({ target = bob, from = ann }).outcome)
        assert.equal("denied", app:lookup({ target = bob, from = eve }).outcome)
        assert.equal(2, #bob.introductions)
        bob:call("allow")
        assert.equal("denied", app:lookup({ target = bob, from = ann }).outcome)
    end)

    it("denies askers that are not connected", function()
        local app = start()
        assert.equal("denied", app:lookup({ target = app:connect(), address = "192.0.2.1:5" }).outcome)
    end)

    it("limits the rate of lookups", function()
        local app = start { config = { rate = 2 } }
        local ann, bob = app:connect(), app:connect()
        local function outcome() return app:lookup({ target = bob, from = ann }).outcome end
        assert.same({ "redirected", "redirected", "denied" }, { outcome(), outcome(), outcome() })
        app:advance(29 * 1000)
        assert.equal("denied", outcome())
        app:advance(1000)
        assert.same({ "redirected", "denied" }, { outcome(), outcome() })
        app:advance(10 * 60 * 1000)
        assert.same({ "redirected", "redirected", "denied" }, { outcome(), outcome(), outcome() })
    end)

    it("leaves lookups of unknown peers unanswered", function()
        local app = start()
        assert.is_nil(app:lookup({ target = ("0"):rep(64), from = app:connect() }).outcome)
    end)
end)
