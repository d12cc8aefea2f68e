describe("groups", function()
    local app
    local one, two = ("1"):rep(64), ("2"):rep(64)
    before_each(function() app = start { config = { hints = 3 } } end)
    after_each(function() assert.same({}, app.failures) end)

    it("name an earlier member to a new one", function()
        local ann, bob = app:connect(), app:connect()
        ann:join(one)
        bob:join(one)
        assert.same({}, ann.hints)
        assert.same({ ann.farID }, bob.hints)
    end)

    it("are kept apart", function()
        local ann, bob = app:connect(), app:connect()
        ann:join(one)
        bob:join(two)
        assert.same({}, bob.hints)
    end)

    it("forget members that have left", function()
        local ann, bob, eve = app:connect(), app:connect(), app:connect()
        local membership = ann:join(one)
        bob:join(one)
        ann:leave(membership, one)
        eve:join(one)
        assert.same({ bob.farID }, eve.hints)
    end)

    it("name a few members, each once", function()
        for _ = 1, 50 do app:connect():join(one) end
        local late = app:connect()
        late:join(one)
        assert.is_true(#late.hints >= 1 and #late.hints <= 3)
        local seen = {}
        for _, hint in ipairs(late.hints) do
            assert.is_nil(seen[hint])
            seen[hint] = true
        end
    end)

    it("survive a new version of the script", function()
        local ann, bob = app:connect(), app:connect()
        local membership = ann:join(one)
        app:reload()
        bob:join(one)
        assert.same({ ann.farID }, bob.hints)
        ann:leave(membership, one)
    end)
end)
