//! The core's side of the `.keeper` file: prepare it, read it, and write it for a run that this process
//! keeps itself.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

#[path = "keeper/record.rs"]
#[allow(unreachable_pub, reason = "the same file is a module of the keeper, a program of its own")]
mod record;

#[allow(unused_imports, reason = "part of what a reader of records needs")]
pub(crate) use record::{Cut, Ended, FILE_LEN, Identity, Moment, Reason, Record, State};

/// Where the starter's note begins, behind the keeper's slots.
const NOTE_START: usize = 2 * record::SLOT_LEN;
/// What stands in front of the checksum at the end of a note.
const NOTE_SUM: &str = "crc32c: ";

/// Fills a new `.keeper` file with zeros and makes them durable, so that every later write is
/// in place and needs no space. A note of the starter stands in it from the beginning; one that is too
/// long is left out.
pub(crate) fn prepare(file: &File, note: &str) -> io::Result<()> {
    let mut bytes = [0; FILE_LEN];
    if !note.is_empty() {
        let text = format!("{note}{NOTE_SUM}{:08x}\n", crc32c::crc32c(note.as_bytes()));
        if let Some(place) = bytes.get_mut(NOTE_START..NOTE_START + text.len()) {
            place.copy_from_slice(text.as_bytes());
        }
    }
    file.write_all_at(&bytes, 0)?;
    file.sync_all()
}

/// Reads the starter's note; `None` where there is none, or none that is whole.
pub(crate) fn read_note(file: &File) -> io::Result<Option<String>> {
    let mut bytes = vec![0; FILE_LEN - NOTE_START];
    match file.read_exact_at(&mut bytes, NOTE_START as u64) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    bytes.truncate(end);
    Ok(String::from_utf8(bytes).ok().and_then(|text| whole_note(&text).map(str::to_owned)))
}

fn whole_note(text: &str) -> Option<&str> {
    let (note, sum) = text.rsplit_once(NOTE_SUM)?;
    let sum = sum.strip_suffix('\n')?;
    (format!("{:08x}", crc32c::crc32c(note.as_bytes())) == sum).then_some(note)
}

/// The newest valid record in the bytes of a `.keeper` file, whatever they are; `None` if no
/// keeper has written one, which means that no agent ever ran.
pub(crate) fn parse(bytes: &[u8]) -> Option<Record> {
    Record::latest(bytes).map(|(_, record)| record)
}

/// Reads the newest valid record of a file.
///
/// A keeper may be writing meanwhile: it always leaves the other slot whole, but two writes can
/// pass between our reading of the one and of the other, hence one read for both.
pub(crate) fn read(file: &File) -> io::Result<Option<Record>> {
    let mut bytes = [0; 2 * record::SLOT_LEN];
    let mut len = 0;
    while let Some(rest) = bytes.get_mut(len..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, len as u64) {
            Ok(0) => break,
            Ok(n) => len += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(parse(&bytes))
}

/// Writes the record of a run that this process keeps itself, as a keeper does.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
    /// What stands there, or will with the next [`write`](Journal::write).
    pub(crate) record: Record,
    counter: u64,
}

impl Journal {
    /// A journal in a file that was just [prepared](prepare); nothing is written yet.
    pub(crate) fn new(file: File, record: Record) -> Journal {
        Journal { file, record, counter: 0 }
    }

    /// Makes `state` and all fields durable.
    pub(crate) fn write(&mut self, state: State) -> io::Result<()> {
        self.record.state = state;
        self.counter += 1;
        let slot = self.record.encode(self.counter);
        let at = u64::from(self.counter.is_multiple_of(2)) * record::SLOT_LEN as u64;
        self.file.write_all_at(&slot, at)?;
        self.file.sync_data()
    }
}

/// This moment on the wall clock.
pub(crate) fn moment() -> Moment {
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Moment { secs: now.as_secs(), nanos: now.subsec_nanos() }
}

#[cfg(test)]
mod tests {
    use super::record::{SLOT_LEN, crc32c};
    use super::*;

    fn largest() -> Record {
        let id = Identity { pid: 4_194_304, start: u64::MAX };
        let at = Moment { secs: 99_999_999_999, nanos: 999_999_999 };
        Record {
            keeper: id,
            agent: id,
            boot_id: *b"01234567-89ab-cdef-0123-456789abcdef",
            pid_ns: u32::MAX.into(),
            state: State::Empty,
            ended: Some(Ended::Signal(64)),
            // One that could not be executed has no end, and cut nothing.
            errno: None,
            reason: Some(Reason::FirstByte),
            born_at: at,
            released_at: Some(at),
            exited_at: Some(at),
            empty_at: Some(at),
            slept: Some(u32::MAX),
            killed: u32::MAX,
            // Four exbibytes: no file system has more.
            cuts: [Some(Cut { from: 1 << 62, to: 1 << 62 }); 2],
        }
    }

    #[test]
    fn crc_is_castagnoli() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn the_largest_record_fits_and_comes_back() {
        let slot = largest().encode(u64::MAX);
        assert_eq!(Record::decode(&slot), Some((u64::MAX, largest())));
        assert!(slot.ends_with(b"\n\n"), "{}", String::from_utf8_lossy(&slot));
    }

    #[test]
    fn no_torn_slot_is_believed_and_the_other_is_taken() {
        let old = Record { state: State::Released, ended: None, ..largest() };
        let (one, two) = (old.encode(8), largest().encode(9));
        for cut in 0..SLOT_LEN {
            let mut torn = [0; SLOT_LEN];
            torn.copy_from_slice(&Record { state: State::Born, ..old }.encode(7));
            torn[..cut].copy_from_slice(&two[..cut]);
            let file = [one, torn].concat();
            let (counter, record) = Record::latest(&file).unwrap();
            if counter == 9 {
                assert_eq!(record, largest());
            } else {
                assert_eq!((counter, record), (8, old));
            }
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let slot = largest().encode(3);
        for bit in 0..SLOT_LEN * 8 {
            let mut bad = slot;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Record::decode(&bad), None, "bit {bit}");
        }
    }

    #[test]
    fn a_note_comes_back_whole_or_not_at_all() {
        let note = |text: &str| {
            let file = tempfile::tempfile().unwrap();
            prepare(&file, text).unwrap();
            assert_eq!(read(&file).unwrap(), None);
            assert_eq!(file.metadata().unwrap().len(), FILE_LEN as u64);
            (read_note(&file).unwrap(), file)
        };
        let (read, file) = note("parser: text\nmodel: \u{e4}\n");
        assert_eq!(read.as_deref(), Some("parser: text\nmodel: \u{e4}\n"));
        file.write_all_at(b"P", NOTE_START as u64).unwrap();
        assert_eq!(read_note(&file).unwrap(), None);
        assert_eq!(note("").0, None);
        assert_eq!(note(&"x".repeat(FILE_LEN)).0, None);
        file.set_len(100).unwrap();
        assert_eq!(read_note(&file).unwrap(), None);
    }

    #[test]
    fn anything_else_is_no_record() {
        for bytes in [&[][..], &[0; FILE_LEN], b"\ncrc32c: ", b"\ncrc32c: 00000000\n"] {
            assert_eq!(parse(bytes), None);
        }
    }
}
