use rtmfp::PeerId;
use rtmfp::wire::option;

use super::*;
use crate::Groupspec;
use crate::groupspec::GroupspecError;

const SPEC: &str = "G:027f0201010103010c050e74657374011b00";

fn group(number: u32) -> GroupDigest {
    let mut digest = [0; 32];
    digest[..4].copy_from_slice(&number.to_be_bytes());
    GroupDigest(digest)
}

fn channels(limits: JoinLimits) -> (Instant, GroupChannels) {
    let now = Instant::now();
    (now, GroupChannels::new(now, limits))
}

#[test]
fn both_ways_to_name_a_group() {
    let spec = Groupspec::parse(SPEC).unwrap();
    let by_digest = join(&spec.digest());
    assert_eq!(by_digest[..3], [0x01, 0x21, 0x15], "as recorded");
    assert_eq!(read_join(&by_digest), Ok(spec.digest()));
    assert_eq!(read_join(&join_by_text(&spec)), Ok(spec.digest()));
    let mut whole = vec![0x01];
    option::put(0x10, SPEC.as_bytes(), &mut whole);
    assert_eq!(read_join(&whole), Ok(spec.digest()));
    // Bytes after the option are ignored.
    assert_eq!(read_join(&[&by_digest[..], &[1, 2, 3]].concat()), Ok(spec.digest()));
}

#[test]
fn malformed_joins_are_refused() {
    let whole = join(&group(1));
    for end in 0..whole.len() {
        assert!(matches!(read_join(&whole[..end]), Err(MalformedJoin::Bytes(_))), "{end}");
    }
    let text = join_by_text(&Groupspec::parse(SPEC).unwrap());
    for end in 0..text.len() {
        assert!(read_join(&text[..end]).is_err(), "{end}");
    }
    let with = |kind, value: &[u8]| {
        let mut message = vec![0x01];
        option::put(kind, value, &mut message);
        read_join(&message).unwrap_err()
    };
    assert!(matches!(with(0x15, &[0; 31]), MalformedJoin::Bytes(_)));
    assert!(matches!(with(0x15, &[0; 33]), MalformedJoin::Bytes(_)));
    assert_eq!(with(0x16, &[0; 32]), MalformedJoin::Naming(0x16));
    assert_eq!(with(0x10, b"\xff\xfe"), MalformedJoin::Groupspec(GroupspecError::Hexadecimal));
    assert_eq!(with(0x10, b"test"), MalformedJoin::Groupspec(GroupspecError::Prefix));
    assert_eq!(with(0x10, &[b'0'; MAX_JOIN_LEN]), MalformedJoin::TooLong(MAX_JOIN_LEN + 5));
    assert_eq!(read_join(&[0x02]), Err(MalformedJoin::Message(0x02)));
    assert!(read_join(&[0x01, 0x00]).is_err());
}

#[test]
fn hints_both_ways() {
    let about = PeerId([9; 32]);
    let message = hint(&about);
    assert_eq!(message[0], 0x0b);
    assert_eq!(read_hint(&message), Ok(Received::Hint(about)));
    for end in 0..message.len() {
        assert!(read_hint(&message[..end]).is_err());
    }
    assert!(read_hint(&[&message[..], &[0]].concat()).is_err());
    assert_eq!(read_hint(&[0x77, 1]), Ok(Received::Unknown(0x77)));
}

#[test]
fn a_client_is_in_what_its_flows_joined() {
    let (now, mut client) = channels(JoinLimits::default());
    let mut say = |flow, number| client.on_message(now, flow, &join(&group(number))).unwrap();
    assert_eq!(say(3, 1), Change { left: None, joined: Some(group(1)) });
    assert_eq!(say(3, 1), Change::default(), "the same again");
    assert_eq!(say(4, 1), Change::default(), "on another flow");
    assert_eq!(say(3, 2), Change { left: None, joined: Some(group(2)) }, "flow 4 is still in 1");
    assert_eq!(say(4, 3), Change { left: Some(group(1)), joined: Some(group(3)) });
    assert_eq!(client.flow_of(&group(3)), Some(4));
    // A message that is refused changes nothing.
    assert!(client.on_message(now, 4, &[0x01]).is_err());
    assert_eq!(client.on_flow_closed(4), Change { left: Some(group(3)), joined: None });
    assert_eq!(client.on_flow_closed(4), Change::default());
    client.on_message(now, 7, &join(&group(2))).unwrap();
    assert_eq!(client.close(), [group(2)]);
    assert_eq!(client.groups().count(), 0);
}

#[test]
fn ten_thousand_joins_are_bounded() {
    let (now, mut client) = channels(JoinLimits { burst: u32::MAX, ..JoinLimits::default() });
    let (mut accepted, mut refused) = (0, 0);
    for number in 0..10_000 {
        match client.on_message(now, u64::from(number), &join(&group(number))) {
            Ok(change) => accepted += usize::from(change.joined.is_some()),
            Err(error) => {
                assert_eq!(error, JoinRefused::TooManyGroups);
                refused += 1;
            }
        }
    }
    assert_eq!((accepted, refused, client.groups().count()), (64, 10_000 - 64, 64));
}

#[test]
fn a_flood_of_joins_is_slowed_down() {
    let limits = JoinLimits::default();
    let (start, mut client) = channels(limits);
    let mut taken = 0;
    // On one flow, from group to group: each would move the client on the rings.
    for number in 0..10_000u32 {
        let now = start + Duration::from_millis(u64::from(number));
        match client.on_message(now, 3, &join(&group(number))) {
            Ok(_) => taken += 1,
            Err(error) => assert_eq!(error, JoinRefused::TooOften),
        }
    }
    assert_eq!(taken, limits.burst + 9, "those at once, and one for each full second");
    // After a long silence there is no more than at first.
    let later = start + Duration::from_secs(1_000_000);
    let again = (0..1000u32).filter(|number| client.on_message(later, 3, &join(&group(*number))).is_ok()).count();
    assert_eq!(again, 64);
}

#[test]
fn a_join_as_long_as_may_be_is_read() {
    let mut message = join(&group(1));
    message.resize(MAX_JOIN_LEN, 0);
    assert_eq!(read_join(&message), Ok(group(1)), "bytes after the option are ignored");
    message.push(0);
    assert_eq!(read_join(&message), Err(MalformedJoin::TooLong(MAX_JOIN_LEN + 1)));
}

#[test]
fn parts_of_an_interval_add_up_to_a_join() {
    let limits = JoinLimits { groups: 64, burst: 2, interval: Duration::from_secs(10) };
    let (start, mut client) = channels(limits);
    let mut says = |seconds: u64| client.on_message(start + Duration::from_secs(seconds), 3, &join(&group(1))).is_ok();
    assert_eq!([says(0), says(0), says(0)], [true, true, false]);
    // What was refused has cost nothing, and the time between counts.
    assert_eq!([says(6), says(9), says(10), says(11), says(19), says(20)], [false, false, true, false, false, true]);
    assert_eq!([says(45), says(45), says(49), says(50)], [true, true, false, true]);
}
