//! Hellos that are forwarded to clients, and the addresses to which the clients answer (RFC 7016 §3.5.1.5).

use std::net::SocketAddr;

use rtmfp::{Deny, SessionId};
use smallvec::SmallVec;

use super::turn::Turn;
use crate::introducer::Site;

/// The hello of a lookup, for the client that is looked up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hello<'a> {
    /// The endpoint discriminator.
    pub(super) epd: &'a [u8],
    /// Where the hello came from.
    pub(super) initiator: SocketAddr,
    /// The tag.
    pub(super) tag: &'a [u8],
    /// Whether the initiator has proven its address, by a session.
    pub(super) is_proven: bool,
    /// The place of the relay's port at which the client may answer as well, if the two were given a pair of the relay.
    pub(super) relay_port: Option<u16>,
}

impl Turn<'_> {
    /// Forwards a hello to a client of this worker, once for each address at which the client is to answer it. All of that counts once:
    /// as forwarded, if one goes out.
    ///
    /// If the initiator stands in the server's own network and the client does not, the client is told where the NAT of that network shows
    /// the initiator.
    pub(super) fn forward(&mut self, session: SessionId, hello: &Hello<'_>) -> Result<(), Deny> {
        let Hello { epd, initiator, tag, is_proven, relay_port } = *hello;
        let target = self.endpoint.far_address(session).ok_or(Deny::NoSession)?;
        let mut addresses = answered_at(&self.standing.site, initiator, target, is_proven);
        if let Some(port) = relay_port {
            addresses.extend(self.faces_for(session, port));
        }
        let mut result = Err(Deny::NoSession);
        for address in addresses {
            let forwarded = self.endpoint.forward_for(self.now, session, epd, address, tag);
            if let Err(error) = forwarded {
                tracing::debug!(%session, answered_at = %address, ?error, "a hello is not forwarded");
            }
            // One that goes out is enough.
            result = result.or(forwarded);
        }
        self.counters().forwarded(result);
        result
    }
}

/// Where a client that the server sees at `target` is to answer a hello that came from `initiator`: a hello is forwarded for each.
fn answered_at(site: &Site, initiator: SocketAddr, target: SocketAddr, is_proven: bool) -> SmallVec<[SocketAddr; 3]> {
    let mut addresses: SmallVec<[SocketAddr; 3]> = SmallVec::from_slice(&site.outside(initiator, target));
    // A client elsewhere may have a way into the server's network all the same: a tunnel, or routes of an organisation. A hello of an
    // unproven address has not earned that a second one is sent on its behalf.
    let is_of_use = is_proven && !initiator.ip().to_canonical().is_loopback();
    if addresses.is_empty() || is_of_use {
        addresses.push(initiator);
    }
    addresses
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn answered(near_addresses: &[&str], initiator: &str, target: &str, is_proven: bool) -> Vec<String> {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let site = Site::new(near_addresses.iter().map(|text| address(text)).collect::<Arc<[_]>>());
        let addresses = answered_at(&site, address(initiator), address(target), is_proven);
        addresses.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_client_outside_answers_an_initiator_beside_the_server_at_the_public_address() {
        let home = &["203.0.113.1:1935"][..];
        let (inside, outside) = ("192.168.1.5:4000", "198.51.100.7:1");
        assert_eq!(answered(home, inside, outside, true), ["203.0.113.1:4000", inside]);
        assert_eq!(answered(home, inside, outside, false), ["203.0.113.1:4000"], "it has earned one hello");
        assert_eq!(answered(home, "127.0.0.1:4000", outside, true), ["203.0.113.1:4000"], "nobody else reaches that");
        for is_proven in [false, true] {
            assert_eq!(answered(home, outside, inside, is_proven), [outside]);
            assert_eq!(answered(home, "198.51.100.9:1", outside, is_proven), ["198.51.100.9:1"]);
            assert_eq!(answered(home, inside, "192.168.1.6:1", is_proven), [inside], "both are inside");
            assert_eq!(
                answered(&["192.168.1.2:1935"], inside, outside, is_proven),
                [inside],
                "no public address is known"
            );
        }
    }
}
