//! One VM with the module, and the host calls as they are at the ABI: arguments in, a status and results out.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use wasmi::{
    AsContext, AsContextMut, Caller, Config, Engine, Error, ExternType, Instance, Linker, Memory,
    Module, Store, Val,
};

/// Instructions, about, that one callback may take: a hundred times what the dearest one does.
const FUEL: u64 = 1_000_000_000;

/// What a host answers to a call.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// 0 is success.
    pub(crate) status: u32,
    /// Where the call has a result of any length.
    pub(crate) bytes: Option<Vec<u8>>,
    /// Where it has one that is a number: a token, a version, the time.
    pub(crate) number: u64,
}

/// Who answers the module.
pub(crate) trait Host: Send + 'static {
    /// The answer to a call of this name. `arguments` are its numbers; `text` is what the first two of them point to.
    fn answer(&mut self, call: &str, arguments: &[u64], text: &[u8], value: &[u8]) -> Answer;
}

/// The module, ready to be run.
#[derive(Debug)]
pub struct Compiled {
    engine: Engine,
    module: Module,
}

impl Compiled {
    /// Reads the module's file.
    ///
    /// # Errors
    /// When it cannot be read, or is no module.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes =
            std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut config = Config::default();
        config.consume_fuel(true);
        let engine = Engine::new(&config);
        let module = Module::new(&engine, &bytes)?;
        Ok(Self { engine, module })
    }
}

/// The module's instance, with its host.
pub(crate) struct Vm<H> {
    store: Store<H>,
    instance: Instance,
    memory: Memory,
}

impl<H: Host> Vm<H> {
    pub(crate) fn start(compiled: &Compiled, host: H) -> Result<Self> {
        let mut store = Store::new(&compiled.engine, host);
        store.set_fuel(FUEL)?;
        let mut linker = Linker::new(&compiled.engine);
        for import in compiled.module.imports() {
            let ExternType::Func(kind) = import.ty() else {
                anyhow::bail!("the module imports {}, which is no function", import.name());
            };
            let name = import.name().to_owned();
            linker.func_new(
                import.module(),
                import.name(),
                kind.clone(),
                move |caller, arguments, results| {
                    let status = answer(caller, &name, arguments)?;
                    if let Some(result) = results.first_mut() {
                        *result = Val::I32(status.cast_signed());
                    }
                    Ok(())
                },
            )?;
        }
        let instance = linker.instantiate_and_start(&mut store, &compiled.module)?;
        let memory = instance
            .get_memory(&store, "memory")
            .context("the module exports no memory")?;
        Ok(Self {
            store,
            instance,
            memory,
        })
    }

    /// Runs a callback. An error is a trap.
    pub(crate) fn call(&mut self, callback: &str, arguments: &[u32]) -> Result<()> {
        self.store.set_fuel(FUEL)?;
        let function = self
            .instance
            .get_func(&self.store, callback)
            .with_context(|| format!("the module exports no {callback}"))?;
        let arguments: Vec<Val> = arguments
            .iter()
            .map(|number| Val::I32(number.cast_signed()))
            .collect();
        let mut results = vec![Val::I32(0); function.ty(&self.store).results().len()];
        function
            .call(&mut self.store, &arguments, &mut results)
            .map_err(|trap| anyhow!("{callback}{arguments:?} trapped: {trap}"))
    }

    pub(crate) fn host(&mut self) -> &mut H {
        self.store.data_mut()
    }

    /// Bytes of linear memory.
    pub(crate) fn memory(&self) -> usize {
        self.memory.data_size(&self.store)
    }
}

