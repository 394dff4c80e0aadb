//! Calls the module's callbacks in any order, on a host that answers as it likes: nothing may trap.

use anyhow::{Context as _, Result};
use fastrand::Rng;

use crate::hostile::Hostile;
use crate::vm::{Compiled, Vm};

/// Callbacks on one instance before the next one is taken.
const CALLS_OF_AN_INSTANCE: u64 = 10_000;
/// Most requests and connections at once: a host ends what it has begun.
const MOST_STREAMS: usize = 100;
/// Numbers of contexts that may be plugins'.
const PLUGINS: u32 = 3;

/// What was tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fuzzed {
    /// Callbacks.
    pub calls: u64,
    /// Most bytes of linear memory that an instance had.
    pub memory: usize,
}

/// Makes so many calls, from this seed on.
///
/// # Errors
/// The first trap, with the seed of its instance and the number of the call.
pub fn fuzz(compiled: &Compiled, calls: u64, seed: u64) -> Result<Fuzzed> {
    let mut fuzzed = Fuzzed::default();
    let mut seed = seed;
    while fuzzed.calls < calls {
        let most = CALLS_OF_AN_INSTANCE.min(calls - fuzzed.calls);
        let memory = instance(compiled, most, seed)
            .with_context(|| format!("on the instance of seed {seed}"))?;
        fuzzed.calls += most;
        fuzzed.memory = fuzzed.memory.max(memory);
        seed = seed.wrapping_add(1);
    }
    Ok(fuzzed)
}

fn instance(compiled: &Compiled, calls: u64, seed: u64) -> Result<usize> {
    let mut vm = Vm::start(compiled, Hostile::new(seed))?;
    let mut streams = Streams::default();
    for number in 0..calls {
        let (callback, arguments) = match number {
            0 => ("proxy_on_context_create", vec![1, 0]),
            1 => ("proxy_on_configure", vec![1, 100]),
            _ => next(vm.host().random(), &mut streams),
        };
        vm.call(callback, &arguments)
            .with_context(|| format!("call {number}"))?;
    }
    Ok(vm.memory())
}

/// Requests and connections that the module knows.
#[derive(Default)]
struct Streams {
    live: Vec<u32>,
    last: u32,
}

fn next(random: &mut Rng, streams: &mut Streams) -> (&'static str, Vec<u32>) {
    let plugin = 1 + random.u32(..PLUGINS);
    let stream = match random.choice(&streams.live) {
        Some(stream) if random.u8(..) > 4 => *stream,
        _ => random.u32(..),
    };
    let (size, flag) = (random.u32(..100_000), random.u32(..2));
    match random.u8(..64) {
        0..14 if streams.live.len() < MOST_STREAMS => {
            streams.last = streams.last.wrapping_add(random.u32(1..3));
            let created = 100 + streams.last;
            streams.live.push(created);
            let owner = if random.u8(..) < 4 { plugin } else { 1 };
            ("proxy_on_context_create", vec![created, owner])
        }
        0..18 => {
            streams.live.retain(|live| *live != stream);
            ("proxy_on_delete", vec![stream])
        }
        18..34 => ("proxy_on_request_headers", vec![stream, size, flag]),
        34..40 => ("proxy_on_new_connection", vec![stream]),
        40..46 => ("proxy_on_downstream_data", vec![stream, size, flag]),
        46..58 => {
            let token = random.u32(..8);
            let arguments = vec![plugin, token, size, size % 20_000, flag];
            ("proxy_on_http_call_response", arguments)
        }
        58..62 => ("proxy_on_tick", vec![plugin]),
        62 => ("proxy_on_configure", vec![plugin, size]),
        _ if flag == 0 => ("proxy_on_delete", vec![plugin]),
        _ => ("proxy_on_context_create", vec![plugin, 0]),
    }
}
