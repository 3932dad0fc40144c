//! Which errors of the system may be gone at the next try.

use std::io::{Error, ErrorKind};

/// Whether the same call may succeed later without a change by anybody: the machine is short of
/// something, or somebody is at work.
pub(crate) fn may_pass(error: &Error) -> bool {
    use libc::{
        EAGAIN, EBUSY, EDQUOT, EINTR, EIO, EMFILE, ENFILE, ENOBUFS, ENOMEM, ENOSPC, ETXTBSY,
    };
    const PASSING: [i32; 11] =
        [EAGAIN, EBUSY, EDQUOT, EINTR, EIO, EMFILE, ENFILE, ENOBUFS, ENOMEM, ENOSPC, ETXTBSY];
    // One that was told by a keeper has its number below.
    let told = || error.get_ref()?.source()?.downcast_ref::<Error>()?.raw_os_error();
    if let Some(errno) = error.raw_os_error().or_else(told) {
        return PASSING.contains(&errno);
    }
    matches!(
        error.kind(),
        ErrorKind::WouldBlock
            | ErrorKind::OutOfMemory
            | ErrorKind::StorageFull
            | ErrorKind::QuotaExceeded
            | ErrorKind::Interrupted
            | ErrorKind::TimedOut
            | ErrorKind::ExecutableFileBusy
            | ErrorKind::ResourceBusy
            // A keeper that was killed.
            | ErrorKind::UnexpectedEof
            | ErrorKind::BrokenPipe
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_machine_is_short_of_may_pass_and_what_is_wrong_does_not() {
        for errno in [libc::EMFILE, libc::EAGAIN, libc::ENOMEM, libc::ENOSPC, libc::ETXTBSY] {
            assert!(may_pass(&Error::from_raw_os_error(errno)), "{errno}");
        }
        for errno in [libc::ENOENT, libc::EACCES, libc::ENOEXEC, libc::E2BIG, libc::ELOOP] {
            assert!(!may_pass(&Error::from_raw_os_error(errno)), "{errno}");
        }
        assert!(may_pass(&ErrorKind::OutOfMemory.into()));
        assert!(!may_pass(&ErrorKind::Unsupported.into()));
    }

    #[test]
    fn what_a_keeper_is_short_of_may_pass_whatever_it_is() {
        use super::super::spawn::Failed;
        for errno in [libc::EMFILE, libc::ENFILE, libc::EIO, libc::ENOBUFS, libc::ENOMEM] {
            let error = Failed::at("fork", errno);
            assert!(may_pass(&error), "{error}");
            assert!(error.to_string().starts_with("keeper: fork: "), "{error}");
        }
        assert!(!may_pass(&Failed::at("chdir", libc::ENOENT)));
    }
}
