//! Two ends and a bad network between them. Everything depends on the seed alone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::flow::config::FlowConfig;
use crate::flow::event::FlowEvent;
use crate::flow::flows::Flows;
use crate::flow::timing::Timing;
use crate::test_clock::test_clock;
use crate::wire::{Chunk, packet};

pub(super) const LIMIT: usize = 1160;

/// A small generator of pseudorandom numbers (SplitMix64).
#[derive(Debug)]
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.roll() % bound
    }

    pub(super) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// How bad the network is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weather {
    pub(super) loss: u64,
    pub(super) duplicates: u64,
    /// One-way delay.
    pub(super) delay: Duration,
    /// The most that is added to it.
    pub(super) jitter: Duration,
}

pub(super) const CALM: Weather =
    Weather { loss: 0, duplicates: 0, delay: Duration::from_millis(10), jitter: Duration::ZERO };
pub(super) const STORM: Weather =
    Weather { loss: 30, duplicates: 10, delay: Duration::from_millis(20), jitter: Duration::from_millis(40) };

/// One end.
#[derive(Debug)]
pub(super) struct End {
    pub(super) flows: Flows,
    pub(super) events: Vec<FlowEvent>,
    pub(super) packets_sent: usize,
    erto: Duration,
}

impl End {
    fn timing(&self, now: Instant) -> Timing {
        Timing { now, erto: self.erto, smoothed_rtt: None }
    }
}

/// Gives the chunks of a packet to flows.
pub(super) fn receive(flows: &mut Flows, timing: &Timing, bytes: &[u8], time_critical_reverse: bool) {
    for raw in packet::chunks(bytes) {
        match Chunk::parse(raw) {
            Ok(Chunk::UserData(chunk)) => flows.on_user_data(timing, &chunk),
            Ok(Chunk::NextUserData(chunk)) => flows.on_next_user_data(timing, &chunk),
            Ok(Chunk::Ack(chunk)) => flows.on_ack(timing, &chunk),
            Ok(Chunk::BufferProbe(chunk)) => flows.on_buffer_probe(timing, &chunk),
            Ok(Chunk::FlowException(chunk)) => flows.on_exception(timing, &chunk),
            _ => (),
        }
    }
    flows.on_packet_end(timing, time_critical_reverse);
}

/// Both ends, the network, and the time.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) now: Instant,
    pub(super) ends: [End; 2],
    pub(super) weather: Weather,
    pub(super) dice: Dice,
    /// By time of arrival and a running number: the receiving end and the packet.
    network: BTreeMap<(Instant, u64), (usize, Vec<u8>)>,
    sent: u64,
}

const ERTO: Duration = Duration::from_millis(300);

impl Pair {
    pub(super) fn new(seed: u64, weather: Weather, config: FlowConfig) -> Self {
        let config = Arc::new(config);
        let end = || End { flows: Flows::new(config.clone()), events: Vec::new(), packets_sent: 0, erto: ERTO };
        let network = BTreeMap::new();
        Self { now: test_clock(), ends: [end(), end()], weather, dice: Dice(seed), network, sent: 0 }
    }

    pub(super) fn timing(&self, end: usize) -> Timing {
        self.ends[end].timing(self.now)
    }

    /// Sends all that wants to be sent, and collects events.
    fn flush(&mut self) {
        for (index, end) in self.ends.iter_mut().enumerate() {
            loop {
                end.events.extend(std::iter::from_fn(|| end.flows.poll_event()));
                let timing = Timing { now: self.now, erto: end.erto, smoothed_rtt: None };
                if !end.flows.wants_transmit(&timing) {
                    break;
                }
                let mut bytes = Vec::new();
                if !end.flows.fill(&timing, &mut bytes, LIMIT).anything {
                    assert!(bytes.is_empty());
                    break;
                }
                assert!(!bytes.is_empty() && bytes.len() <= LIMIT);
                end.packets_sent += 1;
                let copies = u64::from(!self.dice.chance(self.weather.loss))
                    + u64::from(self.dice.chance(self.weather.duplicates));
                for _ in 0..copies {
                    let jitter = self.dice.below(self.weather.jitter.as_micros() as u64 + 1);
                    let arrival = self.now + self.weather.delay + Duration::from_micros(jitter);
                    self.sent += 1;
                    self.network.insert((arrival, self.sent), (1 - index, bytes.clone()));
                }
            }
        }
    }

    /// Goes on to the next thing that happens, if it does before `until`.
    pub(super) fn step(&mut self, until: Instant) -> bool {
        self.flush();
        let arrival = self.network.first_key_value().map(|(&(at, _), _)| at);
        let timeout = self.ends.iter().filter_map(|end| end.flows.next_timeout()).min();
        let Some(next) = [arrival, timeout].into_iter().flatten().min().filter(|&next| next <= until) else {
            self.now = self.now.max(until);
            return false;
        };
        self.now = self.now.max(next);
        if let Some(entry) = self.network.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let (to, bytes) = entry.remove();
            let timing = self.timing(to);
            let end = &mut self.ends[to];
            receive(&mut end.flows, &timing, &bytes, false);
            end.erto = ERTO;
        }
        for end in &mut self.ends {
            if end.flows.next_timeout().is_some_and(|at| at <= self.now) {
                let timing = end.timing(self.now);
                if end.flows.on_timeout(&timing) {
                    end.erto = end.erto.mul_f64(std::f64::consts::SQRT_2).min(Duration::from_secs(10));
                }
            }
        }
        self.flush();
        true
    }

    /// Lets time pass.
    pub(super) fn run(&mut self, time: Duration) {
        let until = self.now + time;
        let mut steps = 0;
        while self.step(until) {
            steps += 1;
            assert!(steps < 1_000_000, "something happens for ever");
        }
    }

    /// The messages that an end has received, and forgets them.
    pub(super) fn messages(&mut self, end: usize) -> Vec<(u64, Vec<u8>)> {
        let mut messages = Vec::new();
        self.ends[end].events.retain(|event| match event {
            FlowEvent::Message { flow, data, .. } => {
                messages.push((flow.0, data.clone()));
                false
            }
            _ => true,
        });
        messages
    }
}
