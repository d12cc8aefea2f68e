describe("introductions by the shared registry", function()
    local app
    before_each(function() app = start() end)
    after_each(function() assert.same({}, app.failures) end)

    it("introduce the clients of one server", function()
        local ann, bob = app:connect(), app:connect()
        local lookup = app:lookup { target = bob, from = ann }
        assert.equal("redirected", lookup.outcome)
        assert.equal("relay", lookup.addresses.origins["198.51.100.1:1935"])
        assert.equal(1, #bob.introductions)
    end)

    it("leave lookups of a disconnected peer unanswered", function()
        local ann, bob = app:connect(), app:connect()
        bob:disconnect()
        assert.is_nil(app:lookup({ target = bob, from = ann }).outcome)
    end)

    it("keep a peer that came back before its old session ended", function()
        local ann, bob = app:connect(), app:connect()
        local again = app:connect { farID = bob.farID }
        bob:disconnect()
        again:move("192.0.2.9:9")
        local lookup = app:lookup { target = bob.farID, from = ann }
        assert.equal("redirected", lookup.outcome)
        assert.equal("192.0.2.9:9", lookup.addresses[1])
    end)
end)
