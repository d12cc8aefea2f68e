describe("a peer of another server", function()
    local A, B = "198.51.100.1:1935", "198.51.100.2:1935"
    local a, b, ann, bob
    before_each(function()
        a = start { server = "a", config = { server = B } }
        b = start { server = "b", config = { server = { A, "198.51.100.3:1935" } } }
        ann = a:connect { farID = ("aa"):rep(32) }
        bob = b:connect { farID = ("bb"):rep(32) }
    end)
    after_each(function() assert.same({ {}, {} }, { a.failures, b.failures }) end)

    it("is looked for there, and introduced there", function()
        local lookup = a:lookup { target = bob, from = ann }
        assert.same({ "redirected", B }, { lookup.outcome, lookup.addresses[1] })
        assert.equal("relay", lookup.addresses.origins[B])
        -- The asker repeats its lookup at the other server, where it is no client.
        assert.equal("builtin", b:lookup({ target = bob, address = ann.farAddress }).outcome)
        -- With several other servers the asker tries all of them.
        assert.equal(2, #b:lookup({ target = ann, from = bob }).addresses)
    end)

    it("is not looked for at all servers in turn", function()
        assert.is_nil(b:lookup({ target = ("cc"):rep(32), address = ann.farAddress }).outcome)
    end)

    it("does not matter for those who are both here", function()
        local eve = a:connect()
        assert.equal("builtin", a:lookup({ target = eve, from = ann }).outcome)
    end)

    it("is unknown without other servers", function()
        local alone = start { server = "c" }
        local cid = alone:connect()
        assert.is_nil(alone:lookup({ target = bob, from = cid }).outcome)
        assert.same({}, alone.failures)
    end)
end)
