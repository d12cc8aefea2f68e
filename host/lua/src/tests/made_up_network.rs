//! The network of `introd test`: made-up servers that meet in it.

use super::*;

/// A member of a group that tells what it hears, and does what clients say.
const MEMBER: &str = r#"
    local config = application.config
    function application.onAppStart()
        nc = NetConnection()
        nc.rtmfpEndpointName = config.name
        nc.rtmfpBindAddresses = { config.bind }
        function nc:onStatus(info)
            if info.code ~= "NetConnection.Connect.Success" then return trace(info.code, info.description) end
            group = NetGroup(nc, config.spec)
            function group:onStatus(info)
                if info.code == "NetGroup.Posting.Notify" then trace("posting", info.message)
                elseif info.code == "NetGroup.SendTo.Notify" then trace("message", info.message, info.fromLocal, info.from)
                elseif info.code ~= "NetGroup.LocalCoverage.Notify" then trace(info.code, info.name or info.description) end
            end
            if config.neighbor then group:addPermanentNeighborByName(config.neighbor, config.address) end
        end
        nc:connect(config.uri or "rtmfp:")
        if config.beat then setInterval(function() group:post("beat " .. now()) end, 1000) end
    end
    function Client:run(code) return commands[code]() end
    commands = {
        count = function() return group.neighborCount end,
        id = function() return nc.nearID end,
        place = function() return group:convertPeerIDToGroupAddress(nc.nearID) end,
        coverage = function() return group.localCoverageFrom .. group.localCoverageTo end,
        leave = function() group:close() end,
        close = function() nc:close() end,
        forget = function() group:removePermanentNeighborByName(config.neighbor) end,
        again = function() other = NetGroup(nc, config.spec) function other:onStatus(info) trace(info.code) end end,
    }
    function Client:post(text) return group:post(text) end
    function Client:neighbor(id) return group:addNeighbor(id) end
    function Client:send(how, text, to)
        if how == "all" then return group:sendToAllNeighbors(text) end
        if how == "nearest" then return group:sendToNearest(text, to) end
        return group:sendToNeighbor(text, how)
    end
"#;

