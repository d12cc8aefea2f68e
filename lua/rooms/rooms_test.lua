describe("rooms", function()
    local app, ann, bob, eve
    before_each(function()
        app = start()
        ann, bob, eve = app:connect(), app:connect(), app:connect()
    end)
    after_each(function() assert.same({}, app.failures) end)

    -- What a client was told, in one text, and forgets.
    local function told(client)
        local texts = {}
        for index, call in ipairs(client.calls) do
            local who = call.arguments[1] == ann.farID and "ann" or call.arguments[1] == bob.farID and "bob" or "?"
            texts[index] = table.concat({ call.method, who, call.arguments[2] }, " ")
        end
        client.calls = {}
        return table.concat(texts, ", ")
    end

    it("have members who hear each other and nobody else", function()
        assert.same({}, { table.unpack(ann:call("room.enter", "lobby")) })
        assert.same({ ann.farID }, { table.unpack(bob:call("room.enter", "lobby")) })
        eve:call("room.enter", "other")
        assert.is_true(ann:call("room.say", "hello"))
        assert.same({ "entered bob, said ann hello", "said ann hello", "" }, { told(ann), told(bob), told(eve) })
    end)

    it("are left for another room, on request, and at the end", function()
        for _, leave in ipairs {
            function() bob:call("room.enter", "other") end,
            function() bob:call("room.leave") end,
            function() bob:disconnect() end,
        } do
            ann:call("room.enter", "lobby")
            bob:call("room.enter", "lobby")
            told(ann)
            leave()
            assert.equal("left bob", told(ann))
            ann:call("room.leave")
        end
    end)

    it("take no nonsense", function()
        assert.is_false(ann:call("room.say", "to nobody"))
        ann:call("room.enter", "lobby")
        told(ann)
        for _, text in ipairs { 5, ("x"):rep(1025), {} } do assert.is_false(ann:call("room.say", text)) end
        assert.equal("", told(ann))
        for _, name in ipairs { 5, ("x"):rep(65), {} } do
            assert.is_false(ann:call("room.enter", name))
        end
        -- The client is still in its room.
        assert.is_true(ann:call("room.say", "hello"))
        assert.equal("said ann hello", told(ann))
    end)
end)
