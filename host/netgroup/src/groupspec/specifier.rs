//! Makes groupspecs of properties, with the names that AMS and Flash gave them.

use std::net::{IpAddr, SocketAddr};

use rand_core::CryptoRng;
use rtmfp::PeerId;
use rtmfp::wire::option;

use super::error::GroupspecError;
use super::kind;
use super::multicast::MulticastAddress;
use super::password::Password;
use super::text::{Groupspec, SpecOption, Version};
use crate::digest::GroupDigest;

/// The properties of a group: AMS's `GroupSpecifier`. All properties are off at first; peers may connect to each other.
///
/// Options are written in the order of groupspecs that Flash made: the version, then 1, 0, 2, 3 and so on upwards. It is not established
/// whether 2 comes before 0, and not all numbers are established: see [`kind`] and [`GroupSpecifier::unestablished`].
#[derive(Clone, Debug, Default)]
pub struct GroupSpecifier {
    /// The version of the groupspec. AMS: `maxSupportedGroupspecVersion` is 2.
    pub version: Version,
    /// `routingEnabled`: members may send messages to one member or to their neighbours.
    pub routing_enabled: bool,
    /// `multicastEnabled`: members may publish streams in the group.
    pub multicast_enabled: bool,
    /// `objectReplicationEnabled`.
    pub object_replication_enabled: bool,
    /// `postingEnabled`: members may send messages to all members.
    pub posting_enabled: bool,
    /// `serverChannelEnabled`: members join at their server, too, which names members to each other.
    pub server_channel_enabled: bool,
    /// `peerToPeerDisabled`: members do not connect to each other.
    pub peer_to_peer_disabled: bool,
    /// `ipMulticastMemberUpdatesEnabled`: members find each other on the local network, at the multicast addresses that are added.
    pub ip_multicast_member_updates_enabled: bool,
    name: String,
    posting_password: Option<Password>,
    publish_password: Option<Password>,
    unique: Option<[u8; 32]>,
    /// Options of the canonical part that the caller has added as they are.
    others: Vec<(u64, Vec<u8>)>,
    bootstrap_peers: Vec<PeerId>,
    multicast_addresses: Vec<MulticastAddress>,
}

impl GroupSpecifier {
    /// A group of this name.
    ///
    /// # Errors
    /// If the name is empty.
    pub fn new(name: impl Into<String>) -> Result<Self, GroupspecError> {
        let name = name.into();
        if name.is_empty() { Err(GroupspecError::NoName) } else { Ok(Self { name, ..Self::default() }) }
    }

    /// `setPostingPassword`: only members that have the password may post. With `None` all members may.
    pub fn set_posting_password(&mut self, password: Option<Password>) {
        self.posting_password = password;
    }

    /// `setPublishPassword`: only members that have the password may publish streams. With `None` all members may.
    pub fn set_publish_password(&mut self, password: Option<Password>) {
        self.publish_password = password;
    }

    /// `makeUnique`: makes this group different from all others with the same name.
    pub fn make_unique(&mut self, rng: &mut impl CryptoRng) {
        let mut tag = [0; 32];
        rng.fill_bytes(&mut tag);
        self.set_unique(tag);
    }

    /// As [`GroupSpecifier::make_unique`], with a given tag.
    pub fn set_unique(&mut self, tag: [u8; 32]) {
        self.unique = Some(tag);
    }

    /// `addBootstrapPeer`: a member to which new members connect first.
    pub fn add_bootstrap_peer(&mut self, peer: PeerId) {
        self.bootstrap_peers.push(peer);
    }

    /// `addIPMulticastAddress`: a multicast address at which members can be found on the local network. If a `source` is given, members
    /// accept packets from that source only.
    ///
    /// # Errors
    /// If the address is not a multicast address, or the source is of the other family.
    pub fn add_ip_multicast_address(
        &mut self,
        address: SocketAddr,
        source: Option<IpAddr>,
    ) -> Result<(), GroupspecError> {
        self.multicast_addresses.push(MulticastAddress::new(address, source)?);
        Ok(())
    }

    /// `encodePostingAuthorization`: the text that, appended to a groupspec without authorizations, lets its holder post.
    pub fn encode_posting_authorization(password: &Password) -> String {
        suffix(kind::POSTING_AUTHORIZATION, &password.authorization())
    }

    /// `encodePublishAuthorization`: the text that, appended to a groupspec without authorizations, lets its holder publish.
    pub fn encode_publish_authorization(password: &Password) -> String {
        suffix(kind::PUBLISH_AUTHORIZATION, &password.authorization())
    }

    /// `encodeBootstrapPeerIDSpec`: the text that, appended to a groupspec, adds a bootstrap peer.
    pub fn encode_bootstrap_peer_id_spec(peer: &PeerId) -> String {
        suffix(kind::BOOTSTRAP_PEER, &peer.0)
    }

    /// `encodeIPMulticastAddressSpec`: the text that, appended to a groupspec, adds a multicast address.
    ///
    /// # Errors
    /// As [`GroupSpecifier::add_ip_multicast_address`].
    pub fn encode_ip_multicast_address_spec(
        address: SocketAddr,
        source: Option<IpAddr>,
    ) -> Result<String, GroupspecError> {
        Ok(suffix(kind::IP_MULTICAST_ADDRESS, &MulticastAddress::new(address, source)?.write()))
    }

