describe("distributed introductions", function()
    local SECRET = "0123456789abcdef"
    local ADDRESS = {
        a = "198.51.100.1:1936", b = "203.0.113.2:1936", c = "203.0.113.3:1936",
        d = "203.0.113.4:1936", e = "203.0.113.5:1936",
    }
    local GROUP = ("12"):rep(32)
    local servers

    -- Servers of which a and b are bootstrap nodes.
    local function go(name, change)
        local config = {
            secret = SECRET, endpointName = name, bind = ADDRESS[name],
            bootstrap = { { name = "a", address = ADDRESS.a }, { name = "b", address = ADDRESS.b } },
        }
        for key, value in pairs(change or {}) do config[key] = value end
        servers[name] = start { server = name, config = config }
        return servers[name]
    end
    -- A client that has the server's address in its own subnet.
    local count = 0
    local function client(server, options)
        count = count + 1
        options = options or {}
        options.farID = options.farID or string.format("%02x", count % 256) .. string.format("%062x", count)
        options.potentialNearAddresses = { "192.0.2." .. string.byte(server.server) .. ":1935" }
        return server:connect(options)
    end
    local function near(server) return "192.0.2." .. string.byte(server.server) .. ":1935" end
    local function find(server, id) return server:lookup { target = id, from = client(server) } end
    local function is_found(server, target, at)
        local lookup = find(server, target.farID)
        assert.equal("redirected", lookup.outcome)
        assert.equal("relay", lookup.addresses.origins[near(at)])
        assert.equal("observed", lookup.addresses.origins[target.farAddress])
        return lookup.addresses
    end
    local function is_unknown(server, target) assert.is_nil(find(server, target.farID).outcome) end
    local function said(server, text)
        for _, line in ipairs(server.traces) do
            if line:find(text, 1, true) then return true end
        end
        return false
    end

    before_each(function() servers = {} end)
    after_each(function()
        for _, server in pairs(servers) do assert.same({}, server.failures) end
    end)

    it("are those of one server without a secret", function()
        local app = start()
        servers[""] = app
        local ann, bob = app:connect(), app:connect()
        local lookup = app:lookup { target = bob, from = ann }
        assert.equal("redirected", lookup.outcome)
        assert.equal("relay", lookup.addresses.origins["198.51.100.1:1935"])
        assert.equal(1, #bob.introductions)
        bob:disconnect()
        assert.is_nil(app:lookup({ target = bob, from = ann }).outcome)
        assert.is_true(said(app, "neither a groupspec nor a secret"))
    end)

    it("keep a peer that came back before its old session ended", function()
        local a, b = go("a"), go("b")
        local ann = client(a)
        local again = client(a, { farID = ann.farID, farAddress = "192.0.2.77:7" })
        ann:disconnect()
        a:advance(1000)
        again:move("192.0.2.99:9")
        a:advance(1000)
        assert.equal("observed", find(b, ann.farID).addresses.origins["192.0.2.99:9"])
    end)

    it("find each other on the local network without any address", function()
        -- They know no bootstrap nodes.
        local function alone(name, lan, secret)
            servers[name] = start {
                server = name,
                config = { secret = secret or SECRET, endpointName = name, bind = ADDRESS[name], lan = lan },
            }
            return servers[name]
        end
        local a, b = alone("a", "224.0.0.254:30000"), alone("b", { "[ff02::fe]:30000", "224.0.0.254:30000" })
        local c, d = alone("c"), alone("d", "224.0.0.254:30000", "another secret of theirs")
        a:advance(2000)
        local ann = client(a)
        a:advance(1000)
        is_found(b, ann, a)
        is_unknown(c, ann)
        is_unknown(d, ann)
    end)

    it("say what is wrong with the address of the local network", function()
        for number, lan in ipairs { "192.0.2.1:30000", "224.0.0.254", "x" } do
            local app = start { server = "wrong" .. number, config = { secret = SECRET, lan = lan } }
            assert.is_truthy(app.failures[1].failure:find("multicast address with a port", 1, true))
        end
    end)

    it("lead to the clients of other servers", function()
        local a, b, c = go("a"), go("b"), go("c")
        a:advance(2000)
        local ann, bob = client(a), client(b)
        is_unknown(c, ann)
        a:advance(1000)
        for _, at in pairs(servers) do
            if at ~= a then is_found(at, ann, a) end
            if at ~= b then is_found(at, bob, b) end
        end
        -- Changes of addresses follow.
        ann:move("192.0.2.200:2000")
        ann:report { "10.0.0.7:7000" }
        a:advance(1000)
        local addresses = is_found(c, ann, a)
        assert.same({ "10.0.0.7:7000", "192.0.2.200:2000", near(a) }, { table.unpack(addresses) })
        ann:disconnect()
        a:advance(1000)
        is_unknown(b, ann)
        is_found(c, bob, b)
    end)

    it("are learned by a server that comes late, also of hundreds of clients", function()
        local a, b = go("a"), go("b")
        local all = {}
        for number = 1, 700 do
            all[number] = client(number % 2 == 0 and a or b)
        end
        a:advance(20000)
        local c = go("c")
        a:advance(6000)
        for number, each in ipairs(all) do is_found(c, each, number % 2 == 0 and a or b) end
    end)

    it("mend what was lost while a server was cut off for a moment", function()
        local a, b, c = go("a"), go("b"), go("c")
        local old = client(a)
        a:advance(3000)
        partition { c }
        old:disconnect()
        local new = client(a)
        a:advance(5000)
        is_found(c, old, a)
        is_unknown(c, new)
        heal()
        a:advance(10000)
        is_found(c, new, a)
        is_unknown(c, old)
    end)

    it("end with their server, and begin anew when it is back", function()
        local a, b, c = go("a"), go("b"), go("c")
        local ann, cid = client(a), client(c)
        a:advance(3000)
        is_found(b, ann, a)
        a:crash()
        servers.a = nil
        b:advance(22000)
        is_unknown(b, ann)
        is_unknown(c, ann)
        is_found(b, cid, c)
        assert.is_true(said(b, "server a is not heard any more"))
        assert.is_false(said(c, "ALARM"))
        c:advance(15000)
        assert.is_true(said(c, "ALARM: nothing is heard of the bootstrap node a"))
        -- The second bootstrap node goes too; c and d do without.
        local d = go("d")
        c:advance(10000)
        b:crash()
        servers.b = nil
        c:advance(60000)
        local dan = client(d)
        c:advance(3000)
        is_found(c, dan, d)
        is_found(d, cid, c)
        assert.is_true(said(d, "ALARM: nothing is heard of the bootstrap node b"))
        -- The first is back under a new peer ID.
        a = go("a")
        local eve = client(a)
        c:advance(20000)
        is_found(c, eve, a)
        is_found(a, dan, d)
        assert.is_true(said(c, "the bootstrap node a is heard again"))
        -- A server that is known to nobody joins by it.
        local e = go("e")
        c:advance(20000)
        is_found(e, cid, c)
    end)

    it("end when a server is stopped, and go on when a script is loaded again", function()
        local a, b = go("a"), go("b")
        local ann, bob = client(a), client(b)
        a:advance(3000)
        b:reload()
        a:advance(15000)
        is_found(b, ann, a)
        is_found(a, bob, b)
        b:stop()
        a:advance(15000)
        is_unknown(a, bob)
    end)

    it("do not lead to servers with another secret", function()
        local a, b = go("a"), go("b", { secret = "another secret of theirs" })
        local ann = client(a)
        a:advance(60000)
        is_unknown(b, ann)
        assert.is_true(said(b, "ALARM"))
    end)

    it("are held to the bound of the table", function()
        local a, b = go("a"), go("b", { maxClients = 10 })
        local all = {}
        for number = 1, 30 do all[number] = client(a) end
        a:advance(60000)
        local found = 0
        for _, each in ipairs(all) do
            if find(b, each.farID).outcome then found = found + 1 end
        end
        assert.equal(10, found)
    end)

    it("name the members of a group to each other, whatever server they are clients of", function()
        local all = { go("a"), go("b"), go("c") }
        all[1]:advance(3000)
        local links, members = {}, {}
        local function link(member)
            for _, other in ipairs(member.hints) do
                links[member.farID], links[other] = links[member.farID] or {}, links[other] or {}
                links[member.farID][other], links[other][member.farID] = true, true
            end
        end
        for number = 1, 30 do
            members[number] = client(all[number % 3 + 1])
            members[number].membership = members[number]:join(GROUP)
            all[1]:advance(500)
        end
        for _, member in ipairs(members) do link(member) end
        -- Everyone reaches everyone, and the next on the ring is known to each.
        local reached, queue = { [members[1].farID] = true }, { members[1].farID }
        while queue[1] do
            local id = table.remove(queue)
            for other in pairs(links[id]) do
                if not reached[other] then
                    reached[other] = true
                    table.insert(queue, other)
                end
            end
        end
        local ring = {}
        for number, member in ipairs(members) do
            assert.is_true(reached[member.farID])
            ring[number] = { id = member.farID, place = NetGroup.convertPeerIDToGroupAddress(member.farID) }
        end
        table.sort(ring, function(x, y) return x.place < y.place end)
        for number, member in ipairs(ring) do
            assert.is_true(links[member.id][ring[number % #ring + 1].id] or false)
        end
        -- Those that have left, and those of a dead server, are named no more.
        members[1]:leave(members[1].membership, GROUP)
        all[3]:crash()
        servers.c = nil
        all[1]:advance(25000)
        local late = client(all[1])
        late:join(GROUP)
        assert.is_true(#late.hints >= 2)
        for _, id in ipairs(late.hints) do
            assert.not_equal(members[1].farID, id)
            for number = 2, 30, 3 do assert.not_equal(members[number].farID, id) end
        end
    end)

    it("close the ring when two members join at the same time", function()
        local a, b = go("a"), go("b")
        a:advance(3000)
        local ann, bob = client(a), client(b)
        ann:join(GROUP)
        bob:join(GROUP)
        assert.same({ 0, 0 }, { #ann.hints, #bob.hints })
        a:advance(1000)
        assert.same({ { bob.farID }, { ann.farID } }, { ann.hints, bob.hints })
    end)

    it("say what is wrong with the configuration", function()
        local a = go("a", { beat = "soon" })
        assert.is_truthy(a.failures[1].failure:find("beat in the configuration", 1, true))
        local b = go("b", { bootstrap = { { name = "x" } } })
        assert.is_truthy(b.failures[1].failure:find("a name and an address", 1, true))
        servers = {}
        local c = start { server = "c", config = { groupspec = GroupSpecifier("x"):toString(), bind = ADDRESS.c, endpointName = "c" } }
        local d = start { server = "d", config = { groupspec = GroupSpecifier("x"):toString(), bind = ADDRESS.c } }
        c:advance(3000)
        assert.is_true(said(d, "in use"))
        -- It is tried again.
        c:stop()
        c:advance(6000)
        assert.same({}, d.failures)
    end)

    it("survive what makes no sense", function()
        local a, b = go("a"), go("b")
        local ann = client(a)
        a:advance(1000)
        -- A server that knows the secret, and lies.
        local liar = start {
            server = "liar", folder = "liar",
            config = { secret = SECRET, bootstrap = { { name = "a", address = ADDRESS.a } } },
        }
        servers.liar = liar
        a:advance(1000)
        local console = liar:connect()
        local id = console:call("whoami")
        local number = 0
        local function post(message)
            number = number + 1
            message.number = message.number or number
            message.from = message.from or id
            console:call("post", message)
            a:advance(300)
            for _, server in pairs(servers) do assert.same({}, server.failures) end
        end
        local peer, many = ("ab"):rep(32), {}
        for index = 1, 100 do many[index] = "192.0.2.1:1" end
        local entry = { far = "192.0.2.7:7" }
        local at = 0xab % 64 + 1
        console:call("post", "text")
        for _, kind in ipairs { "beat", "change", "bucket", "want", "bye", "nothing", "__index", 5, true } do
            for _, content in ipairs { "x", 5, {}, { {} }, { 1, "x" }, { number = -1 }, { number = 1.5, part = 0, parts = 1 / 0 } } do
                post { kind = kind, updates = content, versions = content, counts = content, bucket = content,
                    buckets = content, near = content, name = content, to = content }
                post { kind = kind, updates = content, versions = content, counts = content, bucket = content,
                    buckets = content, near = content, name = content }
            end
            post { kind = kind, from = "x" }
            post { kind = kind }
        end
        for _, bad in ipairs {
            { ["x"] = entry }, { [peer] = 5 }, { [peer] = { far = 5 } }, { [peer] = { far = ("x"):rep(100) } }, { [5] = entry },
            { [("AB"):rep(32)] = entry }, { [("01"):rep(32)] = entry },
        } do
            post { kind = "beat" }
            post { kind = "change", updates = { { number = at, before = 0, version = 1, entries = bad } } }
            post { kind = "bucket", bucket = { number = at, version = 1, part = 1, parts = 1, entries = bad } }
            is_unknown(b, { farID = peer })
            post { kind = "bye" }
        end
        -- What is right in what it says is taken, as far as it is not too much.
        post { kind = "beat", near = many }
        post { kind = "bucket", bucket = { number = at, version = 1, part = 1, parts = 1, entries = {
            [peer] = { far = "192.0.2.7:7", reported = many, groups = many },
        } } }
        local found = find(b, peer)
        assert.equal("redirected", found.outcome)
        is_found(b, ann, a)
        -- It says that another has gone: that one is learned again.
        post { kind = "bye" }
        is_unknown(b, { farID = peer })
    end)
end)
