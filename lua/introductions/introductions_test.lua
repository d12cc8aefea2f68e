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

    it("leave lookups of unknown peers unanswered", function()
        local lookup = app:lookup { target = ("0"):rep(64), from = app:connect() }
        app:advance(10000)
        assert.is_nil(lookup.outcome)
    end)

    it("are not made with a client that has disconnected", function()
        local ann, bob = app:connect(), app:connect()
        bob:disconnect()
        assert.is_nil(app:lookup({ target = bob, from = ann }).outcome)
        assert.same({}, app.failures)
    end)
end)
