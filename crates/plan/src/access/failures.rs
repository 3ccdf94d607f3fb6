//! How often an address may be wrong: callers without a right key are answered shortly, soon.
//!
//! A right key is never asked how often others were wrong. The memory is the same for one address and for
//! all of them: when a place is wanted, the address that was wrong the longest time ago gives up its own.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::time::Duration;

/// How many wrong keys an address may try at once, and how long until it may try another one.
const BURST: u32 = 20;
const REFILL: Duration = Duration::from_secs(1);
/// Sets of places; an address has its set, and any place in it.
const SETS: usize = 1024;
const PLACES: usize = 8;

/// Whoever was wrong lately.
#[derive(Debug)]
pub struct Failures {
    hasher: RandomState,
    sets: Vec<[Option<Place>; PLACES]>,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    address: IpAddr,
    /// How many more times it may be wrong, as of the time below.
    left: u32,
    at: Duration,
}

/// Whether an address was wrong too often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Not yet: it is told what was wrong.
    Tell,
    /// It was: it is told to stop.
    Stop,
}

impl Default for Failures {
    fn default() -> Self {
        Self { hasher: RandomState::new(), sets: vec![[None; PLACES]; SETS] }
    }
}

impl Failures {
    /// Notes that an address was wrong, at a time since any fixed moment.
    pub fn note(&mut self, address: IpAddr, now: Duration) -> Verdict {
        let address = network(address);
        let set = self.hasher.hash_one(address) % SETS as u64;
        let Some(set) = usize::try_from(set).ok().and_then(|set| self.sets.get_mut(set)) else {
            return Verdict::Tell;
        };
        if let Some(place) = set.iter_mut().flatten().find(|place| place.address == address) {
            return place.take(now);
        }
        let free = set.iter_mut().min_by_key(|place| place.map(|place| place.at));
        if let Some(free) = free {
            *free = Some(Place { address, left: BURST - 1, at: now });
        }
        Verdict::Tell
    }
}

#[cfg(test)]
impl Failures {
    pub(super) fn places(&self) -> usize {
        self.sets.capacity() * PLACES
    }
}

impl Place {
    fn take(&mut self, now: Duration) -> Verdict {
        let gained = now.saturating_sub(self.at).as_millis() / REFILL.as_millis();
        if gained > 0 {
            let gained = u32::try_from(gained).unwrap_or(u32::MAX);
            self.left = self.left.saturating_add(gained).min(BURST);
            self.at = now;
        }
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                Verdict::Tell
            }
            None => Verdict::Stop,
        }
    }
}

/// Whoever has an IPv6 address has 2^64 of them.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            IpAddr::V6(std::net::Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)))
        }
    }
}

/// Lets so many through in a time: bounds the lines of a log.
#[derive(Debug)]
pub struct Trickle {
    burst: u32,
    left: u32,
    at: Duration,
    unseen: u64,
}

impl Trickle {
    /// At most `burst` at once, and that many a minute.
    #[must_use]
    pub fn new(burst: u32) -> Self {
        Self { burst, left: burst, at: Duration::ZERO, unseen: 0 }
    }

    /// Whether this one goes through; if so, how many did not since the last one that did.
    pub fn pass(&mut self, now: Duration) -> Option<u64> {
        if now.saturating_sub(self.at) >= Duration::from_secs(60) {
            self.left = self.burst;
            self.at = now;
        }
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                Some(std::mem::take(&mut self.unseen))
            }
            None => {
                self.unseen += 1;
                None
            }
        }
    }
}
