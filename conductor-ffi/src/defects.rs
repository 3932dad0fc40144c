//! A defect behind each exported function is a status, and the host goes on.

use crate::batch::*;
use crate::boundary::tests::{DEFECT, HITS};
use crate::bus::*;
use crate::cancel::*;
use crate::check::*;
use crate::config::*;
use crate::error::{Error, Status, conductor_error_free, conductor_error_text};
use crate::gc::*;
use crate::handle;
use crate::log::*;
use crate::options::*;
use crate::outbox::*;
use crate::reader::*;
use crate::record::*;
use crate::root::*;
use crate::run::*;
use crate::task::*;
use crate::text::Str;
use crate::update::*;
use crate::version::conductor_handle_count;
use crate::wait::*;
use std::ptr::{null, null_mut};

/// Functions that run nothing that could fail: a flag, a number, a constant.
const PLAIN: [&str; 4] = [
    "conductor_abi_version",
    "conductor_version",
    "conductor_cancel_set",
    "conductor_cancel_is_set",
];

/// Functions that end an object or make one, and which have no way to say that they failed.
const SILENT: [&str; 25] = [
    "conductor_batch_free",
    "conductor_batch_messages",
    "conductor_bus_free",
    "conductor_cancel_free",
    "conductor_cancel_new",
    "conductor_error_free",
    "conductor_error_text",
    "conductor_free",
    "conductor_handle_count",
    "conductor_options_free",
    "conductor_options_new",
    "conductor_plan_free",
    "conductor_reader_fd",
    "conductor_reader_free",
    "conductor_record_count",
    "conductor_record_free",
    "conductor_record_int",
    "conductor_record_json",
    "conductor_record_name",
    "conductor_record_text",
    "conductor_root",
    "conductor_run_fd",
    "conductor_run_free",
    "conductor_task_fd",
    "conductor_task_free",
];

const X: Str = Str::from_static("x");

/// Each function that reports a status, called with nothing.
///
/// # Safety
/// None is needed: every pointer is NULL.
unsafe fn all(err: *mut *mut Error) -> Vec<(&'static str, Status)> {
    macro_rules! calls {
        ($($name:ident($($argument:expr),*))*) => {
            // SAFETY: every pointer is NULL, which each function takes, or the place for the error.
            vec![$((stringify!($name), unsafe { $name($($argument),*) })),*]
        };
    }
    calls! {
        conductor_open(X, null(), null_mut(), err)
        conductor_list(null(), null(), null_mut(), err)
        conductor_reconcile(null(), null(), null_mut(), err)
        conductor_usage(null(), null(), null_mut(), err)
        conductor_doctor(null(), null_mut(), err)
        conductor_config_show(null(), null_mut(), err)
        conductor_validate(X, null(), null_mut(), err)
        conductor_stop(null(), X, X, X, null(), null(), null_mut(), err)
        conductor_bus_open(null(), X, X, null_mut(), err)
        conductor_bus_post(null(), X, X, null(), null(), null_mut(), err)
        conductor_bus_read(null(), null(), null_mut(), err)
        conductor_bus_rotate(null(), 0, null(), null_mut(), err)
        conductor_bus_check(null(), null_mut(), err)
        conductor_job_start(null(), null(), null(), null_mut(), err)
        conductor_run_open(null(), X, X, X, null_mut(), err)
        conductor_run_info(null(), null_mut(), err)
        conductor_run_wait(null(), 0, null(), null_mut(), err)
        conductor_run_output(null(), null(), null_mut(), err)
        conductor_run_why(null(), null_mut(), err)
        conductor_run_stop(null(), null(), null(), null_mut(), err)
        conductor_task_start(null(), null(), null(), null_mut(), err)
        conductor_task_resume(null(), null(), null(), null_mut(), err)
        conductor_task_open(null(), X, X, null_mut(), err)
        conductor_task_attach(null(), X, X, null_mut(), err)
        conductor_task_info(null(), null_mut(), err)
        conductor_task_wait(null(), 0, null(), null_mut(), err)
        conductor_task_follow(null(), null(), null_mut(), err)
        conductor_task_stop(null(), null(), null(), null_mut(), err)
        conductor_task_cancel(null(), X, X, null(), null(), null_mut(), err)
        conductor_task_set_back(null(), X, X, null(), err)
        conductor_task_delete(null(), X, X, null(), null(), err)
        conductor_wait_any(null(), 0, null(), 0, 0, null(), null_mut(), err)
        conductor_reader_next(null_mut(), 0, null(), null_mut(), err)
        conductor_reader_commit(null_mut(), err)
        conductor_reader_report(null(), null_mut(), err)
        conductor_reader_batch(null_mut(), 0, 0, null(), null_mut(), err)
        conductor_batch_record(null(), 0, null_mut(), err)
        conductor_gc_plan(null(), null(), 0, null(), null_mut(), err)
        conductor_gc_plan_again(null(), X, 0, null(), null_mut(), err)
        conductor_plan_info(null(), null_mut(), err)
        conductor_plan_items(null(), false, null_mut(), err)
        conductor_plan_apply(null(), null_mut(), err)
        conductor_update_status(null(), null_mut(), err)
        conductor_update_start(null(), X, X, false, null_mut(), err)
        conductor_update_cancel(null(), X, null_mut(), err)
        conductor_options_set(null_mut(), X, X, err)
        conductor_log_open(X, null_mut(), err)
        conductor_outbox(null(), null_mut(), err)
        conductor_outbox_deliver(null(), 0, null(), null_mut(), err)
        conductor_id_check(X, X, err)
        conductor_duration_parse(X, null_mut(), err)
    }
}

