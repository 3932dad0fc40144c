//! Handles: what a C caller holds of the objects of this library.
//!
//! A handle looks like a pointer and is a number of the table. Nothing here reads what a caller's pointer
//! points to, so no handle that is wrong, freed or made up can do more harm than an error.

mod table;

use conductor_core::{Error, ErrorKind, Result};
use std::marker::PhantomData;
use std::ops::Deref;
use std::ptr;
use table::{Number, Pin, Table};

static TABLE: Table = Table::new();

/// The kinds of handles. The numbers are those in the handles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Error = 1,
    Cancel,
    Options,
    Record,
    Reader,
    Conductor,
    Bus,
    Run,
    Task,
    Plan,
    Batch,
}

impl Kind {
    const ALL: [Kind; 11] = [
        Kind::Error,
        Kind::Cancel,
        Kind::Options,
        Kind::Record,
        Kind::Reader,
        Kind::Conductor,
        Kind::Bus,
        Kind::Run,
        Kind::Task,
        Kind::Plan,
        Kind::Batch,
    ];

    /// What it is called in the header.
    fn name(self) -> &'static str {
        match self {
            Kind::Error => "conductor_error",
            Kind::Cancel => "conductor_cancel",
            Kind::Options => "conductor_options",
            Kind::Record => "conductor_record",
            Kind::Reader => "conductor_reader",
            Kind::Conductor => "conductor",
            Kind::Bus => "conductor_bus",
            Kind::Run => "conductor_run",
            Kind::Task => "conductor_task",
            Kind::Plan => "conductor_plan",
            Kind::Batch => "conductor_batch",
        }
    }
}

/// A type that stands in the header, and what is behind it.
pub(crate) trait Handle {
    /// What is behind it.
    type Inner: Send + Sync + 'static;
    /// Which type it is.
    const KIND: Kind;
}

/// Says of a type of the header what is behind it.
macro_rules! handle {
    ($type:ident, $inner:ty) => {
        impl crate::handle::Handle for $type {
            type Inner = $inner;
            const KIND: crate::handle::Kind = crate::handle::Kind::$type;
        }
    };
}
pub(crate) use handle;

/// A handle that belongs to the caller until it is freed.
///
/// # Errors
/// `handle.too_many`.
pub(crate) fn make<H: Handle>(inner: H::Inner) -> Result<*mut H> {
    let number = TABLE.insert(H::KIND as u8, Box::new(inner)).ok_or_else(|| {
        let message = "there are 16 million handles, and no room for more";
        Error::new(ErrorKind::InvalidInput, "handle.too_many", message)
            .with_hint("free what is not needed any more; conductor_handle_count() counts them")
    })?;
    Ok(ptr::without_provenance_mut(number.to_bits() as usize))
}

/// Frees a handle; NULL, and what is no such handle any more, is left alone. What is behind it is dropped
/// once no call uses it.
pub(crate) fn free<H: Handle>(handle: *mut H) {
    if let Some(number) = number(handle).filter(|number| number.kind == H::KIND as u8) {
        TABLE.remove(number);
    }
}

/// How many handles there are.
pub(crate) fn count() -> usize {
    TABLE.count()
}

fn number<H>(handle: *const H) -> Option<Number> {
    Number::from_bits(handle.addr() as u64)
}

/// What is behind a handle, kept from being dropped. A panic meanwhile poisons the handle: nobody knows
/// in what state it is.
pub(crate) struct Held<H: Handle> {
    pin: Option<Pin<'static>>,
    inner: &'static H::Inner,
    handle: PhantomData<H>,
}

impl<H: Handle> Held<H> {
    fn new(pin: Pin<'static>) -> Option<Held<H>> {
        let inner: *const H::Inner = pin.object()?.downcast_ref()?;
        // SAFETY: what is behind the handle stays where it is while the pin, which is beside it, lives, and
        // no reference from here outlives the `Held`.
        Some(Held { inner: unsafe { &*inner }, pin: Some(pin), handle: PhantomData })
    }

    /// As a drop, where memory must not be given back, as in a signal handler.
    pub(crate) fn leave(mut self) {
        if let Some(pin) = self.pin.take() {
            pin.leave();
        }
    }
}

impl<H: Handle> Deref for Held<H> {
    type Target = H::Inner;

    fn deref(&self) -> &H::Inner {
        self.inner
    }
}

impl<H: Handle> Drop for Held<H> {
    fn drop(&mut self) {
        if let Some(pin) = self.pin.as_ref().filter(|_| std::thread::panicking()) {
            pin.poison();
        }
    }
}

