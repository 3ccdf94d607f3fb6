//! Looks through a REST body, as it streams by, for anything that names another collection.
//!
//! The servers behind the gateway read bodies with serde. It takes the fields of a struct by name, and also
//! by position, from an array. So three things are refused: a key that reads or copies from another
//! collection, the key that a place in another collection is named by, and a string in an array in an array,
//! which is how such a place looks by position. No request without a lookup has one of the three.

use super::limited::OutOfScope;

/// Keys whose value names another collection, and the key inside such a value.
const FOREIGN: [&str; 4] = ["lookup_from", "with_lookup", "init_from", "collection"];
/// serde refuses what is nested more deeply; so nothing is.
const DEPTH_MAX: usize = 128;
/// The longest of the keys, and one byte more.
const WORD_BYTES: usize = 12;

/// A body that is being looked through. Needs no more memory than its nesting.
#[derive(Debug, Clone, Default)]
pub struct JsonScan {
    /// The open containers: whether each is an array.
    open: Vec<bool>,
    state: State,
    word: Word,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    /// Between tokens. Says whether the last token was a string that is a key if a colon follows.
    #[default]
    Outside,
    Inside,
    Escape,
    /// Digits of `\u` still to come, and their value so far.
    Unicode {
        left: u8,
        value: u32,
    },
    /// After a string.
    Closed,
}

/// The beginning of a string, decoded.
#[derive(Debug, Clone, Copy, Default)]
struct Word {
    bytes: [u8; WORD_BYTES],
    length: usize,
}

impl Word {
    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.length) {
            *place = byte;
            self.length += 1;
        }
    }

    fn foreign(&self) -> bool {
        let word = self.bytes.get(..self.length).unwrap_or_default();
        FOREIGN.iter().any(|foreign| foreign.as_bytes() == word)
    }
}

impl JsonScan {
    /// Looks at the next bytes.
    ///
    /// # Errors
    /// When they name another collection, or could.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), OutOfScope> {
        bytes.iter().try_for_each(|byte| self.byte(*byte))
    }

    fn byte(&mut self, byte: u8) -> Result<(), OutOfScope> {
        match self.state {
            State::Outside | State::Closed => self.outside(byte)?,
            State::Inside => match byte {
                b'"' => self.state = State::Closed,
                b'\\' => self.state = State::Escape,
                byte => self.word.push(byte),
            },
            State::Escape => {
                self.state = State::Inside;
                match byte {
                    b'u' => self.state = State::Unicode { left: 4, value: 0 },
                    // None of them is in a word; what stands for what does not matter.
                    b'b' | b'f' | b'n' | b'r' | b't' => self.word.push(0),
                    byte => self.word.push(byte),
                }
            }
            State::Unicode { left, value } => {
                let digit = char::from(byte).to_digit(16).ok_or(OutOfScope::Unreadable)?;
                let value = value * 16 + digit;
                self.state = State::Unicode { left: left - 1, value };
                if left == 1 {
                    self.word.push(u8::try_from(value).unwrap_or(0xff));
                    self.state = State::Inside;
                }
            }
        }
        Ok(())
    }

    fn outside(&mut self, byte: u8) -> Result<(), OutOfScope> {
        match byte {
            b'"' => {
                if let [.., true, true] = self.open.as_slice() {
                    return Err(OutOfScope::Lookup);
                }
                self.word = Word::default();
                self.state = State::Inside;
                return Ok(());
            }
            b':' if self.state == State::Closed && self.word.foreign() => {
                return Err(OutOfScope::Lookup);
            }
            b'{' | b'[' => {
                if self.open.len() >= DEPTH_MAX {
                    return Err(OutOfScope::Unreadable);
                }
                self.open.push(byte == b'[');
            }
            b'}' | b']' => {
                self.open.pop();
            }
            // A key and its colon may be apart.
            byte if byte.is_ascii_whitespace() => return Ok(()),
            _ => {}
        }
        self.state = State::Outside;
        Ok(())
    }
}
