//! The signature of a call, so that the receiver knows who calls, and when. Pure.

use crate::time::Timestamp;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

/// The headers that sign a call: name and value.
pub type SignedHeaders = Vec<(&'static str, String)>;

/// The headers that sign `body` for a receiver that shares `secret`, at the time `now`.
///
/// `X-Conductor-Signature` is `sha256=` and the hexadecimal HMAC-SHA256 of the body, as the older program
/// sends it. It cannot tell a call from its replay; `X-Conductor-Signature-V2` can: it signs the value of
/// `X-Conductor-Timestamp`, which is in seconds since 1970, a dot, and the body. A receiver that checks it
/// and refuses old timestamps is safe from both.
pub fn sign(secret: &str, body: &[u8], now: Timestamp) -> SignedHeaders {
    let seconds = now.unix_nanos().div_euclid(1_000_000_000).to_string();
    let plain = hex(secret, &[body]);
    let stamped = hex(secret, &[seconds.as_bytes(), b".", body]);
    vec![
        ("X-Conductor-Signature", format!("sha256={plain}")),
        ("X-Conductor-Timestamp", seconds),
        ("X-Conductor-Signature-V2", format!("sha256={stamped}")),
    ]
}

fn hex(secret: &str, parts: &[&[u8]]) -> String {
    // A key of any length is taken.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        return String::new();
    };
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_signature_is_that_of_the_standard() {
        // RFC 4231, test case 2.
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(hex("Jefe", &[b"what do ya want ", b"for nothing?"]), expected);
    }

    #[test]
    fn the_second_signature_is_of_the_time_and_the_body() {
        let now = Timestamp::UNIX_EPOCH.plus(Duration::from_millis(1_700_000_000_999));
        let headers = sign("k", b"{}", now);
        assert_eq!(headers[0].1, format!("sha256={}", hex("k", &[b"{}"])));
        assert_eq!(headers[1].1, "1700000000");
        assert_eq!(headers[2].1, format!("sha256={}", hex("k", &[b"1700000000.{}"])));
        let later = sign("k", b"{}", now.plus(Duration::from_secs(1)));
        assert_eq!(headers[0], later[0]);
        assert_ne!(headers[2], later[2]);
    }
}
