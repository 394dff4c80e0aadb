//! Throws distinct hosts and destinations at one VM, as an attacker beside the sidecar would: its memory is bounded.

use anyhow::Result;

use crate::orderly::Orderly;
use crate::vm::{Compiled, Vm};

const PLUGIN: u32 = 1;
const SIZE_OF_AN_ANSWER: u32 = 1_000;
/// So often the timer rings that the module has set.
const REQUESTS_A_TICK: u32 = 100;

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flooded {
    /// Bytes of linear memory after half of the hosts.
    pub early: usize,
    /// And after all.
    pub memory: usize,
}

/// Sends a request, and opens a connection, to so many hosts one after the other. Each is asked for and answered.
///
/// # Errors
/// When the module traps.
pub fn flood(compiled: &Compiled, hosts: u32) -> Result<Flooded> {
    let mut vm = Vm::start(compiled, Orderly::default())?;
    vm.call("proxy_on_context_create", &[PLUGIN, 0])?;
    vm.call("proxy_on_configure", &[PLUGIN, SIZE_OF_AN_ANSWER])?;
    let mut early = 0;
    for number in 0..hosts {
        vm.host().next();
        let (request, connection) = (2 + 2 * number, 3 + 2 * number);
        vm.call("proxy_on_context_create", &[request, PLUGIN])?;
        vm.call("proxy_on_request_headers", &[request, 5, 1])?;
        answer(&mut vm)?;
        vm.call("proxy_on_context_create", &[connection, PLUGIN])?;
        vm.call("proxy_on_new_connection", &[connection])?;
        answer(&mut vm)?;
        vm.call("proxy_on_downstream_data", &[connection, 14, 0])?;
        vm.call("proxy_on_delete", &[request])?;
        vm.call("proxy_on_delete", &[connection])?;
        if number % REQUESTS_A_TICK == 0 {
            vm.call("proxy_on_tick", &[PLUGIN])?;
            answer(&mut vm)?;
        }
        if number == hosts / 2 {
            early = vm.memory();
        }
    }
    Ok(Flooded {
        early,
        memory: vm.memory(),
    })
}

/// Ends the call that the module has made, if it has.
fn answer(vm: &mut Vm<Orderly>) -> Result<()> {
    while let Some(token) = vm.host().call.take() {
        let arguments = [PLUGIN, token, 1, SIZE_OF_AN_ANSWER, 0];
        vm.call("proxy_on_http_call_response", &arguments)?;
    }
    Ok(())
}
