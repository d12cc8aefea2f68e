describe("hello", function()
    it("knows its clients by their names", function()
        local app = start()
        local ann = app:connect { arguments = { "Ann" } }
        app:connect()
        app:connect { arguments = { 7 } }
        app:connect { arguments = { ("x"):rep(50) } }
        local names = ann:call("who")
        table.sort(names)
        assert.same({ "Ann", "somebody", "somebody", ("x"):rep(40) }, names)
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
