//! The table of what callers hold: a handle is a number of it, and no address.
//!
//! A number names a slot, how often that slot was used before, and the kind of what is in it. So what was
//! freed, what is of another kind, and what never was a handle are told apart without looking at memory
//! that may not be there. A call pins the slot while it lasts: what is freed meanwhile by another
//! thread is dropped by the last call that uses it.
//!
//! There is no lock in here. A child that was forked while another thread was inside can go on.

use std::any::Any;
use std::cell::UnsafeCell;
use std::ptr;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64};

/// What is behind a handle.
pub(super) type Object = Box<dyn Any + Send + Sync>;

/// The slots of the first segment; each further one has twice as many.
const FIRST: u32 = 64;
const SEGMENTS: usize = 18;
/// How many handles there can be at a time.
const CAPACITY: u32 = FIRST * ((1 << SEGMENTS) - 1);

/// A handle, taken apart: `MARK` in the upper 4 bits, then the kind (4), the generation (32), the index
/// (24). No address that a program can have begins like that: whoever looks behind a handle faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Number {
    pub(super) kind: u8,
    generation: u32,
    index: u32,
}

const MARK: u64 = 0xc;

impl Number {
    pub(super) fn to_bits(self) -> u64 {
        let (kind, generation) = (u64::from(self.kind), u64::from(self.generation));
        MARK << 60 | kind << 56 | generation << 24 | u64::from(self.index)
    }

    /// `None` for what cannot have come from here.
    pub(super) fn from_bits(bits: u64) -> Option<Number> {
        let kind = (bits >> 56 & 0xf) as u8;
        let (generation, index) = ((bits >> 24) as u32, (bits & 0xff_ffff) as u32);
        (bits >> 60 == MARK && kind != 0).then_some(Number { kind, generation, index })
    }
}

/// The state of a slot: generation (32 bits), kind (4, 0 where it is vacant), freed (1), poisoned (1),
/// and how many calls use it (26).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State(u64);

impl State {
    const FREED: u64 = 1 << 27;
    const POISONED: u64 = 1 << 26;
    const USERS: u64 = State::POISONED - 1;

    fn vacant(generation: u32) -> State {
        State(u64::from(generation) << 32)
    }

    fn of(number: Number) -> State {
        State(u64::from(number.generation) << 32 | u64::from(number.kind) << 28)
    }

    fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }

    fn holds(self, number: Number) -> bool {
        self.0 >> 28 == State::of(number).0 >> 28 && self.0 & State::FREED == 0
    }

    fn is_held(self) -> bool {
        self.0 >> 28 & 0xf != 0 && self.0 & State::FREED == 0
    }

    fn users(self) -> u64 {
        self.0 & State::USERS
    }
}

#[derive(Debug)]
struct Slot {
    state: AtomicU64,
    /// The next vacant slot and 1; 0 for the last one.
    next: AtomicU32,
    object: UnsafeCell<Option<Object>>,
}

// SAFETY: what is in the cell may be shared by threads, as its type says. It is written by one thread
// alone, which is the only one that has the slot: it took it from the list of vacant ones and has not
// published it, or it found it freed without users.
unsafe impl Sync for Slot {}

/// Slots, which never move and are never given back to the allocator.
#[derive(Debug)]
pub(super) struct Table {
    segments: [AtomicPtr<Slot>; SEGMENTS],
    /// How many slots were ever used.
    used: AtomicU32,
    /// The first vacant one and 1 in the lower half; in the upper one how often this was written, so that
    /// nobody mistakes a slot that went and came back.
    vacant: AtomicU64,
}

impl Table {
    pub(super) const fn new() -> Table {
        Table {
            segments: [const { AtomicPtr::new(ptr::null_mut()) }; SEGMENTS],
            used: AtomicU32::new(0),
            vacant: AtomicU64::new(0),
        }
    }

    /// Puts an object in; `None` where the table is full. `kind`: 1 to 15.
    pub(super) fn insert(&self, kind: u8, object: Object) -> Option<Number> {
        let (index, slot) = self.take_vacant()?;
        // SAFETY: this thread alone has the slot, and nobody reads it before it is published.
        unsafe { *slot.object.get() = Some(object) };
        let generation = State(slot.state.load(Relaxed)).generation();
        let number = Number { kind, generation, index };
        slot.state.store(State::of(number).0, Release);
        Some(number)
    }