/// What is behind a handle, for a question that always has an answer. `None` for NULL and for what is no
/// such handle.
pub(crate) fn look<H: Handle>(handle: *const H) -> Option<Held<H>> {
    let number = number(handle).filter(|number| number.kind == H::KIND as u8)?;
    Held::new(TABLE.pin(number)?)
}

/// What is behind the handle that is the argument `field`.
///
/// # Errors
/// `argument.null`, `argument.handle`, `handle.freed`, `handle.poisoned`.
pub(crate) fn hold<H: Handle>(handle: *const H, field: &str) -> Result<Held<H>> {
    let held = look(handle).ok_or_else(|| wrong(handle, field))?;
    if held.pin.as_ref().is_some_and(Pin::is_poisoned) {
        let message = format!("an earlier call failed inside with this {}", H::KIND.name());
        return Err(Error::new(ErrorKind::Internal, "handle.poisoned", message)
            .with_field(field)
            .with_hint("free it and open it again; please report the first error"));
    }
    Ok(held)
}

/// As [`hold`], for a handle that may be NULL.
pub(crate) fn optional<H: Handle>(handle: *const H, field: &str) -> Result<Option<Held<H>>> {
    if handle.is_null() { Ok(None) } else { hold(handle, field).map(Some) }
}

/// The error for a handle that cannot be used.
fn wrong<H: Handle>(handle: *const H, field: &str) -> Error {
    let wanted = H::KIND.name();
    if handle.is_null() {
        let message = format!("the argument {field} is NULL");
        return Error::invalid("argument.null", field, message);
    }
    let kind = number(handle).map(|number| number.kind);
    match Kind::ALL.into_iter().find(|known| kind == Some(*known as u8)) {
        Some(known) if known == H::KIND => {
            let message = format!("the argument {field} is a {wanted} that was freed");
            Error::invalid("handle.freed", field, message)
                .with_hint("a handle is good until its _free; who shares one says who frees it")
        }
        Some(other) => {
            let message = format!("the argument {field} is a {}, not a {wanted}", other.name());
            Error::invalid("argument.handle", field, message)
        }
        None => {
            let message = format!("the argument {field} is no handle of this library");
            Error::invalid("argument.handle", field, message)
                .with_hint("it was not initialised, or is a pointer to something else")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bus;
    struct Run;
    handle!(Bus, u32);
    handle!(Run, u32);

    fn code<T>(answer: Result<T>) -> &'static str {
        answer.err().map_or("", |error| error.code())
    }

    #[test]
    fn every_wrong_handle_is_told_apart() {
        let bus = make::<Bus>(7).unwrap();
        assert_eq!(*hold(bus, "x").unwrap(), 7);
        let error = hold(bus.cast::<Run>(), "x").err().unwrap();
        assert_eq!((error.code(), error.field()), ("argument.handle", Some("x")));
        assert_eq!(error.to_string(), "the argument x is a conductor_bus, not a conductor_run");
        assert_eq!(code(hold(ptr::null::<Bus>(), "x")), "argument.null");
        assert!(optional(ptr::null::<Bus>(), "x").unwrap().is_none());
        let local = Bus;
        assert_eq!(code(hold(&raw const local, "x")), "argument.handle");
        assert_eq!(code(optional(ptr::without_provenance::<Bus>(0xdead), "x")), "argument.handle");
        free(bus.cast::<Run>());
        assert_eq!(
            look(bus).map(|held| *held),
            Some(7),
            "freeing it as another kind frees nothing"
        );
        free(bus);
        assert_eq!(code(hold(bus, "x")), "handle.freed");
        free(bus);
        free(ptr::null_mut::<Bus>());
        let again = make::<Bus>(8).unwrap();
        assert_eq!(code(hold(bus, "x")), "handle.freed", "also when its slot is used again");
        free(again);
    }

    #[test]
    fn what_is_freed_during_a_call_lives_until_its_end() {
        let bus = make::<Bus>(7).unwrap();
        let held = hold(bus, "x").unwrap();
        free(bus);
        assert_eq!(*held, 7);
        assert_eq!(code(hold(bus, "x")), "handle.freed");
    }

    #[test]
    fn a_panic_poisons_the_handle() {
        let bus = make::<Bus>(7).unwrap();
        let panics = || {
            let _held = hold(bus, "x").unwrap();
            panic!("defect")
        };
        assert!(conductor_core::boundary::contain::<()>(panics).is_err());
        assert_eq!(code(hold(bus, "x")), "handle.poisoned");
        free(bus);
    }

    #[test]
    fn names_and_numbers_are_one_each() {
        for (place, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, place + 1);
        }
    }
}
