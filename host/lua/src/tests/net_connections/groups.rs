//! Groups of connections: joining, what happens in them, and what the script sends.

use super::*;

#[test]
fn a_group_is_joined_by_a_text_or_a_specifier_on_an_open_connection() {
    let mut play = connected("");
    let specifier = {
        let mut specifier = GroupSpecifier::new("servers").unwrap();
        specifier.posting_enabled = true;
        specifier.set_unique([9; 32]);
        specifier
    };
    let text = specifier.with_authorizations().unwrap().as_str().to_owned();
    play.run(&format!(
        "local made = GroupSpecifier('servers') made.postingEnabled = true
        one, two, three = NetGroup(nc, made), NetGroup(nc, '{text}'), NetGroup.new(nc, '{SPEC}')
        digest = GroupSpecifier.encodeGroupspecDigest('{text}')
        same = made:encodeGroupspecDigest()
        assert(tostring(one) == 'NetGroup' and one ~= two)"
    ));
    let joins: Vec<(GroupId, Groupspec)> = play
        .endpoints
        .sent()
        .into_iter()
        .map(|(_, command)| match command {
            ConnectionCommand::Join { group, groupspec } => (group, Groupspec::parse(&groupspec).unwrap()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(joins.iter().map(|(id, _)| id.0).collect::<Vec<_>>(), [1, 2, 3]);
    // The digests are those that members compute.
    let digests = play.run("trace(digest) trace(same)");
    assert_eq!(digests, [joins[1].1.digest().to_string(), joins[0].1.digest().to_string()]);
    for (code, expected) in [
        ("NetGroup(nc)", "a groupspec is a string or a GroupSpecifier"),
        ("NetGroup(nc, 'nonsense')", ""),
        ("NetGroup(nil, 'x')", "made of a NetConnection and a groupspec"),
        ("NetGroup({}, 'x')", "made of a NetConnection and a groupspec"),
        ("NetGroup(one, 'x')", "made of a NetConnection and a groupspec"),
        ("NetGroup(NetConnection(), 'x')", "is not connected"),
        ("one.neighborCount = 5", "cannot be set"),
        ("one.post('x')", "called with a colon"),
    ] {
        let error = play.error(code);
        assert!(error.contains(expected), "{code}: {error}");
    }
    play.endpoints.state().busy = Some(CommandRefused::Groups);
    assert!(play.error(&format!("NetGroup(nc, '{SPEC}')")).contains("MaxNetGroups"));
    let (connection, _) = play.scene.stage.runtime.script.state.connections.get_any().unwrap();
    assert_eq!(connection.groups.borrow().len(), 3, "what is refused is not kept");
}

#[test]
fn what_happens_in_a_group_is_told_with_the_fields_of_the_documents() {
    let mut play = joined(
        "function heard(info, group)
            trace(info.level, info.code, info.neighbor, info.peerID, info.name)
            trace(type(info.message) == 'table' and info.message.text or info.message, info.messageID, info.from, info.fromLocal)
            trace(info.group, info.description)
        end",
    );
    let nothing = "nil nil nil nil";
    let expect = |play: &Play, first: &str, second: &str, third: &str| {
        assert_eq!(play.scene.traces(), [first, second, third]);
    };
    expect(&play, "status NetGroup.Connect.Success nil nil nil", nothing, &format!("{SPEC} "));
    let (peer, place) = (PeerId([5; 32]), GroupAddress::of(&PeerId([5; 32])));
    play.in_group(GroupEvent::NeighborConnected { peer, name: Some("b".to_owned()) });
    expect(&play, &format!("status NetGroup.Neighbor.Connect {place} {peer} b"), nothing, "nil nil");
    play.in_group(GroupEvent::NeighborDisconnected { peer, name: None });
    expect(&play, &format!("status NetGroup.Neighbor.Disconnect {place} {peer} nil"), nothing, "nil nil");
    let value = amf(&Value::object([("text", "hello".into())]));
    play.in_group(GroupEvent::Posting { id: [0xab; 32], value });
    let id = "ab".repeat(32);
    expect(&play, "status NetGroup.Posting.Notify nil nil nil", &format!("hello {id} nil nil"), "nil nil");
    play.in_group(GroupEvent::SendTo { from: [0xcd; 32], from_local: true, message: amf(&5.0.into()) });
    let from = "cd".repeat(32);
    expect(&play, "status NetGroup.SendTo.Notify nil nil nil", &format!("5 nil {from} true"), "nil nil");
    play.in_group(GroupEvent::LocalCoverage);
    expect(&play, "status NetGroup.LocalCoverage.Notify nil nil nil", nothing, "nil nil");
    play.in_group(GroupEvent::Closed { code: "NetGroup.Connect.Rejected".to_owned(), description: "no".to_owned() });
    expect(&play, "error NetGroup.Connect.Rejected nil nil nil", nothing, &format!("{SPEC} no"));
    play.in_group(GroupEvent::LocalCoverage);
    assert!(play.scene.traces().is_empty(), "it is over");
}

#[test]
fn what_members_send_that_is_no_value_is_dropped_and_counted() {
    let mut play = joined("function heard(info) trace(type(info.message)) end");
    play.scene.traces();
    let two = [amf(&1.0.into()), amf(&2.0.into())].concat();
    // 64 KiB that claim to be an array of a billion elements, and values that are nested too deeply or are too many.
    let deep = [0x0a, 0, 0, 0, 1].repeat(40);
    let many = amf(&Value::Array(vec![Value::Null; 20_000]));
    let refused = [vec![], vec![0xff], two, vec![0x0a, 0x3b, 0x9a, 0xca, 0x00], deep, many];
    for (number, value) in refused.iter().enumerate() {
        let (id, value) = ([number as u8; 32], value.clone());
        play.in_group(GroupEvent::Posting { id, value: value.clone() });
        play.in_group(GroupEvent::SendTo { from: id, from_local: false, message: value });
    }
    assert!(play.scene.traces().is_empty());
    assert_eq!(play.scene.stage.runtime.instance.connections.malformed.get(), 2 * refused.len() as u64);
    play.in_group(GroupEvent::Posting { id: [9; 32], value: amf(&"fine".into()) });
    assert_eq!(play.scene.traces(), ["string"]);
}

#[test]
fn a_posting_has_the_hash_of_its_bytes_as_its_id() {
    let mut play = joined("");
    let traces = play.run("trace(group:post({ text = 'hello', number = 5 }))");
    let sent = play.endpoints.sent();
    let [(0, ConnectionCommand::Group { group: GroupId(1), command: GroupCommand::Post { value } })] = &sent[..] else {
        panic!("{sent:?}")
    };
    let expected = amf(&Value::object([("number", Value::from(5.0)), ("text", "hello".into())]));
    assert_eq!(*value, expected);
    assert_eq!(traces[1..], [hex::encode(PostingId::of(&expected).0)]);
    play.endpoints.state().busy = Some(CommandRefused::Full);
    assert_eq!(play.run("trace(group:post('x'))"), ["nil"]);
    for (code, expected) in [
        ("group:post()", "takes a value"),
        ("group:post(print)", "no counterpart"),
        ("group:post(('x'):rep(70000))", "at most 65536 bytes"),
        ("group.post('x')", "called with a colon"),
    ] {
        let error = play.error(code);
        assert!(error.contains(expected), "{code}: {error}");
    }
}

#[test]
fn messages_go_where_the_script_sends_them() {
    let mut play = joined("");
    play.scene.traces();
    let [address, low, high] = [0xcd, 0x10, 0x20].map(|byte| [byte; 32]);
    let send = "trace(group:sendToNearest('n', ('cd'):rep(32)))
        trace(group:sendToNeighbor('i', NetGroupSendMode.NEXT_INCREASING))
        trace(group:sendToNeighbor('d', NetGroupSendMode.NEXT_DECREASING))
        trace(group:sendToAllNeighbors('a'))
        trace(group.neighborCount, group.estimatedMemberCount, group.localCoverageFrom, group.localCoverageTo)";
    let zero = "00".repeat(32);
    assert_eq!(
        play.run(send)[..5],
        [
            "sent".to_owned(),
            "no route".to_owned(),
            "no route".to_owned(),
            "no route".to_owned(),
            format!("0 0.0 {zero} {zero}")
        ]
    );
    assert_eq!(play.endpoints.sent().len(), 1);
    let facts = GroupFacts { neighbor_count: 2, estimated_member_count: 3.5, local_coverage: (low, high) };
    play.endpoints.state().facts.insert((0, GroupId(1)), facts);
    let traces = play.run(send);
    let (low, high) = (hex::encode(low), hex::encode(high));
    assert_eq!(traces, ["sent", "sent", "sent", "sent", &format!("2 3.5 {low} {high}")]);
    let message = |text: &str| amf(&text.into());
    let commands: Vec<GroupCommand> = play
        .endpoints
        .sent()
        .into_iter()
        .map(|(_, command)| match command {
            ConnectionCommand::Group { command, .. } => command,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        commands,
        [
            GroupCommand::SendToNearest { message: message("n"), address },
            GroupCommand::SendToNeighbor { message: message("i"), direction: Direction::Increasing },
            GroupCommand::SendToNeighbor { message: message("d"), direction: Direction::Decreasing },
            GroupCommand::SendToAllNeighbors { message: message("a") },
        ]
    );
    play.endpoints.state().busy = Some(CommandRefused::Full);
    assert_eq!(play.run("trace(group:sendToAllNeighbors('a') == NetGroupSendResult.ERROR)"), ["true"]);
    for (code, expected) in [
        ("group:sendToNearest('x', 'y')", "64 hexadecimal digits"),
        ("group:sendToNeighbor('x', 'next')", "NetGroupSendMode"),
        ("group:sendToAllNeighbors(('x'):rep(70000))", "at most 65536 bytes"),
    ] {
        let error = play.error(code);
        assert!(error.contains(expected), "{code}: {error}");
    }
}

#[test]
fn neighbors_are_added_by_id_or_by_name_and_address() {
    let mut play = joined("");
    play.scene.traces();
    let peer = PeerId([7; 32]);
    let traces = play.run(&format!(
        "assert(group:addNeighbor('{peer}') and group:addMemberHint('{peer}'))
        assert(group:addPermanentNeighborByName('b', {{ '192.0.2.2:1935', '[2001:db8::2]:1935' }}))
        assert(group:addPermanentNeighborByName('c', '192.0.2.3:1935'))
        assert(group:addPermanentNeighborByName('d'))
        assert(group:removePermanentNeighborByName('d'))
        trace(group:convertPeerIDToGroupAddress('{peer}'))
        local nearest = NetGroup
        group:close()
        trace(group:addMemberHint('{peer}'), group:post('x'), group.neighborCount)"
    ));
    assert_eq!(traces, [GroupAddress::of(&peer).to_string(), "false nil 0".to_owned()]);
    let permanent = |name: &str, addresses: &[&str]| GroupCommand::AddPermanentNeighbor {
        name: name.to_owned(),
        addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
    };
    let expected = [
        GroupCommand::AddNeighbor(peer),
        GroupCommand::AddMemberHint(peer),
        permanent("b", &["192.0.2.2:1935", "[2001:db8::2]:1935"]),
        permanent("c", &["192.0.2.3:1935"]),
        permanent("d", &[]),
        GroupCommand::RemovePermanentNeighbor { name: "d".to_owned() },
        GroupCommand::Close,
    ];
    let expected = expected.map(|command| (0, ConnectionCommand::Group { group: GroupId(1), command }));
    assert_eq!(play.endpoints.sent(), expected);
    play.in_group(GroupEvent::LocalCoverage);
    assert!(play.scene.traces().is_empty(), "the group has been left");
    play.run(&format!("group = NetGroup(nc, '{SPEC}')"));
    for (code, expected) in [
        ("group:addNeighbor('x')", "64 hexadecimal digits"),
        ("group:addPermanentNeighborByName('b', 'host:1935')", "names of hosts are not looked up"),
        ("group:addPermanentNeighborByName('b', '192.0.2.1')", "an IP address with a port"),
        ("group:addPermanentNeighborByName('b', '192.0.2.1:0')", "an IP address with a port"),
        ("group:addPermanentNeighborByName('', '192.0.2.1:1')", "1 to 255 bytes"),
        ("group:addPermanentNeighborByName('b', 5)", "list of strings"),
        ("group:removePermanentNeighborByName()", "is a string"),
        ("group:convertPeerIDToGroupAddress(5)", "a peer ID is a string"),
    ] {
        let error = play.error(code);
        assert!(error.contains(expected), "{code}: {error}");
    }
}
