//! A Wasm module from the outside: what Envoy will find when it loads it.

use serde::Serialize;
use wasmparser::{Encoding, ExternalKind, Parser, Payload, TypeRef};

use crate::Error;

/// A function whose name tells the version of the proxy-wasm ABI; its body is empty.
const ABI_PREFIX: &str = "proxy_abi_version_";

/// What a module says about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Module {
    /// Bytes of the module.
    pub size: u64,
    /// Version of the proxy-wasm ABI, such as `0.2.1`; none if it is not a proxy-wasm module.
    pub abi_version: Option<String>,
    /// What the host must provide, as `module.name`.
    pub imports: Vec<String>,
    /// What the host may use: functions, memories, globals and tables.
    pub exports: Vec<String>,
    /// Linear memories, own and imported.
    pub memories: Vec<Memory>,
}

/// Bounds of a linear memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// Bytes at the start.
    pub initial_bytes: u64,
    /// Bytes at most; none if the module sets no bound of its own.
    pub maximum_bytes: Option<u64>,
}

impl Module {
    /// Reads the structure of a module. Function bodies are not looked into: validating them is Envoy's part.
    ///
    /// # Errors
    /// [`Error::NotWasm`] when the bytes are not a core WebAssembly module.
    pub fn read(bytes: &[u8]) -> Result<Self, Error> {
        if !bytes.starts_with(b"\0asm") {
            return Err(Error::NotWasm("it does not start with \\0asm".to_owned()));
        }
        let mut module = Self {
            size: bytes.len() as u64,
            ..Self::default()
        };
        for payload in Parser::new(0).parse_all(bytes) {
            module.take(payload.map_err(not_wasm)?)?;
        }
        Ok(module)
    }

    fn take(&mut self, payload: Payload<'_>) -> Result<(), Error> {
        match payload {
            Payload::Version {
                encoding: Encoding::Component,
                ..
            } => {
                return Err(Error::NotWasm(
                    "it is a component, not a core module".to_owned(),
                ));
            }
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    let import = import.map_err(not_wasm)?;
                    self.imports
                        .push(format!("{}.{}", import.module, import.name));
                    if let TypeRef::Memory(memory) = import.ty {
                        self.memories.push(memory.into());
                    }
                }
            }
            Payload::MemorySection(memories) => {
                for memory in memories {
                    self.memories.push(memory.map_err(not_wasm)?.into());
                }
            }
            Payload::ExportSection(exports) => {
                for export in exports {
                    let export = export.map_err(not_wasm)?;
                    self.export(export.name, export.kind);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn export(&mut self, name: &str, kind: ExternalKind) {
        if let (ExternalKind::Func, Some(version)) = (kind, name.strip_prefix(ABI_PREFIX)) {
            self.abi_version = Some(version.replace('_', "."));
        }
        self.exports.push(name.to_owned());
    }
}

impl From<wasmparser::MemoryType> for Memory {
    fn from(memory: wasmparser::MemoryType) -> Self {
        let page = 1_u64 << memory.page_size_log2.unwrap_or(16).min(63);
        Self {
            initial_bytes: memory.initial.saturating_mul(page),
            maximum_bytes: memory.maximum.map(|pages| pages.saturating_mul(page)),
        }
    }
}

fn not_wasm(error: wasmparser::BinaryReaderError) -> Error {
    Error::NotWasm(crate::error::excerpt(error.message()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(bytes: &[u8], expect: &str) {
        let error = Module::read(bytes).expect_err("refused").to_string();
        assert!(error.contains(expect), "{error}");
    }

    #[test]
    fn what_is_no_module() {
        refused(b"", "does not start with");
        refused(b"<html>", "does not start with");
        refused(b"\0asm", "not a WebAssembly module");
        refused(b"\0asm\x0d\0\x01\0", "component");
        refused(b"\0asm\x01\0\0\0\x05\xff", "not a WebAssembly module");
    }

    /// Type, import `env.log`, function, memory 1..2 pages, global, exports, code.
    #[test]
    fn a_small_proxy_wasm_module() {
        let mut bytes =
            b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x02\x0b\x01\x03env\x03log\0\0".to_vec();
        bytes.extend(b"\x03\x02\x01\0\x05\x04\x01\x01\x01\x02\x06\x06\x01\x7f\0\x41\0\x0b");
        bytes.extend(b"\x07\x3e\x03\x17proxy_abi_version_0_2_1\0\x01\x06memory\x02\0");
        // A version is told by a function only.
        bytes.extend(b"\x17proxy_abi_version_9_9_9\x03\0");
        bytes.extend(b"\x0a\x04\x01\x02\0\x0b");
        let module = Module::read(&bytes).expect("a module");
        assert_eq!(module.abi_version.as_deref(), Some("0.2.1"));
        assert_eq!(module.imports, ["env.log"]);
        assert_eq!(
            module.exports,
            [
                "proxy_abi_version_0_2_1",
                "memory",
                "proxy_abi_version_9_9_9"
            ]
        );
        assert_eq!(
            module.memories,
            [Memory {
                initial_bytes: 65_536,
                maximum_bytes: Some(131_072)
            }]
        );
    }
}
