//! Groups of connections without a server.

use introd_netgroup::GroupAddress;
use introd_netgroup::member::PostingId;
use introd_policy::net_connection::Direction;

use super::*;

#[test]
fn members_post_and_send_and_one_that_is_dropped_is_gone_at_once() {
    let (first, second) = (NetConnectionService::new(), NetConnectionService::new());
    let [(a, a_id), (b, b_id)] = pair(&first, &second);
    let value = b"\x02\0\x05hello".to_vec();
    a.group(GroupCommand::Post { value: value.clone() });
    let posting = b.wait_group(|event| match event {
        GroupEvent::Posting { id, value } => Some((id, value)),
        _ => None,
    });
    assert_eq!(posting, (PostingId::of(&value).0, value.clone()));
    let commands = [
        GroupCommand::SendToAllNeighbors { message: value.clone() },
        GroupCommand::SendToNeighbor { message: value.clone(), direction: Direction::Increasing },
        GroupCommand::SendToNeighbor { message: value.clone(), direction: Direction::Decreasing },
        GroupCommand::SendToNearest { message: value.clone(), address: GroupAddress::of(&a_id).0 },
    ];
    for command in commands {
        b.group(command);
        let sent = a.wait_group(|event| match event {
            GroupEvent::SendTo { from, from_local, message } => Some((from, from_local, message)),
            _ => None,
        });
        assert_eq!(sent, (GroupAddress::of(&b_id).0, false, value.clone()));
    }
    b.group(GroupCommand::SendToNearest { message: value, address: GroupAddress::of(&b_id).0 });
    b.wait_group(|event| matches!(event, GroupEvent::SendTo { from_local: true, .. }).then_some(()));
    let facts = a.connection.group(GROUP).unwrap();
    assert_eq!((facts.neighbor_count, facts.estimated_member_count), (1, 2.0));
    assert_eq!(a.connection.group(GroupId(8)), None);
    drop(b);
    let gone = a.wait_group(|event| match event {
        GroupEvent::NeighborDisconnected { peer, name } => Some((peer, name)),
        _ => None,
    });
    assert_eq!(gone, (b_id, Some("b".to_owned())));
}

#[test]
fn what_is_sent_just_before_a_connection_is_dropped_arrives() {
    let (first, second) = (NetConnectionService::new(), NetConnectionService::new());
    let [(a, _), (b, b_id)] = pair(&first, &second);
    let (posting, message) = (b"\x02\0\x04post".to_vec(), b"\x02\0\x04sent".to_vec());
    b.group(GroupCommand::Post { value: posting.clone() });
    b.group(GroupCommand::SendToAllNeighbors { message: message.clone() });
    drop(b);
    let mut arrived = Vec::new();
    a.wait_group(|event| match event {
        GroupEvent::Posting { value: bytes, .. } | GroupEvent::SendTo { message: bytes, .. } => {
            arrived.push(bytes);
            None
        }
        GroupEvent::NeighborDisconnected { peer, .. } => (peer == b_id).then_some(()),
        _ => None,
    });
    arrived.sort();
    assert_eq!(arrived, [posting, message]);
}

#[test]
fn a_server_that_stops_says_so_to_its_scripts_and_to_the_other_members() {
    let (first, second) = (NetConnectionService::new(), NetConnectionService::new());
    let [(a, _), (b, b_id)] = pair(&first, &second);
    second.stop();
    assert_eq!(b.closed(), "NetConnection.Connect.AppShutdown");
    a.wait_group(|event| matches!(event, GroupEvent::NeighborDisconnected { peer, .. } if peer == b_id).then_some(()));
    let error = open_with(&second, NetConnectionLimits::default(), serverless("c")).err();
    assert_eq!(error, Some(OpenError::System("the server stops".to_owned())));
}

#[test]
fn a_group_is_joined_once_and_can_be_left_and_joined_again() {
    let service = NetConnectionService::new();
    let a = open(&service, serverless("a"));
    a.join();
    let refused = |id: u64, groupspec: &str| {
        let command = ConnectionCommand::Join { group: GroupId(id), groupspec: groupspec.to_owned() };
        a.connection.send(command).unwrap();
        a.wait(|event| match event {
            ConnectionEvent::Group { group, event: GroupEvent::Closed { code, description } }
                if group == GroupId(id) =>
            {
                assert_eq!(code, "NetGroup.Connect.Failed");
                Some(description)
            }
            _ => None,
        })
    };
    assert_eq!(refused(8, group().as_str()), "the connection is in this group already");
    assert!(refused(9, "G:xyz").starts_with("the groupspec is malformed"));
    a.group(GroupCommand::Close);
    a.join();
    assert!(a.connection.group(GROUP).is_some());
    a.group(GroupCommand::Close);
    // Commands for a group that is left change nothing, and commands are carried out in order.
    a.group(GroupCommand::Post { value: vec![5] });
    refused(10, "");
    assert_eq!(a.connection.group(GROUP), None);
}

#[test]
fn a_member_that_does_not_know_the_groupspec_stays_out() {
    let (first, second) = (NetConnectionService::new(), NetConnectionService::new());
    let (a, b) = (open(&first, serverless("a")), open(&second, serverless("b")));
    a.connected();
    let (_, b_at) = b.connected();
    a.join();
    let other = GroupSpecifier::new("others").unwrap().with_authorizations().unwrap();
    let join = ConnectionCommand::Join { group: GROUP, groupspec: other.as_str().to_owned() };
    b.connection.send(join).unwrap();
    b.wait_group(|event| (event == GroupEvent::Connected).then_some(()));
    a.group(GroupCommand::AddPermanentNeighbor { name: "b".to_owned(), addresses: vec![b_at] });
    // It joins the right group as well, and is found by the next attempt: so there was one before that failed.
    let joins = ConnectionCommand::Join { group: GroupId(2), groupspec: group().as_str().to_owned() };
    b.connection.send(joins).unwrap();
    a.wait_group(|event| matches!(event, GroupEvent::NeighborConnected { .. }).then_some(()));
    assert_eq!(b.connection.group(GROUP).unwrap().neighbor_count, 0);
}