const TESTS: &str = r#"
    local SPEC, OTHER = GroupSpecifier("one"):toString(), GroupSpecifier("other"):toString()
    local apps, say
    local ADDRESS = { a = "192.0.2.1:1", b = "192.0.2.2:1", c = "192.0.2.3:1", d = "192.0.2.4:1" }

    -- Each knows the one before by name and address.
    local function go(name, neighbor, change)
        local config = {
            name = name, bind = ADDRESS[name], spec = SPEC, neighbor = neighbor, address = neighbor and ADDRESS[neighbor],
        }
        for key, value in pairs(change or {}) do config[key] = value end
        local app = start { server = name, config = config }
        apps[name] = app
        app.console = app:connect()
        return app
    end
    local function run(app, code) return app.console:call("run", code) end
    local function heard(app)
        local all = app.traces
        app.traces = {}
        return all
    end
    local function counts()
        local all = {}
        for name, app in pairs(apps) do all[name] = run(app, "count") end
        return all
    end
    local function three()
        go("a") go("b", "a") go("c", "b")
        apps.a:advance(1000)
        for _, app in pairs(apps) do heard(app) end
    end

    describe("members", function()
        before_each(function() apps = {} end)
        after_each(function() for _, app in pairs(apps) do assert.same({}, app.failures) end end)

        it("meet by endpoint names and addresses, and then all others", function()
            local a, b, c = go("a"), go("b", "a"), go("c", "b")
            a:advance(1000)
            assert.same({ a = 2, b = 2, c = 2 }, counts())
            local joined = "NetGroup.Connect.Success "
            local function is_heard(app, ...)
                local lines = heard(app)
                assert.equal(joined, lines[1])
                table.sort(lines)
                assert.same({ joined, ... }, lines)
            end
            local named, unnamed = "NetGroup.Neighbor.Connect %s", "NetGroup.Neighbor.Connect nil"
            is_heard(a, unnamed, unnamed) is_heard(b, named:format("a"), unnamed) is_heard(c, named:format("b"), unnamed)
        end)

        it("do not meet with another groupspec, another name, or at another address", function()
            go("a") go("b", "a", { spec = OTHER }) go("c", "nobody", { address = ADDRESS.a }) go("d", "a", { address = ADDRESS.b })
            apps.a:advance(60000)
            assert.same({ a = 0, b = 0, c = 0, d = 0 }, counts())
        end)

        it("meet on the local network if their groupspecs ask for it", function()
            local function spec(name, isEnabled, address)
                local made = GroupSpecifier(name)
                made.ipMulticastMemberUpdatesEnabled = isEnabled
                if address then made:addIPMulticastAddress(address) end
                return made:toString()
            end
            local asking = spec("one", true, "224.0.0.254:30000")
            go("a", nil, { spec = asking })
            go("b", nil, { spec = asking })
            -- The same group at another address, another group, one without an address, and two with the flag off.
            go("c", nil, { spec = spec("one", true, "224.0.0.254:30001") })
            go("d", nil, { spec = spec("other", true, "224.0.0.254:30000") })
            go("e", nil, { spec = spec("one", true) })
            go("f", nil, { spec = spec("one", false, "224.0.0.254:30000") })
            go("g", nil, { spec = spec("one", false, "224.0.0.254:30000") })
            apps.a:advance(60000)
            assert.same({ a = 1, b = 1, c = 0, d = 0, e = 0, f = 0, g = 0 }, counts())
            -- They find each other again when the network is whole again.
            partition { apps.a }
            apps.a:advance(60000)
            assert.same({ a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0 }, counts())
            heal()
            apps.a:advance(60000)
            assert.same({ a = 1, b = 1, c = 0, d = 0, e = 0, f = 0, g = 0 }, counts())
        end)

        it("wait for a permanent neighbor that starts late", function()
            go("b", "a")
            apps.b:advance(3600000)
            assert.equal(0, run(apps.b, "count"))
            go("a")
            apps.b:advance(6000)
            assert.same({ a = 1, b = 1 }, counts())
        end)

        it("meet by peer IDs", function()
            go("a") go("b")
            apps.a:advance(100)
            assert.is_true(apps.a.console:call("neighbor", run(apps.b, "id")))
            apps.a:advance(100)
            assert.same({ a = 1, b = 1 }, counts())
        end)

        it("get each posting once, and not their own", function()
            three()
            local id = apps.a.console:call("post", "one")
            assert.equal(64, #id)
            apps.a:advance(1000)
            assert.same({ {}, { "posting one" }, { "posting one" } }, { heard(apps.a), heard(apps.b), heard(apps.c) })
            assert.equal(id, apps.b.console:call("post", "one"))
            apps.a:advance(1000)
            assert.same({ {}, {}, {} }, { heard(apps.a), heard(apps.b), heard(apps.c) })
            local d = go("d", "c")
            d:advance(1000)
            assert.equal(1, #select(1, (function() local found = {} for _, line in ipairs(heard(d)) do
                if line == "posting one" then found[#found + 1] = line end end return found end)()))
        end)

        it("send to neighbors", function()
            three()
            local from = run(apps.a, "place")
            assert.equal("sent", apps.a.console:call("send", "all", "hi"))
            apps.a:advance(100)
            local line = "message hi false " .. from
            assert.same({ {}, { line }, { line } }, { heard(apps.a), heard(apps.b), heard(apps.c) })
            apps.a.console:call("send", "nearest", "near", run(apps.c, "place"))
            apps.a.console:call("send", "nearest", "own", from)
            apps.a:advance(100)
            assert.same({ "message near false " .. from }, heard(apps.c))
            assert.same({ "message own true " .. from }, heard(apps.a))
            -- Of two neighbors, one is next in each direction.
            apps.a.console:call("send", "nextIncreasing", "up")
            apps.a.console:call("send", "nextDecreasing", "down")
            apps.a:advance(100)
            local b, c = heard(apps.b), heard(apps.c)
            assert.equal(2, #b + #c)
            assert.same({ 1, 1 }, { #b, #c })
            assert.not_equal(run(apps.a, "coverage"), run(apps.b, "coverage"))
        end)

        it("are told when one leaves, closes, stops, or is reloaded", function()
            three()
            run(apps.c, "leave")
            apps.a:advance(100)
            assert.same({ a = 1, b = 1, c = 0 }, counts())
            assert.same({ "NetGroup.Neighbor.Disconnect nil" }, heard(apps.a))
            run(apps.b, "close")
            apps.a:advance(100)
            assert.equal(0, run(apps.a, "count"))
            assert.same({ "NetConnection.Connect.Closed the script has closed the connection" },
                { table.unpack(heard(apps.b), 2) })
            go("c", "a") go("d", "a")
            apps.a:advance(1000)
            apps.c:stop()
            apps.a:advance(100)
            assert.equal(1, run(apps.a, "count"))
            apps.d:reload()
            apps.a:advance(100)
            assert.same({ 1, 1 }, { run(apps.a, "count"), run(apps.d, "count") })
        end)

        it("notice after half a minute that one is dead, and find it again", function()
            three()
            apps.b:crash()
            apps.b = nil
            apps.a:advance(29000)
            assert.same({ a = 2, c = 2 }, counts())
            apps.a:advance(2000)
            assert.same({ a = 1, c = 1 }, counts())
            assert.same({ "NetGroup.Neighbor.Disconnect b" }, heard(apps.c))
            -- It knows nobody; but the others know it.
            go("b")
            apps.a:advance(6000)
            assert.same({ a = 2, b = 2, c = 2 }, counts())
        end)

        it("lose those that are cut off, and meet them again", function()
            three()
            partition { apps.a }
            apps.b.console:call("post", "lost")
            apps.b:advance(29000)
            assert.same({ {}, { "posting lost" } }, { heard(apps.a), heard(apps.c) })
            apps.b:advance(2000)
            assert.same({ a = 0, b = 1, c = 1 }, counts())
            heal()
            apps.b:advance(6000)
            assert.same({ a = 2, b = 2, c = 2 }, counts())
            -- The postings that a member keeps reach those that had been away.
            local lines = table.concat(heard(apps.a), " ")
            assert.is_truthy(lines:find("posting lost", 1, true))
        end)

        it("are not parted by a short cut", function()
            three()
            partition { apps.a }
            apps.a:advance(20000)
            heal()
            apps.a:advance(60000)
            assert.same({ a = 2, b = 2, c = 2 }, counts())
        end)

        it("are not tried again once they are no permanent neighbors", function()
            three()
            run(apps.c, "forget")
            assert.equal(2, run(apps.c, "count"))
            apps.b:crash() apps.a:crash()
            apps.a, apps.b = nil, nil
            apps.c:advance(40000)
            go("b")
            apps.c:advance(40000)
            assert.same({ b = 0, c = 0 }, counts())
        end)

        it("cannot have an address that is in use, or none, or join twice", function()
            local a, b, c = go("a"), go("b", nil, { bind = ADDRESS.a }), go("c", nil, { bind = "nowhere" })
            a:advance(100)
            assert.same({ "NetConnection.Connect.Failed the address 192.0.2.1:1 is in use" }, heard(b))
            assert.is_truthy(c.failures[1].failure:find("no IP address", 1, true))
            c.failures = {}
            heard(a)
            run(a, "again")
            a:advance(100)
            assert.same({ "NetGroup.Connect.Failed" }, heard(a))
            local d = go("d", nil, { uri = "rtmfp://host/app" })
            d:advance(100)
            assert.is_truthy(heard(d)[1]:find("no servers", 1, true))
        end)

        it("have timers of their own, which end with them", function()
            go("a", nil, { beat = "yes" }) go("b", "a")
            apps.b:advance(5500)
            local before = #heard(apps.b)
            assert.is_true(before >= 5)
            apps.a:stop()
            apps.b:advance(5000)
            assert.same({ "NetGroup.Neighbor.Disconnect a" }, heard(apps.b))
        end)
    end)

    describe("the next test", function()
        it("starts without the servers of others", function()
            local only = start { config = { name = "a", bind = ADDRESS.a, spec = SPEC } }
            only:advance(1000)
            assert.same({ "NetGroup.Connect.Success " }, only.traces)
        end)
    end)
"#;

#[test]
fn made_up_servers_meet_part_die_and_find_each_other_again() {
    let folder = Folder::new(MEMBER);
    folder.write("network_test.lua", TESTS);
    let mut out = Vec::new();
    let time = std::time::Duration::from_secs(120);
    let passed =
        testing::run(&[folder.path().to_owned()], testing::Options { time, ..testing::Options::default() }, &mut out)
            .unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(passed && text.contains("15 passed, 0 failed"), "{text}");
}
