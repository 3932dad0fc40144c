//! Numbers of bytes as they stand on command lines and in configuration.
//!
//! Units are powers of 1024, with or without an `i`: `10MB` and `10MiB` are the same.

use crate::error::{Error, Result};

/// Reads a number of bytes: `4096`, `512k`, `10MB`, `1.5GiB`. A part of a byte is cut off.
///
/// # Errors
/// `size.invalid`, naming the text and the form.
pub fn parse_size(text: &str) -> Result<u64> {
    read(text.trim()).ok_or_else(|| {
        Error::invalid("size.invalid", "size", format!("invalid size {text:?}"))
            .with_hint("a size looks like 4096, 512KB, 10MB or 1.5GB; units are powers of 1024")
    })
}

fn read(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let shift = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return None,
    };
    let (whole, fraction) = match number.split_once('.') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None => (number, ""),
    };
    if whole.is_empty() || fraction.contains('.') {
        return None;
    }
    let whole = whole.parse::<u64>().ok()?.checked_mul(1 << shift)?;
    // Twelve digits are more than one byte of the largest unit needs.
    let digits = &fraction[..fraction.len().min(12)];
    let part = match digits.parse::<u128>() {
        Ok(part) => (part << shift) / 10u128.pow(u32::try_from(digits.len()).ok()?),
        Err(_) => 0,
    };
    whole.checked_add(u64::try_from(part).ok()?)
}

/// Writes a number of bytes for people: `0 B`, `1.5 KB`, `10.0 MB`.
pub fn format_size(bytes: u64) -> String {
    let mut unit = 0;
    let mut size = bytes;
    let mut rest = 0;
    while size >= 1024 && unit < UNITS.len() - 1 {
        rest = size % 1024;
        size /= 1024;
        unit += 1;
    }
    match unit {
        0 => format!("{size} B"),
        _ => format!("{size}.{} {}", rest * 10 / 1024, UNITS[unit]),
    }
}

const UNITS: [&str; 5] = ["B", "KB", "MB", "GB", "TB"];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn units_are_powers_of_1024_and_parts_exact() {
        let cases = [
            ("0", 0),
            ("4096", 4096),
            ("7b", 7),
            ("10MB", 10 << 20),
            ("10MiB", 10 << 20),
            ("10 mib", 10 << 20),
            (" 512kb ", 512 << 10),
            ("1.5GB", 3 << 29),
            ("1.5MB", 3 << 19),
            ("0.5k", 512),
            ("0.001KB", 1),
            ("1T", 1 << 40),
        ];
        for (text, bytes) in cases {
            assert_eq!(parse_size(text).unwrap(), bytes, "{text}");
        }
    }

    #[test]
    fn garbage_is_refused_and_named() {
        let texts = [
            "",
            " ",
            "MB",
            "-1",
            "-1MB",
            "+1",
            "10xMB",
            "10MBx",
            "1e3",
            "1.",
            ".5k",
            "1..5k",
            "1.2.3k",
            "1,5MB",
            "0x10",
            "99999999999999T",
            "18446744073709551616",
        ];
        for text in texts {
            let error = parse_size(text).unwrap_err();
            assert_eq!((error.code(), error.field()), ("size.invalid", Some("size")), "{text}");
            assert!(error.to_string().contains(&format!("{text:?}")));
        }
    }

    #[test]
    fn sizes_are_written_for_people() {
        let cases = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1536, "1.5 KB"),
            (10 << 20, "10.0 MB"),
            ((1 << 30) - 1, "1023.9 MB"),
            (u64::MAX, "16777215.9 TB"),
        ];
        for (bytes, text) in cases {
            assert_eq!(format_size(bytes), text);
        }
    }

    proptest! {
        #[test]
        fn reading_a_size_never_panics(text in "\\PC{0,30}|[0-9.]{0,40}[kmgtib]{0,3}") {
            let _ = parse_size(&text);
        }
    }
}
