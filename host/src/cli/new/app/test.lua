describe("{{name}}", function()
    it("rejects a name that is none", function()
        local app = start()
        for _, name in ipairs { "", ("x"):rep(41), 7 } do
            local client = app:connect { arguments = { name } }
            assert.is_false(client.accepted)
            client:disconnect()
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
        bob:report { "10.0.0.2:1000" }
        local lookup = app:lookup { target = bob, from = ann }
        assert.equal("redirected", lookup.outcome)
        assert.same({ bob.farAddress, "10.0.0.2:1000" }, { table.unpack(lookup.addresses) })
        assert.equal(1, #bob.introductions)
        assert.equal("denied", app:lookup({ target = bob, address = "192.0.2.1:5" }).outcome)
        assert.same({}, app.failures)
    end)
end)
