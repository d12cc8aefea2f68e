describe("{{name}}", function()
    it("rejects a name that is none", function()
        local app = start()
        for _, name in ipairs { "", ("x"):rep(41), 7 } do
            assert.is_false(app:connect({ arguments = { name } }).accepted)
        end
        assert.same({}, app.failures)
    end)

    it("tells clients of each other", function()
        local app = start()
        local ann, bob = app:connect { arguments = { "Ann" } }, app:connect()
        assert.same({ [bob.farID] = "somebody" }, ann:call("peers"))
        assert.same({ [ann.farID] = "Ann" }, bob:call("peers"))
    end)

    it("introduces its clients to each other and to nobody else", function()
        local app = start()
        local ann, bob = app:connect(), app:connect()
        assert.equal("redirected", app:lookup({ target = bob, from = ann }).outcome)
        assert.equal(1, #bob.introductions)
        assert.equal("denied", app:lookup({ target = bob, address = "192.0.2.1:5" }).outcome)
    end)
end)
