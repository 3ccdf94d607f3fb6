//! What stands in `/proc`, read.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The state of a socket that listens.
const LISTENS: &str = "0A";

/// The sockets that listen, with the number of each, from the text of `/proc/net/tcp` or `/proc/net/tcp6`. Lines that are
/// not of that form are left out.
#[must_use]
pub fn listeners(text: &str) -> Vec<(SocketAddr, u64)> {
    text.lines().skip(1).filter_map(listener).collect()
}

fn listener(line: &str) -> Option<(SocketAddr, u64)> {
    let mut fields = line.split_whitespace();
    let (address, port) = fields.nth(1)?.split_once(':')?;
    let state = fields.nth(1)?;
    let number = fields.nth(5)?.parse().ok()?;
    let at = SocketAddr::new(ip(address)?, u16::from_str_radix(port, 16).ok()?);
    (state == LISTENS).then_some((at, number))
}

/// An address as the kernel prints it: words of four bytes, each as the machine would read it as a number.
fn ip(digits: &str) -> Option<IpAddr> {
    let word = |at: usize| {
        let digits = digits.get(at * 8..at * 8 + 8)?;
        Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
    };
    match digits.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let words = [word(0)?, word(1)?, word(2)?, word(3)?];
            let mut bytes = [0; 16];
            bytes.iter_mut().zip(words.iter().flatten()).for_each(|(to, from)| *to = *from);
            let address = Ipv6Addr::from(bytes);
            Some(address.to_ipv4_mapped().map_or(IpAddr::V6(address), IpAddr::V4))
        }
        _ => None,
    }
}

/// How many files a process may have open, from the text of `/proc/PID/limits`.
#[must_use]
pub fn open_files_limit(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_that_listen_are_read_with_their_numbers() {
        let text = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
            0: 0100007F:18BD 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4242 1 0 100 0 0 10 0\n   \
            1: 0100007F:18BD 0100007F:9999 01 00000000:00000000 00:00000000 00000000  1000        0 4243 1 0 100 0 0 10 0\n\
            garbage\n";
        assert_eq!(listeners(text), [("127.0.0.1:6333".parse().unwrap(), 4242)]);
        let text = "header\n   0: 00000000000000000000000001000000:18BE 00000000000000000000000000000000:0000 0A \
            00000000:00000000 00:00000000 00000000 0 0 7 1 0 100 0 0 10 0\n";
        assert_eq!(listeners(text), [("[::1]:6334".parse().unwrap(), 7)]);
    }

    #[test]
    fn the_limit_of_open_files_is_the_soft_one() {
        let text = "Limit                     Soft Limit           Hard Limit           Units     \n\
            Max processes             1                    2                    processes \n\
            Max open files            1024                 524288               files     \n";
        assert_eq!(open_files_limit(text), Some(1024));
        assert_eq!(open_files_limit("Max open files  unlimited unlimited files"), Some(u64::MAX));
        assert_eq!(open_files_limit("nothing"), None);
    }
}
