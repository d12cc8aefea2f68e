//! The calls into a plugin that keeps a registry.

use std::path::Path;

use introd_config::XmlSettings;
use introd_plugin::abi;
use introd_policy::registry::PeerSession;
use rtmfp::{PeerId, TaggedAddress};
use tokio::sync::oneshot;

use super::PluginInstance;
use crate::account::Callback;
use crate::answer::{Answer, PluginAnswer, Subject};
use crate::registry::Reconfigured;
use crate::values::{error_name, raw_address, raw_bytes, raw_client, raw_peer};
use introd_policy::{Addresses, Verdict};

impl PluginInstance {
    pub(crate) fn has_registry(&self) -> bool {
        self.registry.is_some()
    }

    pub(crate) fn publish(&self, peer: PeerId, addresses: &[TaggedAddress]) -> i32 {
        let Some(publish) = self.registry.as_ref().and_then(|table| table.publish) else {
            return abi::INTROD_E_UNSUPPORTED;
        };
        let peer = raw_peer(peer);
        let addresses: Vec<_> = addresses.iter().map(|address| raw_address(*address)).collect();
        self.notify(Callback::Publish, || {
            // SAFETY: these are the plugin's own function and instance, and the arguments are as the header says.
            unsafe { publish(self.made, &raw const peer, addresses.as_ptr(), addresses.len()) }
        })
    }

    /// The status; `None` if the plugin was built before sessions were part of publications.
    pub(crate) fn publish_session(
        &self,
        peer: PeerId,
        addresses: &[TaggedAddress],
        session: PeerSession,
    ) -> Option<i32> {
        let publish_session = self.registry.as_ref()?.publish_session?;
        let addresses: Vec<_> = addresses.iter().map(|address| raw_address(*address)).collect();
        let flag = |is_set: bool, flag: u32| if is_set { flag } else { 0 };
        let publication = abi::introd_publication {
            struct_size: size_of::<abi::introd_publication>() as u32,
            flags: flag(session.is_proven, abi::INTROD_PUBLICATION_PROVEN)
                | flag(session.is_silent, abi::INTROD_PUBLICATION_SILENT),
            client: raw_client(session.id, peer),
            addresses: addresses.as_ptr(),
            address_count: addresses.len(),
        };
        Some(self.notify(Callback::Publish, || {
            // SAFETY: these are the plugin's own function and instance, and the arguments are as the header says.
            unsafe { publish_session(self.made, &raw const publication) }
        }))
    }

    pub(crate) fn withdraw(&self, peer: &PeerId) {
        let Some(withdraw) = self.registry.as_ref().and_then(|table| table.withdraw) else { return };
        let peer = raw_peer(*peer);
        // SAFETY: these are the plugin's own function and instance, and the arguments are as the header says.
        self.notify(Callback::Withdraw, || unsafe { withdraw(self.made, &raw const peer) });
    }

    /// Asks where a peer can be reached. A verdict that comes later goes to `reply`.
    pub(crate) fn find(&self, peer: PeerId, reply: oneshot::Sender<Verdict>) -> PluginAnswer {
        let Some(lookup) = self.registry.as_ref().and_then(|table| table.lookup) else {
            return PluginAnswer::Verdict(Verdict::Redirect(Addresses::new()));
        };
        let peer = raw_peer(peer);
        let mut answer = Answer::new(Subject::Registry, self.context.owner, None);
        answer.reply = Some(reply);
        // SAFETY: these are the plugin's own function and instance, and the arguments are as the header says.
        self.ask(Callback::Find, answer, |answer| unsafe { lookup(self.made, &raw const peer, answer) })
    }

    /// Gives the registry the settings that the configuration has now. `None` if it was built before it could take them.
    pub(crate) fn reconfigure(&self, config: &XmlSettings, root: &Path) -> Option<Reconfigured> {
        let reconfigure = self.registry.as_ref()?.reconfigure?;
        let (config, root) = (config.to_xml("Config"), root.to_string_lossy());
        let create = abi::introd_create {
            struct_size: size_of::<abi::introd_create>() as u32,
            reserved: 0,
            config: raw_bytes(config.as_bytes()),
            root: raw_bytes(root.as_bytes()),
            handed_over: raw_bytes(&[]),
        };
        let mut answer = Answer::new(Subject::Create, self.context.owner, None);
        if self.is_disabled() {
            return Some(Reconfigured::Failed(error_name(abi::INTROD_E_PANIC).to_owned()));
        }
        let status = self.call(Callback::Reconfigure, || {
            // SAFETY: these are the plugin's own function and instance, and the arguments are as the header says.
            answer.during(|answer| unsafe { reconfigure(self.made, &raw const create, answer) })
        });
        Some(match (status, answer.verdict(status)) {
            (abi::INTROD_E_UNSUPPORTED, _) => Reconfigured::AtNextStart,
            (_, Verdict::Failed(why)) => Reconfigured::Failed(why),
            _ => Reconfigured::Now,
        })
    }
}
