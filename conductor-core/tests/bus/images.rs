//! Files of a bus that were damaged: a bit of each byte, and every end that a crash may leave.

use super::crashes::{bus_of, one_file};
use super::dice::Dice;
use super::kit::*;
use super::machine::{Disk, Machine};
use conductor_core::bus::{RawPiece, RawPieces};
use std::path::Path;
use std::time::Instant;

/// Bits of a file in a test run: those of 4 KiB. All of 64 KiB are 524,288.
const BITS: u64 = 8 * 4096;
/// Torn files in a test run.
const IMAGES: u64 = 12_000;

fn bus_with(image: Vec<u8>) -> (Machine, Bus) {
    let machine = Machine::new(Disk::with_file(NAME, image));
    let bus = bus_of(&machine, 1, BusOptions::default()).unwrap();
    (machine, bus)
}

/// Whatever became of the file: what is read of it was posted, and in its order. Gives how many
/// messages were read.
fn judge(bus: &Bus, options: ReadOptions, posted: &[Message], most: usize) -> usize {
    let (mut from, mut read) = (0, 0);
    for event in bus.read(options).unwrap() {
        if let Event::Message(message) = event.unwrap() {
            let at = posted[from..].iter().position(|posted| *posted == message);
            from += at.unwrap_or_else(|| panic!("never posted: {message:?}")) + 1;
            read += 1;
        }
        if read == most {
            break;
        }
    }
    read
}

#[test]
fn no_flipped_bit_alters_a_message() {
    let began = Instant::now();
    let bits = count(BITS);
    let (mut whole, posted) = one_file(usize::try_from(bits / 8).unwrap());
    let bits = bits.min(whole.len() as u64 * 8);
    let original = whole.clone();
    let records: Vec<&[u8]> = RawPieces::new(&original)
        .map(|piece| match piece {
            RawPiece::Record(record) => record.as_bytes(),
            RawPiece::Other(other) => panic!("no record: {other:?}"),
        })
        .collect();
    let ends: Vec<usize> = records
        .iter()
        .map(|record| record.as_ptr().addr() - original.as_ptr().addr() + record.len())
        .collect();
    let mut hidden = 0;
    for bit in 0..usize::try_from(bits).unwrap() {
        whole[bit / 8] ^= 1 << (bit % 8);
        // All of the file: every record but the one with the bit, to the byte.
        let broken = ends.partition_point(|end| *end <= bit / 8);
        let mut expected = records.iter().enumerate().filter(|(at, _)| *at != broken);
        let mut missed = 0;
        for piece in RawPieces::new(&whole) {
            let RawPiece::Record(record) = piece else { continue };
            let found = expected.by_ref().position(|(_, known)| *known == record.as_bytes());
            missed += found.unwrap_or_else(|| panic!("bit {bit} alters a record"));
        }
        missed += expected.count();
        // The mark before the next record may be what the bit broke.
        assert!(missed <= 1, "bit {bit} hides {missed} other records");
        hidden += missed;
        // As messages, from some way before; the first record begins the segment and is none.
        let from = broken.saturating_sub(4);
        let options = match from {
            0 => ReadOptions::default(),
            from => ReadOptions::default().after(&posted[from - 1].cursor),
        };
        let near = &posted[from.min(posted.len())..(broken + 4).min(posted.len())];
        let (_, bus) = bus_with(whole.clone());
        let read = judge(&bus, options, &posted[from.min(posted.len())..], near.len().max(2) - 2);
        assert!(read + 2 >= near.len(), "bit {bit} hides {} messages", near.len() - read);
        whole[bit / 8] ^= 1 << (bit % 8);
    }
    let took = began.elapsed().as_secs();
    println!(
        "{bits} flipped bits of {} bytes, {hidden} hid a neighbour too, in {took} s",
        whole.len()
    );
}

/// The ends that a crash may leave of a file of which the bytes from `cut` on were being written.
fn torn(whole: &[u8], cut: usize, dice: &mut Dice) -> Vec<(Vec<u8>, bool)> {
    let filled = |length: usize, mut byte: Box<dyn FnMut(usize) -> u8 + '_>| {
        let mut image = whole[..cut].to_vec();
        image.extend((cut..length).map(&mut byte));
        image
    };
    let zero = || Box::new(|_| 0);
    let noise = (dice.roll(255) + 1, dice.roll(7) as usize + 1);
    vec![
        (whole[..cut].to_vec(), true),
        (filled(whole.len(), zero()), true),
        (filled(cut.next_multiple_of(512), zero()), true),
        (filled(cut.next_multiple_of(4096), zero()), true),
        (filled(whole.len(), Box::new(|at| (at as u64 * 131 * noise.0) as u8 | 1)), false),
        // The end came to the disk before its beginning did.
        (
            filled(whole.len(), Box::new(|at| if at % 512 < 64 * noise.1 { 0 } else { whole[at] })),
            false,
        ),
    ]
}

#[test]
fn no_torn_end_becomes_a_message_and_the_next_writer_goes_on() {
    let (total, began) = (count(IMAGES), Instant::now());
    let (mut images, mut written) = (0, 0);
    for round in 1.. {
        // Each round has other messages.
        let mut dice = Dice::new(round * 7919);
        let (whole, posted) = one_file(1500 + dice.roll(1500) as usize);
        for cut in 0..whole.len() {
            for (image, is_torn) in torn(&whole, cut, &mut dice) {
                let (machine, bus) = bus_with(image.clone());
                judge(&bus, ReadOptions::default(), &posted, usize::MAX);
                images += 1;
                if dice.roll(4) > 0 {
                    continue;
                }
                written += 1;
                let next = bus.post(Post::new("INFO", "next"), Wait::NONE).unwrap();
                let last = bus.tail(1).unwrap().last().unwrap().unwrap();
                assert!(matches!(last, Event::Message(last) if last.cursor == next.cursor));
                if !is_torn {
                    let disk = machine.disk().contents();
                    let live = &disk[Path::new(NAME).as_os_str()];
                    let torn = disk.get(Path::new(&format!(".{NAME}.torn")).as_os_str());
                    let kept = live.len() + torn.map_or(0, Vec::len);
                    assert!(kept >= image.len(), "bytes were taken away at {cut}");
                }
            }
            if images >= total {
                let took = began.elapsed().as_secs();
                println!("{images} torn files, {written} of them written to, in {took} s");
                return;
            }
        }
    }
}