    /// Keeps what the number names from being dropped; `None` where it was freed, or never was.
    pub(super) fn pin(&self, number: Number) -> Option<Pin<'_>> {
        let slot = self.slot(number.index)?;
        let mut state = slot.state.load(Acquire);
        loop {
            if !State(state).holds(number) || State(state).users() == State::USERS {
                return None;
            }
            match slot.state.compare_exchange_weak(state, state + 1, Acquire, Acquire) {
                Ok(_) => return Some(Pin { table: self, slot, index: number.index }),
                Err(now) => state = now,
            }
        }
    }

    /// Takes it out. What is behind it is dropped now, or by the last call that uses it.
    pub(super) fn remove(&self, number: Number) {
        let Some(slot) = self.slot(number.index) else { return };
        let free = |state| State(state).holds(number).then_some(state | State::FREED);
        if let Ok(before) = slot.state.fetch_update(AcqRel, Acquire, free)
            && State(before).users() == 0
        {
            self.vacate(number.index, slot);
        }
    }

    /// How many there are. Counts them.
    pub(super) fn count(&self) -> usize {
        let used = self.used.load(Acquire);
        let held = |slot: &Slot| State(slot.state.load(Acquire)).is_held();
        (0..used).filter_map(|index| self.slot(index)).filter(|slot| held(slot)).count()
    }

    /// Drops what is in a slot that was freed and has no users.
    fn vacate(&self, index: u32, slot: &Slot) {
        // SAFETY: it is freed, so nobody begins to use it, and its last user has left: the one thread that
        // saw that is this one.
        let object = unsafe { (*slot.object.get()).take() };
        let generation = State(slot.state.load(Relaxed)).generation().wrapping_add(1);
        slot.state.store(State::vacant(generation).0, Release);
        // A slot whose numbers are used up stays empty: none of them ever means two things.
        if generation != 0 {
            self.push_vacant(index, slot);
        }
        drop(object);
    }

    fn push_vacant(&self, index: u32, slot: &Slot) {
        let push = |head: u64| {
            slot.next.store(head as u32, Relaxed);
            Some((head >> 32).wrapping_add(1) << 32 | u64::from(index + 1))
        };
        // It is never refused.
        let _head = self.vacant.fetch_update(AcqRel, Acquire, push);
    }

    fn take_vacant(&self) -> Option<(u32, &Slot)> {
        let pop = |head: u64| {
            let index = (head as u32).checked_sub(1)?;
            let next = self.slot(index)?.next.load(Relaxed);
            Some((head >> 32).wrapping_add(1) << 32 | u64::from(next))
        };
        let index = match self.vacant.fetch_update(AcqRel, Acquire, pop) {
            Ok(head) => head as u32 - 1,
            Err(_) => {
                let grow = |used: u32| (used < CAPACITY).then_some(used + 1);
                self.used.fetch_update(AcqRel, Acquire, grow).ok()?
            }
        };
        let (segment, _) = place(index);
        self.ensure(segment);
        Some((index, self.slot(index)?))
    }

    fn slot(&self, index: u32) -> Option<&Slot> {
        if index >= CAPACITY {
            return None;
        }
        let (segment, offset) = place(index);
        let first = self.segments[segment].load(Acquire);
        if first.is_null() {
            return None;
        }
        // SAFETY: a segment is published once, with as many slots as `place` counts on, and stays.
        Some(unsafe { &*first.add(offset) })
    }

    fn ensure(&self, segment: usize) {
        let place = &self.segments[segment];
        if !place.load(Acquire).is_null() {
            return;
        }
        let new = || Slot {
            state: AtomicU64::new(State::vacant(1).0),
            next: AtomicU32::new(0),
            object: UnsafeCell::new(None),
        };
        let slots: Box<[Slot]> = (0..FIRST << segment).map(|_| new()).collect();
        let slots = Box::into_raw(slots);
        if place.compare_exchange(ptr::null_mut(), slots.cast(), AcqRel, Acquire).is_err() {
            // SAFETY: another thread was first; nobody has seen this box.
            drop(unsafe { Box::from_raw(slots) });
        }
    }
}

/// The segment of a slot, and its place there.
fn place(index: u32) -> (usize, usize) {
    let segment = (index / FIRST + 1).ilog2();
    (segment as usize, (index - FIRST * ((1 << segment) - 1)) as usize)
}

/// A slot in use.
#[derive(Debug)]
pub(super) struct Pin<'a> {
    table: &'a Table,
    slot: &'a Slot,
    index: u32,
}

impl Pin<'_> {
    pub(super) fn object(&self) -> Option<&(dyn Any + Send + Sync)> {
        // SAFETY: while the slot is pinned nobody writes to the cell.
        unsafe { (*self.slot.object.get()).as_deref() }
    }

    pub(super) fn is_poisoned(&self) -> bool {
        self.slot.state.load(Acquire) & State::POISONED != 0
    }

    pub(super) fn poison(&self) {
        self.slot.state.fetch_or(State::POISONED, AcqRel);
    }

    /// As a drop, where memory must not be given back, as in a signal handler. Should somebody have freed
    /// the handle meanwhile, against its rules, what is behind it is never dropped.
    pub(super) fn leave(self) {
        self.slot.state.fetch_sub(1, AcqRel);
        std::mem::forget(self);
    }
}

