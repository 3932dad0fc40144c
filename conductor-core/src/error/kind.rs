//! The one table of error kinds.
//!
//! A kind says what the caller should do. The C status, the exit code, the HTTP status and the Python
//! class of every surface are columns of this table, so that no surface keeps a list of its own.

/// What the caller of a failed operation should do about it.
///
/// The set is small and prescriptive; the dotted [`Error::code`](super::Error::code) below each kind
/// says precisely what happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The call itself is wrong: fix the argument named by the error.
    InvalidInput,
    /// What was named does not exist: check the id.
    NotFound,
    /// What should be made exists already: pick another id.
    AlreadyExists,
    /// The state changed underneath, or the transition is not allowed: read again and decide again.
    Conflict,
    /// A lock was not had in time: try again later.
    Busy,
    /// The deadline of a wait passed. An answer rather than a fault: the work goes on.
    Timeout,
    /// The wait was cancelled by its caller. An answer rather than a fault: the work goes on.
    Cancelled,
    /// A cursor points before what is kept: start again from the oldest message.
    Expired,
    /// Bytes on disk are damaged: look at the named file; nothing was changed.
    Corrupt,
    /// The data was written by a newer version: upgrade; reading may still work.
    TooNew,
    /// The operating system denies the access: fix the rights of the named path.
    PermissionDenied,
    /// The disk or the quota is full: free space and try again.
    StorageFull,
    /// Another input or output error; the source holds the errno.
    Io,
    /// The agent could not be started: fix the command or its environment.
    SpawnFailed,
    /// The offered update was refused (checksum, signature, platform): do not force it.
    UpdateRefused,
    /// An update is pending and no new root run may start: try again after it.
    UpdateInProgress,
    /// This platform or file system cannot do what was asked.
    Unsupported,
    /// A defect of conductor itself: please report it.
    Internal,
}

/// One row of the table: what each surface makes of a kind.
#[derive(Clone, Copy, Debug)]
pub struct KindRow {
    /// The kind.
    pub kind: ErrorKind,
    /// Its stable name in JSON, in logs and on the C side (`CONDUCTOR_` is put before the upper case).
    pub name: &'static str,
    /// The `conductor_status` of the C API; numbers are never used again for another meaning.
    pub c_status: i32,
    /// The exit code of the commands.
    pub exit_code: u8,
    /// The status of the HTTP API.
    pub http_status: u16,
    /// The class in the Python package.
    pub python_class: &'static str,
    /// The built-in exception that the Python class derives from besides `conductor.Error`.
    pub python_base: &'static str,
    /// Whether the same call may succeed later without a change by the caller.
    pub retryable: bool,
    /// What the caller should do, for the documentation.
    pub advice: &'static str,
}

macro_rules! table {
    ($($kind:ident $name:literal $c:literal $exit:literal $http:literal $class:literal $base:literal $retry:literal $advice:literal;)*) => {
        /// Every kind, in the order of its C status.
        pub const KINDS: &[KindRow] = &[$(KindRow {
            kind: ErrorKind::$kind,
            name: $name,
            c_status: $c,
            exit_code: $exit,
            http_status: $http,
            python_class: $class,
            python_base: $base,
            retryable: $retry,
            advice: $advice,
        }),*];

        impl ErrorKind {
            /// The row of the table for this kind.
            pub const fn row(self) -> &'static KindRow {
                let index = match self { $(ErrorKind::$kind => position($c),)* };
                &KINDS[index]
            }
        }
    };
}

/// Index in [`KINDS`] of a C status; every status of the macro's own list is found.
const fn position(c_status: i32) -> usize {
    let mut index = 0;
    while KINDS[index].c_status != c_status {
        index += 1;
    }
    index
}

table! {
    InvalidInput     "invalid_input"       1  2 400 "InvalidInput"     "ValueError"      false "fix the call";
    NotFound         "not_found"           2 10 404 "NotFound"         "LookupError"     false "check the id";
    AlreadyExists    "already_exists"      3 11 409 "AlreadyExists"    "FileExistsError" false "pick another id";
    Conflict         "conflict"            4 12 409 "Conflict"         "Exception"       false "read again, decide again";
    Busy             "busy"                5 13 503 "Busy"             "TimeoutError"    true  "try again later";
    Timeout          "timeout"             6 124 504 "Timeout"         "TimeoutError"    true  "wait again, or not: the work goes on";
    Cancelled        "cancelled"           7 130 499 "Cancelled"       "Exception"       false "nothing: the wait was cancelled";
    Expired          "expired"             8 14 410 "Expired"          "LookupError"     false "start again from the oldest message";
    Corrupt          "corrupt"             9 20 500 "Corrupt"          "ValueError"      false "look at the named file";
    TooNew           "too_new"            10 21 500 "TooNew"           "Exception"       false "upgrade; reading may still work";
    PermissionDenied "permission_denied"  11 22 403 "PermissionDenied" "PermissionError" false "fix the rights of the named path";
    StorageFull      "storage_full"       12 23 507 "StorageFull"      "OSError"         true  "free space, then try again";
    Io               "io"                 13 24 500 "Io"               "OSError"         false "look at the source of the error";
    SpawnFailed      "spawn_failed"       14 25 422 "SpawnFailed"      "Exception"       false "fix the command or its environment";
    UpdateRefused    "update_refused"     15 26 422 "UpdateRefused"    "Exception"       false "do not force it";
    UpdateInProgress "update_in_progress" 16 27 503 "UpdateInProgress" "Exception"       true  "try again after the update";
    Unsupported      "unsupported"        17 28 501 "Unsupported"      "Exception"       false "use another file system or platform";
    Internal         "internal"           99 70 500 "Internal"         "RuntimeError"    false "report it";
}

impl ErrorKind {
    /// The stable name, as `not_found`.
    pub const fn name(self) -> &'static str {
        self.row().name
    }
}

impl std::fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_kind_finds_its_own_row() {
        for row in KINDS {
            assert_eq!(row.kind.row().c_status, row.c_status);
            assert_eq!(row.kind.row().name, row.name);
        }
    }

    #[test]
    fn names_and_numbers_are_unique() {
        let names: HashSet<_> = KINDS.iter().map(|row| row.name).collect();
        let statuses: HashSet<_> = KINDS.iter().map(|row| row.c_status).collect();
        let exits: HashSet<_> = KINDS.iter().map(|row| row.exit_code).collect();
        assert_eq!(names.len(), KINDS.len());
        assert_eq!(statuses.len(), KINDS.len());
        assert_eq!(exits.len(), KINDS.len());
        assert!(!statuses.contains(&0), "0 means success in C");
        assert!(!exits.contains(&0) && !exits.contains(&1), "1 is the answer 'no', not a fault");
    }
}
