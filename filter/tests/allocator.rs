//! The module's allocator, on memory that grows by pages as a VM's does: what it gives is aligned, nobody else's, kept as it
//! was, and of a bounded whole.

#![allow(unsafe_code, reason = "an allocator is called by raw pointers")]

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::ptr::NonNull;
use std::rc::Rc;

use fastrand::Rng;

use talc::base::Talc;
use talc::base::binning::Binning;
use talc::cell::TalcCell;
use talc::source::Source;
use talc::wasm::WasmBinning;

const PAGE: usize = 64 << 10;
/// As much as the module's memory may be.
const MOST_PAGES: usize = 128;

/// Memory of a VM: pages follow each other.
#[derive(Debug)]
struct Pages {
    memory: Vec<u8>,
    used: Rc<Cell<usize>>,
    end: Option<NonNull<u8>>,
}

// SAFETY: it calls no allocator, for all memory is there from the beginning.
unsafe impl Source for Pages {
    fn acquire<B: Binning>(talc: &mut Talc<Self, B>, layout: Layout) -> Result<(), ()> {
        let pages = &mut talc.source;
        // As talc's own source for a VM, `WasmGrowAndExtend`, asks for them.
        let more = (layout.size() + layout.align() + PAGE / 64).div_ceil(PAGE);
        let used = pages.used.get();
        if used + more > MOST_PAGES {
            return Err(());
        }
        let base = pages.memory.as_mut_ptr().wrapping_add(used * PAGE);
        pages.used.set(used + more);
        let end = base.wrapping_add(more * PAGE);
        talc.source.end = match talc.source.end.take() {
            // SAFETY: what is between the two ends is memory that nobody has used yet.
            Some(old) => Some(unsafe { talc.extend(old, end) }),
            // SAFETY: as above.
            None => unsafe { talc.claim(base, more * PAGE) },
        };
        Ok(())
    }
}

/// What the allocator has given, by its address.
struct Heap {
    allocator: TalcCell<Pages, WasmBinning>,
    pages: Rc<Cell<usize>>,
    blocks: BTreeMap<usize, (Layout, u8)>,
    /// Of the blocks, in no order.
    addresses: Vec<usize>,
    bytes: usize,
}

impl Heap {
    fn new() -> Self {
        let pages = Rc::new(Cell::new(0));
        Self {
            allocator: TalcCell::new(Pages {
                memory: vec![0; MOST_PAGES * PAGE],
                used: Rc::clone(&pages),
                end: None,
            }),
            pages,
            blocks: BTreeMap::new(),
            addresses: Vec::new(),
            bytes: 0,
        }
    }

    /// Takes a block out of the books.
    fn take(&mut self, index: usize) -> (usize, Layout, u8) {
        let at = self.addresses.swap_remove(index);
        let (layout, fill) = self.blocks.remove(&at).expect("a block");
        self.bytes -= layout.size();
        (at, layout, fill)
    }

    fn allocate(&mut self, layout: Layout, fill: u8) {
        // SAFETY: no layout here is empty.
        let block = unsafe { self.allocator.alloc(layout) };
        self.keep(block, layout, fill, 0);
    }

    fn reallocate(&mut self, index: usize, size: usize) {
        let (at, layout, fill) = self.take(index);
        // SAFETY: the block is one of this allocator's, and has this layout.
        let block = unsafe { self.allocator.realloc(at as *mut u8, layout, size) };
        let kept = layout.size().min(size);
        let layout = Layout::from_size_align(size, layout.align()).expect("a layout");
        self.keep(block, layout, fill, kept);
    }

    fn free(&mut self, index: usize) {
        let (at, layout, fill) = self.take(index);
        is_filled(at, layout.size(), fill);
        // SAFETY: as in `reallocate`.
        unsafe { self.allocator.dealloc(at as *mut u8, layout) };
    }

    /// Notes a block of which the first bytes must be what was written there.
    fn keep(&mut self, block: *mut u8, layout: Layout, fill: u8, kept: usize) {
        assert!(!block.is_null(), "{layout:?} was not to be had");
        let at = block as usize;
        assert_eq!(at % layout.align(), 0, "{layout:?}");
        let before = self.blocks.range(..at).next_back();
        assert!(before.is_none_or(|(other, (layout, _))| other + layout.size() <= at));
        let behind = self.blocks.range(at..).next();
        assert!(behind.is_none_or(|(other, _)| at + layout.size() <= *other));
        is_filled(at, kept, fill);
        // SAFETY: the allocator has given these bytes.
        unsafe { block.write_bytes(fill, layout.size()) };
        self.blocks.insert(at, (layout, fill));
        self.addresses.push(at);
        self.bytes += layout.size();
    }
}

fn is_filled(at: usize, size: usize, fill: u8) {
    // SAFETY: the bytes are of a block that is not free, and were written.
    let bytes = unsafe { std::slice::from_raw_parts(at as *const u8, size) };
    assert_eq!(bytes, vec![fill; size], "somebody wrote into a block");
}

/// Mostly names and entries, at times a table or an answer.
fn size(random: &mut Rng) -> usize {
    let most = *random
        .choice(&[16, 64, 64, 300, 300, 4_000, 20_000])
        .expect("a size");
    random.usize(1..=most)
}

/// So many steps, with about so many bytes in use.
fn run(seed: u64, steps: usize, bytes: usize) -> Heap {
    let mut random = Rng::with_seed(seed);
    let mut heap = Heap::new();
    for _ in 0..steps {
        let blocks = heap.addresses.len();
        let is_full = heap.bytes > bytes;
        match random.u8(..8) {
            0 if blocks > 0 => heap.reallocate(random.usize(..blocks), size(&mut random)),
            1..4 if blocks > 0 => heap.free(random.usize(..blocks)),
            _ if is_full => heap.free(random.usize(..blocks)),
            _ => {
                let align = *random
                    .choice(&[1, 1, 4, 8, 8, 16, 64])
                    .expect("an alignment");
                let layout = Layout::from_size_align(size(&mut random), align);
                heap.allocate(layout.expect("a layout"), random.u8(..));
            }
        }
    }
    heap
}

#[test]
fn blocks_are_aligned_and_nobody_else_s() {
    for seed in 0..50 {
        let mut heap = run(seed, 2_000, 1 << 20);
        while !heap.addresses.is_empty() {
            heap.free(0);
        }
    }
}

#[test]
fn memory_that_comes_and_goes_for_ever_is_bounded() {
    const BYTES: usize = 1 << 20;
    let [early, late] = [20_000, 200_000].map(|steps| run(1, steps, BYTES).pages.get());
    assert!(
        late <= early + 2 && late * PAGE <= 2 * BYTES,
        "{early} pages, then {late}"
    );
}
