//! Server-sent events: bytes in, the data of events out.

/// The largest event that is taken, in bytes.
const LARGEST_EVENT: usize = 16 << 20;

/// An event that is too large to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLarge;

/// Cuts a stream into events. Lines end with LF, CR LF or CR, whatever the pieces they come in.
#[derive(Debug, Default)]
pub(super) struct Events {
    line: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
    /// A line ended with CR: an LF right behind it ends the same line.
    after_cr: bool,
}

impl Events {
    /// Hands the data of the events that `bytes` complete to `take`, until it says stop.
    pub(super) fn push<E: From<TooLarge>>(
        &mut self,
        bytes: &[u8],
        take: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut rest = bytes;
        while !rest.is_empty() {
            if std::mem::take(&mut self.after_cr) && rest[0] == b'\n' {
                rest = &rest[1..];
                continue;
            }
            let Some(end) = memchr::memchr2(b'\n', b'\r', rest) else {
                self.hold(rest)?;
                break;
            };
            self.after_cr = rest[end] == b'\r';
            self.hold(&rest[..end])?;
            rest = &rest[end + 1..];
            self.end_line(take)?;
        }
        Ok(())
    }

    /// Hands over an event that the end of the stream completes.
    pub(super) fn finish<E: From<TooLarge>>(
        &mut self,
        take: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        if !self.line.is_empty() {
            self.end_line(take)?;
        }
        self.end_event(take)
    }

    fn hold(&mut self, bytes: &[u8]) -> Result<(), TooLarge> {
        if self.line.len() + self.data.len() + bytes.len() > LARGEST_EVENT {
            return Err(TooLarge);
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn end_line<E: From<TooLarge>>(
        &mut self,
        take: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.line.is_empty() {
            return self.end_event(take);
        }
        // Other fields (event, id, retry) and comments say nothing here.
        if let Some(value) = self.line.strip_prefix(b"data") {
            let value = match value {
                [] => Some(value),
                [b':', b' ', rest @ ..] | [b':', rest @ ..] => Some(rest),
                _ => None,
            };
            if let Some(value) = value {
                if self.has_data {
                    self.data.push(b'\n');
                }
                self.data.extend_from_slice(value);
                self.has_data = true;
            }
        }
        self.line.clear();
        Ok(())
    }

    fn end_event<E: From<TooLarge>>(
        &mut self,
        take: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        if std::mem::take(&mut self.has_data) {
            let data = std::mem::take(&mut self.data);
            take(&data)?;
            self.data = data;
            self.data.clear();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(chunks: &[&[u8]]) -> Vec<String> {
        let (mut events, mut all) = (Events::default(), Vec::new());
        let mut take = |data: &[u8]| {
            all.push(String::from_utf8_lossy(data).into_owned());
            Ok::<(), TooLarge>(())
        };
        for chunk in chunks {
            events.push(chunk, &mut take).unwrap();
        }
        events.finish(&mut take).unwrap();
        all
    }

    #[test]
    fn events_are_cut_as_the_standard_says() {
        let stream = b": hello\n\ndata: one\n\ndata:two\ndata: three\r\n\r\nevent: x\rdata\r\rid: 7\n\ndata: last";
        assert_eq!(read(&[stream]), ["one", "two\nthree", "", "last"]);
        assert_eq!(read(&[b"data: a\r", b"\n\r", b"\ndata: b\n\n"]), ["a", "b"]);
        assert_eq!(read(&[b"database: no\n\n"]), [""; 0]);
    }

    #[test]
    fn an_event_has_a_largest_size() {
        let mut events = Events::default();
        let mut take = |_: &[u8]| Ok::<(), TooLarge>(());
        events.push(b"data: ", &mut take).unwrap();
        let piece = vec![b'x'; 1 << 20];
        let pushed: Result<Vec<()>, TooLarge> =
            (0..17).map(|_| events.push(&piece, &mut take)).collect();
        assert_eq!(pushed, Err(TooLarge));
    }

    proptest! {
        #[test]
        fn the_pieces_do_not_matter(
            stream in "(data: ?[a-c]{0,3}|[a-c:]{0,3}|\r|\n|\r\n){0,20}",
            cuts in prop::collection::vec(0usize..60, 0..6),
        ) {
            let bytes = stream.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|at| at.min(bytes.len())).collect();
            cuts.sort_unstable();
            let mut pieces = Vec::new();
            let mut start = 0;
            for at in cuts.into_iter().chain([bytes.len()]) {
                pieces.push(&bytes[start..at]);
                start = at;
            }
            prop_assert_eq!(read(&pieces), read(&[bytes]));
        }
    }
}
