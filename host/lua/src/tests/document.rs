//! The examples of the document "Distribute introductions", line by line.

use rtmfp::{Origin, PeerId, TaggedAddress};

use super::*;
use introd_flash::amf::Value;
use introd_policy::message::AppEvent;

/// "Example: Distribute introductions across servers". The registry's functions, which the document leaves to the reader, are
/// plain tables here. Two things in it are mended: `concat` there throws its result away, and what it calls `this` is the first
/// parameter here.
const DISTRIBUTE: &str = "
    local localClients, remote = {}, {}
    function addClient(peerId, clientAddresses) localClients[peerId] = application.clients[peerId] or pending remote[peerId] = clientAddresses end
    function removeClient(peerId) localClients[peerId] = nil remote[peerId] = nil trace('removed', peerId:sub(1, 4)) end
    function updateClient(peerId, clientAddresses) remote[peerId] = clientAddresses trace('updated', table.concat(clientAddresses, ' ')) end
    function getClientIfLocal(peerId) return application.clients[peerId] end
    function getRemoteClientAddrs(peerId) return remote[peerId] end
    remote[('ee'):rep(32)] = { '198.51.100.2:1935' }

    function getClientRedirectAddrs(client)
        local redirectAddresses = { table.unpack(client.reportedAddresses) }
        table.insert(redirectAddresses, client.farAddress)
        for _, address in ipairs(client.potentialNearAddresses) do table.insert(redirectAddresses, address) end
        return redirectAddresses
    end

    application.onConnect = function(client)
        if client.protocol == 'rtmfp' then
            addClient(client.farID, getClientRedirectAddrs(client))
            client.onFarAddressChange = function(this)
                updateClient(this.farId, getClientRedirectAddrs(client))
            end
            client.onReportedAddressesChange = function(this)
                updateClient(this.farId, getClientRedirectAddrs(client))
            end
        end
    end

    application.onDisconnect = function(client)
        removeClient(client.farId)
    end

    application.onPeerLookup = function(event)
        local targetPeer = getClientIfLocal(event.targetPeerID)
        if targetPeer then
            application.sendPeerRedirect(getClientRedirectAddrs(targetPeer), event)
            targetPeer:introducePeer(event.initiatorAddress, event.tag)
        else
            targetPeerAddrs = getRemoteClientAddrs(event.targetPeerID)
            if not targetPeerAddrs then
                return
            end
            application.sendPeerRedirect(targetPeerAddrs, event)
        end
    end";

#[test]
fn distribute_introductions_across_servers() {
    let mut scene = scene(DISTRIBUTE);
    let target = scene.stage.connect(|info| info.far_id = PeerId([0xaa; 32]));
    assert!(matches!(scene.sent()[..], [Effect::Accept { .. }]), "a handler that returns nothing lets clients in");
    scene
        .stage
        .tell(AppEvent::ReportedAddressesChange { client: target, addresses: vec!["10.0.0.5:5".parse().unwrap()] });
    let asker = "192.0.2.1:1000".parse().unwrap();
    // The target is here: the asker is redirected, and the target told of it.
    let number = scene.stage.look_up(Some(PeerId([0xaa; 32])), asker, None);
    let sent = scene.sent();
    let at = |text: &str, origin| TaggedAddress::new(text.parse().unwrap(), origin);
    let expected = [
        at("10.0.0.5:5", Origin::Reported),
        at("203.0.0.1:40000", Origin::Observed),
        at("198.51.100.1:1935", Origin::Relay),
    ];
    assert!(
        matches!(&sent[..], [Effect::Redirect { addresses, .. }, Effect::Command(ClientCommand::Introduce { client, initiator, tag })]
            if addresses[..] == expected && *client == target && *initiator == asker && tag[..] == number.to_be_bytes()),
        "{sent:?}"
    );
    // It is at another server: the asker is sent there.
    scene.stage.look_up(Some(PeerId([0xee; 32])), asker, None);
    let sent = scene.sent();
    assert!(
        matches!(&sent[..], [Effect::Redirect { addresses, .. }] if addresses[0].address.ip().to_string() == "198.51.100.2")
    );
    // The peer is unknown: there is no answer, also when the deadline has passed.
    scene.stage.look_up(Some(PeerId([0xdd; 32])), asker, None);
    scene.advance(5000);
    assert!(scene.sent().is_empty());
    scene.stage.tell(AppEvent::FarAddressChange { client: target, address: "192.0.2.200:2".parse().unwrap() });
    scene.stage.tell(AppEvent::Disconnect { client: target });
    assert_eq!(
        scene.traces(),
        [
            "updated 10.0.0.5:5 203.0.0.1:40000 198.51.100.1:1935",
            "updated 10.0.0.5:5 192.0.2.200:2 198.51.100.1:1935",
            "removed aaaa"
        ]
    );
}