/// Where a call takes its results: the places, among its arguments, of a pointer to bytes and of a pointer to a number.
fn results(call: &str) -> (Option<usize>, Option<usize>) {
    match call {
        "proxy_get_property" => (Some(2), None),
        "proxy_get_shared_data" => (Some(2), Some(4)),
        "proxy_get_buffer_bytes" | "proxy_get_header_map_value" => (Some(3), None),
        "proxy_call_foreign_function" => (Some(4), None),
        "proxy_define_metric" => (None, Some(3)),
        "proxy_grpc_stream" => (None, Some(8)),
        "proxy_http_call" => (None, Some(9)),
        "clock_time_get" => (None, Some(2)),
        _ => (None, None),
    }
}

/// Where a call has its texts: what it is about, and what it brings.
fn texts(call: &str) -> (Option<usize>, Option<usize>) {
    match call {
        "proxy_get_header_map_value" => (Some(1), None),
        "proxy_get_property" => (Some(0), None),
        "proxy_get_shared_data" => (Some(0), None),
        "proxy_set_shared_data" => (Some(0), Some(2)),
        _ => (None, None),
    }
}

fn answer<H: Host>(mut caller: Caller<'_, H>, call: &str, arguments: &[Val]) -> Result<u32, Error> {
    let arguments: Vec<u64> = arguments
        .iter()
        .map(|argument| match argument {
            Val::I32(number) => u64::from(number.cast_unsigned()),
            Val::I64(number) => number.cast_unsigned(),
            _ => 0,
        })
        .collect();
    let memory = memory(&caller)?;
    let (about, brings) = texts(call);
    let (text, value) = (
        text(&caller, memory, &arguments, about)?,
        text(&caller, memory, &arguments, brings)?,
    );
    let answer = caller.data_mut().answer(call, &arguments, &text, &value);
    let (bytes_at, number_at) = results(call);
    if let (Some(at), Some(bytes)) = (bytes_at, &answer.bytes) {
        let data = allocate(&mut caller, bytes)?;
        let size = u32::try_from(bytes.len()).map_err(|_| Error::new("too many bytes"))?;
        memory.write(&mut caller, place(&arguments, at)?, &data.to_le_bytes())?;
        memory.write(&mut caller, place(&arguments, at + 1)?, &size.to_le_bytes())?;
    }
    if let Some(at) = number_at {
        let number = answer.number.to_le_bytes();
        // The time is the only number of eight bytes.
        let size = if call == "clock_time_get" { 8 } else { 4 };
        memory.write(&mut caller, place(&arguments, at)?, &number[..size])?;
    }
    Ok(answer.status)
}

fn memory(caller: &Caller<'_, impl Host>) -> Result<Memory, Error> {
    caller
        .get_export("memory")
        .and_then(wasmi::Extern::into_memory)
        .ok_or_else(|| Error::new("the module exports no memory"))
}

fn text(
    context: impl AsContext,
    memory: Memory,
    arguments: &[u64],
    at: Option<usize>,
) -> Result<Vec<u8>, Error> {
    let Some(at) = at else {
        return Ok(Vec::new());
    };
    let mut bytes = vec![0; place(arguments, at + 1)?];
    memory.read(&context, place(arguments, at)?, &mut bytes)?;
    Ok(bytes)
}

fn place(arguments: &[u64], at: usize) -> Result<usize, Error> {
    let argument = arguments.get(at).copied().unwrap_or(u64::MAX);
    usize::try_from(argument).map_err(|_| Error::new("no such argument"))
}

/// Has the module allocate, as a host must, and puts the bytes there.
fn allocate(caller: &mut Caller<'_, impl Host>, bytes: &[u8]) -> Result<u32, Error> {
    let allocate = caller
        .get_export("proxy_on_memory_allocate")
        .and_then(wasmi::Extern::into_func)
        .ok_or_else(|| Error::new("the module exports no allocator"))?
        .typed::<u32, u32>(caller.as_context())?;
    let size = u32::try_from(bytes.len()).map_err(|_| Error::new("too many bytes"))?;
    let data = allocate.call(caller.as_context_mut(), size)?;
    memory(caller)?.write(caller.as_context_mut(), data as usize, bytes)?;
    Ok(data)
}