impl Drop for Pin<'_> {
    fn drop(&mut self) {
        let before = State(self.slot.state.fetch_sub(1, AcqRel));
        if before.users() == 1 && before.0 & State::FREED != 0 {
            self.table.vacate(self.index, self.slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    fn insert(table: &Table, value: u32) -> Number {
        table.insert(1, Box::new(value)).unwrap()
    }

    fn value(table: &Table, number: Number) -> Option<u32> {
        let pin = table.pin(number)?;
        pin.object()?.downcast_ref().copied()
    }

    #[test]
    fn a_number_that_was_freed_never_means_anything_again() {
        let table = Table::new();
        let first = insert(&table, 1);
        assert_eq!(value(&table, first), Some(1));
        table.remove(first);
        table.remove(first);
        let second = insert(&table, 2);
        assert_eq!(second.index, first.index, "the slot is used again");
        assert_eq!((value(&table, first), value(&table, second)), (None, Some(2)));
        assert_eq!(value(&table, Number { kind: 2, ..second }), None);
        assert_eq!(value(&table, Number { index: 70, ..second }), None);
        assert_eq!(value(&table, Number { index: 0xff_ffff, ..second }), None);
        assert_eq!(table.count(), 1);
    }

    #[test]
    fn a_slot_whose_numbers_are_used_up_stays_empty() {
        let table = Table::new();
        let first = insert(&table, 1);
        let slot = table.slot(first.index).unwrap();
        let last = Number { generation: u32::MAX, ..first };
        slot.state.store(State::of(last).0, Release);
        assert_eq!(value(&table, last), Some(1));
        table.remove(last);
        assert_ne!(insert(&table, 2).index, first.index);
    }

    #[test]
    fn bits_say_the_number_and_are_no_address() {
        let number = Number { kind: 15, generation: u32::MAX, index: 0xff_ffff };
        assert_eq!(Number::from_bits(number.to_bits()), Some(number));
        let low = Number { kind: 1, generation: 1, index: 0 };
        assert_eq!(Number::from_bits(low.to_bits()), Some(low));
        let here = &raw const number as u64;
        for bits in [0, 1, here, u64::MAX, MARK << 60, 0xffff_8000_0000_0000] {
            assert_eq!(Number::from_bits(bits), None, "{bits:#x}");
        }
    }

    #[test]
    fn segments_follow_each_other_without_a_hole() {
        let mut expected = (0, 0);
        for index in 0..FIRST * 15 {
            assert_eq!(place(index), expected);
            expected.1 += 1;
            if expected.1 == (FIRST as usize) << expected.0 {
                expected = (expected.0 + 1, 0);
            }
        }
        assert_eq!(place(CAPACITY - 1).0, SEGMENTS - 1);
        let table = Table::new();
        let numbers: Vec<_> = (0..500).map(|n| insert(&table, n)).collect();
        for (n, number) in numbers.iter().enumerate() {
            assert_eq!(value(&table, *number), Some(n as u32));
        }
        assert_eq!(table.count(), 500);
    }

    /// Counts its drops, and fails to be read once it was dropped.
    struct Counted(Arc<AtomicUsize>, u64);

    impl Drop for Counted {
        fn drop(&mut self) {
            assert_eq!(std::mem::replace(&mut self.1, 0), 0xfeed);
            self.0.fetch_add(1, Relaxed);
        }
    }

    #[test]
    fn what_is_freed_while_threads_use_it_is_dropped_once_and_after_them() {
        const ROUNDS: usize = 2_000;
        let (table, drops) = (Table::new(), Arc::new(AtomicUsize::new(0)));
        let shared = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..ROUNDS * 4 {
                        let Some(number) = Number::from_bits(shared.load(Acquire)) else {
                            continue;
                        };
                        if let Some(pin) = table.pin(number) {
                            let object = pin.object().unwrap().downcast_ref::<Counted>().unwrap();
                            assert_eq!(object.1, 0xfeed);
                        }
                    }
                });
            }
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..ROUNDS {
                        let object = Counted(drops.clone(), 0xfeed);
                        let number = table.insert(3, Box::new(object)).unwrap();
                        shared.store(number.to_bits(), Release);
                        table.remove(number);
                    }
                });
            }
        });
        assert_eq!(drops.load(Relaxed), 2 * ROUNDS);
        assert_eq!(table.count(), 0);
    }

    #[test]
    fn a_pin_that_is_left_drops_nothing() {
        let (table, drops) = (Table::new(), Arc::new(AtomicUsize::new(0)));
        let number = table.insert(3, Box::new(Counted(drops.clone(), 0xfeed))).unwrap();
        let pin = table.pin(number).unwrap();
        table.remove(number);
        pin.leave();
        assert_eq!((drops.load(Relaxed), table.count()), (0, 0));
        let again = table.insert(3, Box::new(Counted(drops.clone(), 0xfeed))).unwrap();
        table.pin(again).unwrap().leave();
        table.remove(again);
        assert_eq!(drops.load(Relaxed), 1);
    }
}
