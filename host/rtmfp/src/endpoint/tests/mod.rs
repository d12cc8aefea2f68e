mod bench;
mod bounds;
mod forwarding;
mod initiators;
mod lookups;
mod responders;
mod sessions;
mod startup_packets;
