use super::*;
use crate::tests::bench::{Bench, PLACE};
use crate::tests::fake::Fake;

impl PluginInstance {
    /// What stands behind an instance of the plugin of these tests.
    pub(crate) fn fake(&self) -> &'static Fake {
        assert!(self.library.name().starts_with("fake"));
        // SAFETY: that plugin makes such instances, and they last.
        unsafe { &*self.made.cast::<Fake>() }
    }

    /// Calls the plugin.
    pub(crate) fn tell_of_a_disconnect(&self) {
        self.disconnect(rtmfp::SessionId::from_wire(1), rtmfp::PeerId([1; 32]), PLACE, "gone");
    }
}

#[test]
fn a_callback_holds_up_the_network_from_ten_milliseconds_on_unless_it_may_block() {
    let bench = Bench::new();
    let (instance, _) = bench.instance();
    instance.charge(Callback::Lookup, SLOW - Duration::from_nanos(1));
    assert_eq!(instance.account.slow(), 0);
    instance.charge(Callback::Lookup, SLOW);
    instance.charge(Callback::Disconnect, 2 * SLOW);
    assert_eq!(instance.account.slow(), 2);
    for callback in [Callback::Create, Callback::Destroy, Callback::Timer] {
        instance.charge(callback, 100 * SLOW);
    }
    assert_eq!((instance.account.slow(), instance.account.calls()), (2, 6));
    assert_eq!(instance.account.time(), 304 * SLOW - Duration::from_nanos(1));
}
