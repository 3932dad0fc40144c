//! What a launcher and a worker say to each other: words of one byte, some with a descriptor or a few
//! bytes behind them.
//!
//! The two may be of different versions, so this stays as it is. A word that is not known is passed over.

use rustix::io::{Errno, IoSlice, IoSliceMut, Result};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
    sockopt,
};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The most bytes behind a word: a path and a number, or why something failed.
const LONGEST: usize = 8192;

/// The first byte of what is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    // The launcher's.
    /// Nobody serves yet: listen.
    First,
    /// Another one serves: get ready.
    StandBy,
    /// A connection, to be answered before there are clients.
    Question,
    /// The socket that clients connect to: serve.
    Serve,
    /// The one before is gone.
    Alone,
    /// The next one is ready to serve.
    NextServes,
    /// The next one is not, and was ended; the reason.
    NextFails,
    // The worker's.
    /// It serves; the socket that clients connect to.
    Listening,
    /// It is ready to serve.
    Ready,
    /// Start the next one: the milliseconds that it has, eight bytes from the lowest on, and its path.
    Start,
    /// The next one shall serve.
    Over,
    /// The next one is not wanted.
    Drop,
}

const WORDS: [(Word, u8); 12] = [
    (Word::First, b'f'),
    (Word::StandBy, b'b'),
    (Word::Question, b'q'),
    (Word::Serve, b's'),
    (Word::Alone, b'a'),
    (Word::NextServes, b'y'),
    (Word::NextFails, b'x'),
    (Word::Listening, b'l'),
    (Word::Ready, b'r'),
    (Word::Start, b'n'),
    (Word::Over, b'o'),
    (Word::Drop, b'd'),
];

impl Word {
    fn byte(self) -> u8 {
        WORDS.iter().find(|(word, _)| *word == self).map_or(0, |(_, byte)| *byte)
    }

    fn of(byte: u8) -> Option<Word> {
        WORDS.iter().find(|(_, known)| *known == byte).map(|(word, _)| *word)
    }
}

/// Something that was said.
#[derive(Debug)]
pub(super) struct Said {
    /// `None` for one that a later version may know.
    pub(super) word: Option<Word>,
    pub(super) bytes: Vec<u8>,
    pub(super) fd: Option<OwnedFd>,
}

/// One end of a line.
#[derive(Debug)]
pub(super) struct Line(OwnedFd);

impl Line {
    /// Both ends of a new line.
    pub(super) fn pair() -> Result<(Line, OwnedFd)> {
        let (own, other) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        Ok((Line(own), other))
    }

    /// The end that was inherited; `None` where this is no line.
    pub(super) fn inherited(fd: OwnedFd) -> Option<Line> {
        matches!(sockopt::socket_type(&fd), Ok(SocketType::SEQPACKET)).then_some(Line(fd))
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Says a word.
    pub(super) fn say(&self, word: Word) -> Result<()> {
        self.say_with(word, &[], None)
    }

    /// Says a word with something behind it.
    pub(super) fn say_with(
        &self,
        word: Word,
        bytes: &[u8],
        fd: Option<BorrowedFd<'_>>,
    ) -> Result<()> {
        let head = [word.byte()];
        let pieces = [IoSlice::new(&head), IoSlice::new(bytes)];
        let fds: Vec<BorrowedFd<'_>> = fd.into_iter().collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&fds)) {
            return Err(Errno::NOBUFS);
        }
        // Nobody waits for one who does not listen: so much never waits in a line that works.
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        sendmsg(&self.0, &pieces, &mut control, flags).map(drop)
    }

    /// Waits for what is said next; `None` once the other end is gone.
    pub(super) fn listen(&self) -> Result<Option<Said>> {
        self.receive(RecvFlags::empty())
    }

    /// As [`listen`](Line::listen), but where nothing was said it is an error, [`Errno::AGAIN`].
    pub(super) fn listen_now(&self) -> Result<Option<Said>> {
        self.receive(RecvFlags::DONTWAIT)
    }

    fn receive(&self, flags: RecvFlags) -> Result<Option<Said>> {
        let mut buffer = vec![0; LONGEST + 1];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = flags | RecvFlags::CMSG_CLOEXEC;
        let length = loop {
            let pieces = &mut [IoSliceMut::new(&mut buffer)];
            match recvmsg(&self.0, pieces, &mut control, flags) {
                Err(Errno::INTR) => {}
                // It went without reading everything.
                Err(Errno::CONNRESET) => return Ok(None),
                received => break received?.bytes,
            }
        };
        let fds = control.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(fds) => Some(fds),
            _ => None,
        });
        let fd = fds.flatten().next();
        Ok(buffer[..length].split_first().map(|(head, bytes)| Said {
            word: Word::of(*head),
            bytes: bytes.to_vec(),
            fd,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixStream;

    #[test]
    fn words_arrive_with_what_is_behind_them() {
        let (own, other) = Line::pair().unwrap();
        assert_eq!(own.listen_now().unwrap_err(), Errno::AGAIN);
        let other = Line::inherited(other).unwrap();
        let (mut here, there) = UnixStream::pair().unwrap();
        other.say_with(Word::Start, b"/opt/new", Some(there.as_fd())).unwrap();
        other.say(Word::Ready).unwrap();
        drop((there, other));
        let said = own.listen().unwrap().unwrap();
        assert_eq!((said.word, &said.bytes[..]), (Some(Word::Start), &b"/opt/new"[..]));
        here.write_all(b"x").unwrap();
        let mut byte = [0];
        UnixStream::from(said.fd.unwrap()).read_exact(&mut byte).unwrap();
        assert_eq!(byte, *b"x");
        let said = own.listen_now().unwrap().unwrap();
        assert_eq!((said.word, said.fd.is_none()), (Some(Word::Ready), true));
        assert!(own.listen().unwrap().is_none());
        assert_eq!(own.say(Word::First).unwrap_err(), Errno::PIPE);
    }

    #[test]
    fn only_a_line_is_one_and_words_of_later_versions_are_passed_over() {
        assert!(Line::inherited(std::fs::File::open("/dev/null").unwrap().into()).is_none());
        let (own, other) = Line::pair().unwrap();
        rustix::io::write(other, b"?later").unwrap();
        assert_eq!(own.listen().unwrap().unwrap().word, None);
    }
}
