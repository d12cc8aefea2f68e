describe("introductions", function()
    local app
    before_each(function() app = start() end)

    it("tell both peers each other's addresses", function()
        local ann, bob = app:connect(), app:connect()
        bob:report { "10.0.0.2:1000" }
        local lookup = app:lookup { target = bob, from = ann }
        assert.equal("redirected", lookup.outcome)
        assert.equal(bob.farAddress, lookup.addresses[1])
        assert.equal("10.0.0.2:1000", lookup.addresses[2])
        assert.equal("observed", lookup.addresses.origins[bob.farAddress])
        assert.equal(ann.farAddress, bob.introductions[1].initiator)
    end)

    it("leave lookups of unknown peers unanswered, and tell of each once", function()
        local ann = app:connect()
        local unknown = ("0"):rep(64)
        app.traces = {}
        for attempt = 1, 3 do
            assert.is_nil(app:lookup({ target = unknown, from = ann, attempt = attempt }).outcome)
            app:advance(10000)
        end
        assert.same({ "not connected: " .. unknown .. " asked for by " .. ann.farID }, app.traces)
        -- An asker that is no client has an address only.
        app:lookup { target = unknown, address = "192.0.2.7:7" }
        assert.is_truthy(app.traces[2]:find("asked for by 192.0.2.7:7", 1, true))
    end)

    it("are not made with a client that has disconnected", function()
        local ann, bob = app:connect(), app:connect()
        bob:disconnect()
        assert.is_nil(app:lookup({ target = bob, from = ann }).outcome)
        assert.same({}, app.failures)
    end)
end)
