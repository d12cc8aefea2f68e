describe("participants", function()
    local app
    before_each(function() app = start() end)
    after_each(function() assert.same({}, app.failures) end)

    local function join(name, options)
        options = options or {}
        options.arguments = { name }
        return app:connect(options)
    end
    -- The method and the first argument of what a client was told last.
    local function told(client)
        local call = client.calls[#client.calls]
        return call.method, call.arguments[1]
    end

    it("are told to those who come, and those who come to them", function()
        local ann = join("ann")
        local method, list = told(ann)
        assert.equal("participants", method)
        assert.same({}, { table.unpack(list) })
        local bob = join("bob")
        method, list = told(bob)
        assert.equal("participants", method)
        assert.same({ { peerID = ann.farID, name = "ann" } }, { table.unpack(list) })
        assert.same({ { peerID = ann.farID, name = "ann" } }, { table.unpack(bob:call("list")) })
        local joined, who = told(ann)
        assert.same({ "joined", "bob", bob.farID }, { joined, who.name, who.peerID })
    end)

    it("are told who has left", function()
        local ann, bob = join("ann"), join("bob")
        bob:disconnect()
        assert.same({ "left", bob.farID }, { told(ann) })
    end)

    it("do not leave while they are connected a second time", function()
        local ann, bob = join("ann"), join("bob")
        join("bob", { farID = bob.farID, farAddress = "192.0.2.7:7" })
        bob:disconnect()
        assert.equal("joined", (told(ann)))
    end)

    it("have a name", function()
        local ann = join("ann")
        for _, name in ipairs { "", 5, ("x"):rep(65), {} } do
            local client = join(name)
            assert.equal("Pass your name to connect().", client.rejected.description)
            client:disconnect()
        end
        assert.equal("participants", (told(ann)))
    end)

    it("are introduced to each other by the server", function()
        assert.equal("builtin", app:lookup({ target = join("ann"), from = join("bob") }).outcome)
    end)

    it("are asked for their names when the script is loaded again", function()
        local ann, eve = join("ann"), join("eve")
        ann.calls = {}
        app:reload()
        app:advance(1)
        assert.equal("whatIsYourName", (told(ann)))
        ann:answer("ann")
        -- Eve does not answer, and keeps nobody out.
        local bob = join("bob")
        local names = {}
        for _, other in ipairs(select(2, told(bob))) do names[other.peerID] = other.name end
        assert.same({ [ann.farID] = "ann", [eve.farID] = "?" }, names)
    end)
end)