/// The document spells this handler in two ways.
#[test]
fn both_spellings_of_the_address_handler() {
    for name in ["onReportedAddressChange", "onReportedAddressesChange"] {
        for place in ["Client", "client"] {
            let mut scene = scene(&format!(
                "function application.onConnect(client) function {place}:{name}() trace(self.reportedAddresses[1]) end end"
            ));
            let client = scene.stage.connect(|_| ());
            let addresses = vec!["10.0.0.5:5".parse().unwrap()];
            scene.stage.tell(AppEvent::ReportedAddressesChange { client, addresses });
            assert_eq!(scene.traces(), ["10.0.0.5:5"], "{place}:{name}");
        }
    }
}

/// "Filter introduction requests".
#[test]
fn filter_introduction_requests() {
    let mut scene = scene(
        "local peerIDToClientMap = {}
        application.onConnect = function(client)
            if client.protocol == 'rtmfp' then
                peerIDToClientMap[client.farID] = client
            end
        end
        application.onPeerLookup = function(event)
            local targetPeer = peerIDToClientMap[event.targetPeerID]
            if not targetPeer then
                return
            end
            application:sendPeerRedirect({ targetPeer.farAddress }, event)
        end",
    );
    scene.stage.connect(|info| info.far_id = PeerId([0xaa; 32]));
    scene.sent();
    scene.stage.look_up(Some(PeerId([0xbb; 32])), "192.0.2.1:1000".parse().unwrap(), None);
    scene.stage.look_up(None, "192.0.2.1:1000".parse().unwrap(), None);
    assert!(scene.sent().is_empty());
    scene.stage.look_up(Some(PeerId([0xaa; 32])), "192.0.2.1:1000".parse().unwrap(), None);
    assert!(matches!(scene.sent()[..], [Effect::Redirect { .. }]));
    scene.traces();
}

/// "Use the server channel to distribute peer bootstrapping across servers".
#[test]
fn bootstrap_groups_over_the_server_channel() {
    let mut scene = scene(
        "local groups = {}
        function Client.onGroupJoin(this, groupControl)
            groupControl['client'] = this
            local groupControlArray = groups[groupControl.groupspecDigest]
            if groupControlArray then
                trace('Register Client in existing Group (by groupspec digest): ' .. groupControl.groupspecDigest ..
                    ', current Group size is: ' .. #groupControlArray)
                local r = math.random()
                local index = math.floor(r * #groupControlArray)
                local peerGroupControl = groupControlArray[index + 1]
                groupControl:addNeighbor(peerGroupControl['client'].farID)
                table.insert(groupControlArray, groupControl)
            else
                trace('Track client joining new Group (by groupspec digest): ' .. groupControl.groupspecDigest)
                groupControlArray = {}
                table.insert(groupControlArray, groupControl)
                groups[groupControl.groupspecDigest] = groupControlArray
            end
        end",
    );
    let first = scene.stage.connect(|info| info.far_id = PeerId([0xaa; 32]));
    let second = scene.stage.connect(|_| ());
    scene.sent();
    scene.stage.join(first, [1; 32]);
    let membership = scene.stage.join(second, [1; 32]);
    let sent = scene.sent();
    assert!(
        matches!(&sent[..], [Effect::Command(ClientCommand::Hint { client, membership: of, peer })]
            if *client == second && *of == membership && *peer == PeerId([0xaa; 32])),
        "{sent:?}"
    );
    assert_eq!(scene.traces().len(), 2);
}

#[test]
fn a_rejected_client_is_told_why() {
    let mut scene = scene(
        "function application.onConnect(client, user, password)
            if password ~= 'right' then
                application.rejectConnection(client, 'Wrong password', { user = user, code = 7 })
                return
            end
            return true
        end",
    );
    scene.stage.connect(|info| info.request.arguments = vec!["ann".into(), "wrong".into()]);
    scene.stage.connect(|info| info.request.arguments = vec!["ann".into(), "right".into()]);
    let sent = scene.sent();
    assert!(
        matches!(&sent[..], [Effect::Reject { rejection, .. }, Effect::Accept { .. }]
            if rejection.description == "Wrong password"
                && rejection.application == Some(Value::object([("code", Value::Number(7.0)), ("user", "ann".into())]))),
        "{sent:?}"
    );
}
