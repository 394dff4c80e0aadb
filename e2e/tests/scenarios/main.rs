//! What lazymesh does on a real Envoy, one behaviour a module.

mod resolved;
