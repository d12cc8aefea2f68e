//! Members of AMS's objects that keep a value, tell a count, or say that they are not there.

use super::*;

#[test]
fn the_statistics_of_an_instance_count_its_clients_and_their_messages() {
    let mut scene = scene(
        "function application.onConnect(client, word) return word ~= 'no' end
        function Client:stats()
            local stats = application.getStats()
            trace(stats.total_connects, stats.total_disconnects, stats.msg_in, stats.msg_out, stats.bytes_in, stats.bytes_out, stats.msg_dropped, stats.bw_in, stats.bw_out)
        end",
    );
    let ann = scene.stage.connect(|_| ());
    let bob = scene.stage.connect(|_| ());
    let refused = scene.stage.connect(|info| info.request.arguments = vec!["no".into()]);
    scene.stage.disconnect(bob);
    scene.stage.disconnect(refused);
    for _ in 0..2 {
        scene.stage.call(ann, "stats", 5.0, Vec::new());
    }
    assert_eq!(scene.traces(), ["2 1 1 0 0 0 0 0 0", "2 1 2 1 0 0 0 0 0"]);
}

#[test]
fn properties_without_effect_keep_what_they_are_set_to() {
    let mut scene = scene(
        "function application.onConnect(client)
            trace(client.readAccess, client.writeAccess, #client.audioSampleAccess, #client.videoSampleAccess, #client.virtualKey)
            trace(client.secure, client.protocolVersion)
            for _, name in ipairs { 'readAccess', 'writeAccess', 'audioSampleAccess', 'videoSampleAccess', 'virtualKey' } do
                client[name] = 'rooms;' .. name
                assert(client[name] == 'rooms;' .. name)
            end
            for _, name in ipairs { 'secure', 'protocolVersion', 'farID' } do
                assert(not pcall(function() client[name] = 'x' end), name)
            end
        end
        function application.onDisconnect(client) trace(client.writeAccess) end",
    );
    let client = scene.stage.connect(|_| ());
    let other = scene.stage.connect(|_| ());
    scene.stage.disconnect(client);
    scene.stage.disconnect(other);
    let first = ["/ / 0 0 0", "false 1"];
    assert_eq!(scene.traces(), [first[0], first[1], first[0], first[1], "rooms;writeAccess", "rooms;writeAccess"]);
}

#[test]
fn the_limits_of_the_bandwidth_are_kept_and_checked() {
    let mut scene = scene(
        "local function fails(f, ...) local ok, why = pcall(f, ...) assert(not ok) return why end
        function application.onConnect(client)
            trace(client:getBandwidthLimit(0), client:getBandwidthLimit(1))
            client:setBandwidthLimit(1000.9, 2000)
            client:setBandwidthLimit(0, 3000)
            trace(client:getBandwidthLimit(0), client:getBandwidthLimit(1))
            client:setBandwidthLimit(5)
            trace(client:getBandwidthLimit(0), client:getBandwidthLimit(1))
            for _, bad in ipairs { -1, 'x', 0/0, 1/0, {} } do
                assert(fails(client.setBandwidthLimit, client, bad):find('bytes in a second'))
            end
            assert(fails(client.getBandwidthLimit, client, 2):find('direction'))
            assert(fails(client.getBandwidthLimit, 0):find('colon'))
            assert(fails(client.setBandwidthLimit):find('colon'))
            assert(fails(client.checkBandwidth, {}):find('colon'))
        end",
    );
    scene.stage.connect(|_| ());
    assert_eq!(scene.traces(), ["0 0", "3000 1000", "3000 5"]);
}

#[test]
fn what_is_missing_says_so_with_its_place_when_a_script_uses_it() {
    for use_it in [
        "application.gc()",
        "application.allowDebug = true",
        "local on = application.allowDebug",
        "application.registerClass('A', function() end)",
        "application.registerProxy('a', nc)",
        "application.clearSharedObjects('/')",
        "application.clearStreams('/')",
    ] {
        let scene = scene(&format!("function application.onAppStart()\n{use_it}\nend"));
        let failures = scene.failures();
        let [(handler, file, 2, message)] = &failures[..] else { panic!("{use_it}: {failures:?}") };
        assert_eq!((handler.as_str(), file.as_str()), ("onAppStart", "main.lua"));
        assert!(message.contains("is not on this server: ") && message.contains("lua/PORTING.md"), "{message}");
    }
    // Other names are the script's.
    let scene = scene(
        "application.rooms = application.rooms or {}
        application.rooms[1] = 'a'
        trace(#application.rooms, application.nothing)
        for name in pairs(application) do assert(type(name) == 'string') end",
    );
    assert_eq!(scene.traces(), ["1 nil"]);
}