#[test]
fn a_defect_behind_each_function_is_a_status() {
    let internal = conductor_core::ErrorKind::Internal.row().c_status;
    DEFECT.set(true);
    let mut err = null_mut();
    // SAFETY: `err` is a place for errors; those before the last leak, which a test may.
    let answers = unsafe { all(&mut err) };
    DEFECT.set(false);
    for (name, status) in &answers {
        assert_eq!(*status, internal, "{name}");
    }
    // SAFETY: the last of the calls made it.
    let code = unsafe { conductor_error_text(err, Str::from_static("code")) };
    // SAFETY: borrowed from `err`.
    assert_eq!(unsafe { code.as_str("code") }.unwrap(), "internal.panic");
    // SAFETY: freed once.
    unsafe { conductor_error_free(err) };

    // None is forgotten: these are all that the header declares.
    let golden = include_str!("../../tests/abi/symbols.txt");
    for symbol in golden.lines() {
        let known = answers.iter().any(|(name, _)| *name == symbol)
            || PLAIN.contains(&symbol)
            || SILENT.contains(&symbol);
        assert!(known, "{symbol} is not called here");
    }
}

#[test]
fn a_defect_behind_the_others_is_no_answer() {
    let options = conductor_options_new();
    let cancel = conductor_cancel_new();
    let record = handle::make::<Record>(conductor_core::Record::default().into()).unwrap();
    let before = HITS.get();
    DEFECT.set(true);
    // SAFETY: the handles live; the frees are told to fail and free nothing.
    unsafe {
        assert!(conductor_options_new().is_null() && conductor_cancel_new().is_null());
        assert!(conductor_record_text(record, X).ptr.is_null());
        assert!(conductor_record_name(record, X, 0).ptr.is_null());
        assert!(conductor_record_json(record).ptr.is_null());
        assert_eq!(conductor_record_int(record, X, 7), 7);
        assert_eq!((conductor_record_count(record, X), conductor_handle_count()), (0, 0));
        assert!(conductor_root(null()).ptr.is_null());
        assert_eq!(
            [conductor_reader_fd(null()), conductor_run_fd(null()), conductor_task_fd(null())],
            [-1; 3]
        );
        assert!(conductor_error_text(null(), X).ptr.is_null());
        conductor_options_free(options);
        conductor_bus_free(null_mut());
        conductor_cancel_free(null_mut());
        conductor_error_free(null_mut());
        conductor_free(null_mut());
        conductor_plan_free(null_mut());
        conductor_batch_free(null_mut());
        assert!(conductor_batch_messages(null(), null_mut()).is_null());
        conductor_reader_free(null_mut());
        conductor_record_free(null_mut());
        conductor_run_free(null_mut());
        conductor_task_free(null_mut());
        conductor_cancel_set(cancel);
    }
    DEFECT.set(false);
    // Most would give the same answer to nothing at all: the boundary was met in each.
    assert_eq!(HITS.get() - before, SILENT.len());
    // SAFETY: each is freed once here.
    unsafe {
        assert!(conductor_cancel_is_set(cancel));
        assert!(handle::look(options).is_some(), "it was not freed");
        conductor_options_free(options);
        conductor_cancel_free(cancel);
        conductor_record_free(record);
    }
}