    /// Adds an option to the canonical part as it is: for options whose number the caller knows and this crate does not.
    pub fn add_option(&mut self, kind: u64, value: impl Into<Vec<u8>>) {
        self.others.push((kind, value.into()));
    }

    /// The properties that are set and whose number is not established. If there are any, a member that runs Flash may compute
    /// another digest for a group with the same properties.
    pub fn unestablished(&self) -> Vec<&'static str> {
        let own = [
            (self.server_channel_enabled, "serverChannelEnabled"),
            (self.peer_to_peer_disabled, "peerToPeerDisabled"),
            (self.ip_multicast_member_updates_enabled, "ipMulticastMemberUpdatesEnabled"),
            (self.posting_password.is_some(), "setPostingPassword"),
            (self.publish_password.is_some(), "setPublishPassword"),
            (self.unique.is_some(), "makeUnique"),
            (!self.bootstrap_peers.is_empty(), "addBootstrapPeer"),
            (!self.multicast_addresses.is_empty(), "addIPMulticastAddress"),
        ];
        own.into_iter().filter(|(used, _)| *used).map(|(_, name)| name).collect()
    }

    fn options(&self) -> Vec<(u64, Vec<u8>)> {
        let mut options = Vec::new();
        if self.version == Version::Two {
            options.push((kind::VERSION, vec![2]));
        }
        let flags = [
            (self.multicast_enabled, kind::MULTICAST),
            (self.routing_enabled, kind::ROUTING),
            (self.object_replication_enabled, kind::OBJECT_REPLICATION),
            (self.posting_enabled, kind::POSTING),
        ];
        options.extend(flags.into_iter().filter(|(on, _)| *on).map(|(_, kind)| (kind, Vec::new())));
        let valued = |password: &Option<Password>| password.as_ref().map(|password| password.hash().to_vec());
        let flag = |on: bool| on.then(Vec::new);
        let rest = [
            (kind::PUBLISH_PASSWORD, valued(&self.publish_password)),
            (kind::IP_MULTICAST_MEMBER_UPDATES, flag(self.ip_multicast_member_updates_enabled)),
            (kind::PEER_TO_PEER_DISABLED, flag(self.peer_to_peer_disabled)),
            (kind::NAME, Some(self.name.as_bytes().to_vec())),
            (kind::SERVER_CHANNEL, flag(self.server_channel_enabled)),
            (kind::POSTING_PASSWORD, valued(&self.posting_password)),
            (kind::UNIQUE, self.unique.map(Vec::from)),
        ];
        options.extend(rest.into_iter().filter_map(|(kind, value)| Some((kind, value?))));
        options.extend_from_slice(&self.others);
        options
    }

    fn canonical(&self) -> Result<Groupspec, GroupspecError> {
        let options = self.options();
        Groupspec::from_options(options.iter().map(|(kind, value)| SpecOption { kind: *kind, value }))
    }

    /// `groupspecWithoutAuthorizations`: the group with its bootstrap peers and multicast addresses, but without passwords.
    ///
    /// # Errors
    /// If the text would be longer than [`MAX_LEN`](super::MAX_LEN).
    pub fn without_authorizations(&self) -> Result<Groupspec, GroupspecError> {
        let peers = self.bootstrap_peers.iter().map(Self::encode_bootstrap_peer_id_spec);
        let addresses =
            self.multicast_addresses.iter().map(|address| suffix(kind::IP_MULTICAST_ADDRESS, &address.write()));
        let suffixes: String = peers.chain(addresses).collect();
        Groupspec::parse(&format!("{}{}", self.canonical()?.as_str(), suffixes))
    }

    /// `authorizations`: the text that, appended to a groupspec without authorizations, adds all of them.
    pub fn authorizations(&self) -> String {
        let posting = self.posting_password.as_ref().map(Self::encode_posting_authorization);
        let publish = self.publish_password.as_ref().map(Self::encode_publish_authorization);
        posting.into_iter().chain(publish).collect()
    }

    /// `groupspecWithAuthorizations`, `toString`: the group with its passwords.
    ///
    /// # Errors
    /// As [`GroupSpecifier::without_authorizations`].
    pub fn with_authorizations(&self) -> Result<Groupspec, GroupspecError> {
        Groupspec::parse(&format!("{}{}", self.without_authorizations()?.as_str(), self.authorizations()))
    }

    /// `encodeGroupspecDigest`: the digest that is `GroupControl.groupspecDigest` for members of this group.
    ///
    /// # Errors
    /// As [`GroupSpecifier::without_authorizations`].
    pub fn digest(&self) -> Result<GroupDigest, GroupspecError> {
        Ok(self.canonical()?.digest())
    }
}

/// An option in hexadecimal, to be appended after the canonical part.
fn suffix(kind: u64, value: &[u8]) -> String {
    let mut suffix = Vec::new();
    option::put(kind, value, &mut suffix);
    hex::encode(suffix)
}
