//! Members that flood, and that lie.

use super::*;
use crate::member::posting::{KeyMessage, PostingId};

/// Node 0 floods the group on its flow of a type, to each of its neighbours.
fn flood(network: &mut Network, group: &Groupspec, flow_type: u8, messages: impl Fn(u8) -> Vec<Vec<u8>>) {
    let now = network.now;
    for number in 1..network.nodes.len() as u8 {
        let peer = network.id(number);
        let messages = messages(number);
        network.with(0, |groups, context| {
            for message in messages {
                groups.inject(context, &group.digest(), peer, flow_type, message);
            }
        });
    }
    let _ = now;
}

#[test]
fn a_member_that_floods_keys_and_postings_keeps_no_honest_posting_from_the_others() {
    let group = spec("flooded");
    let count = 8;
    let mut network = Network::chain(count, &group);
    network.run_for(Duration::from_secs(60));
    let mut honest = Vec::new();
    let (mut keys, mut dropped) = (0u64, 0);
    for second in 0..20u8 {
        for part in 0..10u8 {
            // Keys of postings that it never sends, others for each neighbour; and postings that nobody has asked for.
            let start = keys;
            flood(&mut network, &group, flow_type::POSTING_KEY, |number| {
                (0..400u64)
                    .map(|key| {
                        KeyMessage::Have((start + key + u64::from(number) * 1_000_000).to_be_bytes()).write().to_vec()
                    })
                    .collect()
            });
            flood(&mut network, &group, flow_type::POSTING, |number| {
                (0..20).map(|at| vec![second, part, number, at]).collect()
            });
            keys += 400;
            network.run_for(Duration::from_millis(100));
        }
        let author = 1 + second % (count - 1);
        let value = format!("posting {second}").into_bytes();
        let posted =
            network.with(author, |groups, context| groups.tell(context, &group.digest(), |member| member.post(&value)));
        honest.push((author, posted.flatten().expect("it is posted")));
    }
    network.run_for(Duration::from_secs(10));
    for number in 1..count {
        let came: Vec<PostingId> = network
            .node(number)
            .notices
            .iter()
            .filter_map(|notice| match notice {
                Notice::Event(GroupEvent::Posting { id, .. }) => Some(*id),
                _ => None,
            })
            .collect();
        for (author, id) in honest.iter().filter(|(author, _)| *author != number) {
            assert!(came.contains(id), "{number} has the posting of {author}");
        }
        assert!(came.len() <= honest.len(), "nothing else is delivered");
        dropped += network.node(number).participant.take_counters().postings_dropped;
        assert!(network.neighbors(number, &group).len() >= 6);
    }
    assert!(dropped > 100_000, "{dropped}");
}

#[test]
fn a_member_that_posts_without_end_is_slowed_and_the_others_postings_come() {
    let group = spec("flooded");
    let count = 5;
    let mut network = Network::chain(count, &group);
    network.run_for(Duration::from_secs(60));
    let mut number = 0u32;
    let mut honest = Vec::new();
    for second in 0..10u8 {
        for _ in 0..10 {
            for _ in 0..300 {
                number += 1;
                let value = number.to_be_bytes();
                network.with(0, |groups, context| groups.tell(context, &group.digest(), |member| member.post(&value)));
            }
            network.run_for(Duration::from_millis(100));
        }
        let value = [b'h', second];
        let posted =
            network.with(2, |groups, context| groups.tell(context, &group.digest(), |member| member.post(&value)));
        honest.push(posted.flatten().expect("it is posted"));
    }
    network.run_for(Duration::from_secs(10));
    for member in [1, 3, 4] {
        let ids = network.node(member).notices.iter().filter_map(|notice| match notice {
            Notice::Event(GroupEvent::Posting { id, .. }) => Some(*id),
            _ => None,
        });
        let ids: Vec<PostingId> = ids.collect();
        assert!(honest.iter().all(|id| ids.contains(id)), "{member}");
        // The rate of one neighbour, times the neighbours through which the postings come.
        assert!(ids.len() < 512 + 4 * 500 * 21, "{}", ids.len());
    }
}
