describe("hello", function()
    it("knows its clients by their names", function()
        local app = start()
        local ann = app:connect { arguments = { "Ann" } }
        app:connect()
        local names = ann:call("who")
        table.sort(names)
        assert.same({ "Ann", "somebody" }, names)
    end)

    it("rejects a name that is none", function()
        local app = start()
        for _, name in ipairs { ("x"):rep(41), 7 } do
            local client = app:connect { arguments = { name } }
            assert.is_false(client.accepted)
            client:disconnect()
        end
        assert.same({}, app.failures)
    end)

    it("tells of those who come and go", function()
        local app = start()
        local ann, bob = app:connect { arguments = { "Ann" } }, app:connect()
        ann:disconnect()
        assert.equal("Ann is gone", app.traces[#app.traces])
        -- When the script is loaded again, it does not know the names of those who are here.
        app:reload()
        bob:disconnect()
        assert.same({}, app.failures)
    end)
end)
