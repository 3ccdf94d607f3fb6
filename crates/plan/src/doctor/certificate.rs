//! When a certificate ends: as much of X.509 as says that.
//!
//! What is read is either our own file or what a server shows of itself, so nothing is trusted: a text of another form
//! has no end that is known.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

const SEQUENCE: u8 = 0x30;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// The tag of a version, which may be left out.
const VERSION: u8 = 0xA0;

/// After which time a certificate in DER is not valid any more.
#[must_use]
pub fn not_after(der: &[u8]) -> Option<Timestamp> {
    let (tag, certificate, _) = element(der)?;
    let (inner, signed, _) = element(certificate)?;
    if (tag, inner) != (SEQUENCE, SEQUENCE) {
        return None;
    }
    let mut rest = signed;
    if *rest.first()? == VERSION {
        rest = element(rest)?.2;
    }
    // Serial number, algorithm, issuer.
    for _ in 0..3 {
        rest = element(rest)?.2;
    }
    let (_, validity, _) = element(rest)?;
    let (_, _, rest) = element(validity)?;
    let (tag, text, _) = element(rest)?;
    time(tag, std::str::from_utf8(text).ok()?)
}

/// The first element: its tag, what is in it, and what comes behind it.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match usize::from(*first) {
        short @ 0..0x80 => (short, rest),
        long => {
            let (digits, rest) = rest.split_at_checked(long - 0x80)?;
            if digits.len() > 4 {
                return None;
            }
            let length = digits.iter().fold(0_usize, |sum, digit| (sum << 8) | usize::from(*digit));
            (length, rest)
        }
    };
    let (inside, behind) = rest.split_at_checked(length)?;
    Some((*tag, inside, behind))
}

/// `YYMMDDhhmmssZ` of this century and the last, or `YYYYMMDDhhmmssZ`.
fn time(tag: u8, text: &str) -> Option<Timestamp> {
    let digits = text.strip_suffix('Z').filter(|text| text.is_ascii())?;
    let whole = match (tag, digits.len()) {
        (UTC_TIME, 12) if digits < "50" => format!("20{digits}"),
        (UTC_TIME, 12) => format!("19{digits}"),
        (GENERALIZED_TIME, 14) => digits.to_owned(),
        _ => return None,
    };
    let at = DateTime::strptime("%Y%m%d%H%M%S", whole).ok()?;
    Some(at.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// The certificates in a text of PEM, as DER.
#[must_use]
pub fn pem_blocks(text: &str) -> Vec<Vec<u8>> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    let blocks = text.split(BEGIN).skip(1);
    blocks.filter_map(|block| base64(block.split_once(END)?.0)).collect()
}

fn base64(text: &str) -> Option<Vec<u8>> {
    let value = |byte: u8| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut held) = (0_u32, 0_u32);
    for byte in text.bytes().filter(|byte| !byte.is_ascii_whitespace() && *byte != b'=') {
        held = (held << 6) | u32::from(value(byte)?);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from((held >> bits) & 0xFF).ok()?);
            held &= (1 << bits) - 1;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEM: &str = "text before it
-----BEGIN CERTIFICATE-----
MIIBcjCCARmgAwIBAgIUKtCujAtFZOEl+vfZqQaV+EjRd6EwCgYIKoZIzj0EAwIw
DzENMAsGA1UEAwwEbm9kZTAeFw0yNjExMjgxOTAyMDFaFw0yNzExMjgxOTAyMDFa
MA8xDTALBgNVBAMMBG5vZGUwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAATcWmQ1
y3NRPSfoWcUjvkm2taEm8fKGobEBMyrWBoknjZBPO7jlcULFXvWGkvsFDMqnQEYN
d6pwbtJHdoKQxX2so1MwUTAdBgNVHQ4EFgQUnt5aTVAWjuVrXsyopBeyvJKT/Psw
HwYDVR0jBBgwFoAUnt5aTVAWjuVrXsyopBeyvJKT/PswDwYDVR0TAQH/BAUwAwEB
/zAKBggqhkjOPQQDAgNHADBEAiEAsnzUVJwMm5spHo6BdL91vNhibpeHo+YJmGNv
TZsUDvQCH1p9CgWcJ/aogmcSDIMrsTL58Ik3elrpTb6z13v9uDo=
-----END CERTIFICATE-----
";

    #[test]
    fn the_end_of_a_certificate_is_read() {
        let [der] = &pem_blocks(PEM)[..] else { panic!("one certificate") };
        let end = not_after(der).unwrap();
        assert_eq!(end.to_string(), "2027-11-28T19:02:01Z");
    }

    #[test]
    fn what_is_cut_short_or_of_another_form_has_no_end() {
        let [der] = &pem_blocks(PEM)[..] else { panic!("one certificate") };
        for length in 0..der.len() {
            assert_eq!(not_after(&der[..length]), None, "{length}");
        }
        assert_eq!(not_after(&[0x30, 0x84, 0xFF, 0xFF, 0xFF, 0xFF]), None);
        assert_eq!(
            pem_blocks("-----BEGIN CERTIFICATE-----\n&&&\n-----END CERTIFICATE-----").len(),
            0
        );
    }

    #[test]
    fn the_two_forms_of_a_time_are_read() {
        let told = |tag, text| time(tag, text).map(|at| at.to_string());
        assert_eq!(told(UTC_TIME, "491231235959Z").as_deref(), Some("2049-12-31T23:59:59Z"));
        assert_eq!(told(UTC_TIME, "500101000000Z").as_deref(), Some("1950-01-01T00:00:00Z"));
        assert_eq!(
            told(GENERALIZED_TIME, "20500101000000Z").as_deref(),
            Some("2050-01-01T00:00:00Z")
        );
        assert_eq!(told(GENERALIZED_TIME, "20501301000000Z"), None);
        assert_eq!(told(UTC_TIME, "4912312359Z"), None);
    }
}
