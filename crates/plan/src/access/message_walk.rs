//! Reads the collection's name out of a gRPC request, as it streams by.
//!
//! A field of a protobuf message may come more than once, at any place, and the last one counts. So the whole
//! message is walked: not kept, only its tags and lengths are looked at, and the names in it. Nothing that
//! could name another collection passes.

use super::limited::OutOfScope;
use super::scope::Scope;
use super::shapes::Shape;

/// The longest name that is read, in bytes; the engine takes none that is longer.
const NAME_BYTES_MAX: usize = 255;
/// How deeply prefetches may be nested.
const DEPTH_MAX: usize = 32;
/// Of a gRPC message: whether it is compressed, and its length.
const FRAME_HEAD: usize = 5;

/// A request that is being walked. Needs the same memory for every message.
#[derive(Debug, Clone)]
pub struct MessageWalk {
    scope: Scope,
    shape: &'static Shape,
    state: State,
    /// How many bytes of the message have been seen.
    at: u64,
    /// The messages that are open, the outermost first, each with its end.
    open: Vec<Level>,
    /// The name that is being read.
    name: Vec<u8>,
    /// Whether the outermost message has named its collection.
    named: bool,
}

#[derive(Debug, Clone, Copy)]
struct Level {
    end: u64,
    shape: &'static Shape,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Head { seen: usize, length: u32 },
    Tag(Varint),
    Number(Varint),
    Length(Varint, Field),
    Skip(u64),
    Name(u64),
    Done,
}

/// What comes next is.
#[derive(Debug, Clone, Copy)]
enum Field {
    Name,
    Inner(&'static Shape),
    Other,
}

#[derive(Debug, Clone, Copy, Default)]
struct Varint {
    value: u64,
    seen: u32,
}

impl Varint {
    /// Takes a byte; the value, when it was the last one.
    fn push(&mut self, byte: u8) -> Result<Option<u64>, OutOfScope> {
        let bits = u64::from(byte & 0x7f);
        // The tenth byte has room for one bit.
        if self.seen > 9 || (self.seen == 9 && bits > 1) {
            return Err(OutOfScope::Unreadable);
        }
        self.value |= bits << (7 * self.seen);
        self.seen += 1;
        Ok((byte & 0x80 == 0).then_some(self.value))
    }
}

impl MessageWalk {
    pub(super) fn new(scope: Scope, shape: &'static Shape) -> Self {
        Self {
            scope,
            shape,
            state: State::Head { seen: 0, length: 0 },
            at: 0,
            open: Vec::new(),
            name: Vec::new(),
            named: false,
        }
    }

    /// Looks at the next bytes.
    ///
    /// # Errors
    /// When they name a collection that the scope does not cover, or could.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<(), OutOfScope> {
        while let Some((first, rest)) = bytes.split_first() {
            match self.state {
                State::Skip(left) => bytes = self.take(bytes, left, false)?,
                State::Name(left) => bytes = self.take(bytes, left, true)?,
                State::Head { .. }
                | State::Tag(_)
                | State::Number(_)
                | State::Length(..)
                | State::Done => {
                    self.byte(*first)?;
                    bytes = rest;
                }
            }
        }
        Ok(())
    }

    /// Says at the end of the body whether there was one whole message.
    ///
    /// # Errors
    /// When there was not.
    pub fn end(&self) -> Result<(), OutOfScope> {
        match self.state {
            State::Done => Ok(()),
            State::Head { .. }
            | State::Tag(_)
            | State::Number(_)
            | State::Length(..)
            | State::Skip(_)
            | State::Name(_) => Err(OutOfScope::Unreadable),
        }
    }

    /// One byte of what is not skipped.
    fn byte(&mut self, byte: u8) -> Result<(), OutOfScope> {
        if let State::Head { seen, length } = self.state {
            return self.head(byte, seen, length);
        }
        self.at += 1;
        match self.state {
            State::Tag(mut varint) => match varint.push(byte)? {
                Some(tag) => self.tag(tag)?,
                None => self.state = State::Tag(varint),
            },
            State::Number(mut varint) => match varint.push(byte)? {
                Some(_) => return self.field_ends(),
                None => self.state = State::Number(varint),
            },
            State::Length(mut varint, field) => match varint.push(byte)? {
                Some(length) => return self.length(length, field),
                None => self.state = State::Length(varint, field),
            },
            // A call has one message.
            State::Done => return Err(OutOfScope::Unreadable),
            State::Head { .. } | State::Skip(_) | State::Name(_) => {}
        }
        // A tag, number or length goes on beyond its message's end.
        if self.open.last().is_some_and(|level| self.at >= level.end) {
            return Err(OutOfScope::Unreadable);
        }
        Ok(())
    }

    fn head(&mut self, byte: u8, seen: usize, length: u32) -> Result<(), OutOfScope> {
        if seen == 0 && byte != 0 {
            return Err(OutOfScope::Compressed);
        }
        let length = if seen == 0 { 0 } else { length << 8 | u32::from(byte) };
        self.state = State::Head { seen: seen + 1, length };
        if seen + 1 < FRAME_HEAD {
            return Ok(());
        }
        self.open.push(Level { end: u64::from(length), shape: self.shape });
        self.field_ends()
    }

    fn tag(&mut self, tag: u64) -> Result<(), OutOfScope> {
        let number = u32::try_from(tag >> 3).unwrap_or(u32::MAX);
        let shape = self.open.last().ok_or(OutOfScope::Unreadable)?.shape;
        if number == 0 || number > shape.known {
            return Err(OutOfScope::Unreadable);
        }
        if shape.foreign.contains(&number) {
            return Err(OutOfScope::Lookup);
        }
        let inner = shape.inner.iter().find(|(inner, _)| *inner == number);
        let field = match inner {
            Some((_, inner)) => Field::Inner(inner),
            None if shape.names && number == 1 => Field::Name,
            None => Field::Other,
        };
        self.state = match (tag & 7, field) {
            (0, Field::Other) => State::Number(Varint::default()),
            (1, Field::Other) => State::Skip(8),
            (5, Field::Other) => State::Skip(4),
            (2, field) => State::Length(Varint::default(), field),
            // Groups, and what has another type than it should.
            _ => return Err(OutOfScope::Unreadable),
        };
        if let State::Skip(count) = self.state {
            let end = self.open.last().map_or(0, |level| level.end);
            if self.at + count > end {
                return Err(OutOfScope::Unreadable);
            }
        }
        Ok(())
    }

    fn length(&mut self, length: u64, field: Field) -> Result<(), OutOfScope> {
        let end = self.at.checked_add(length).ok_or(OutOfScope::Unreadable)?;
        if self.open.last().is_none_or(|level| end > level.end) {
            return Err(OutOfScope::Unreadable);
        }
        match field {
            Field::Name if length > NAME_BYTES_MAX as u64 => return Err(OutOfScope::Unreadable),
            Field::Name => {
                self.name.clear();
                self.state = State::Name(length);
                if length == 0 {
                    return self.name_ends();
                }
            }
            Field::Inner(shape) => {
                if self.open.len() >= DEPTH_MAX {
                    return Err(OutOfScope::Unreadable);
                }
                self.open.push(Level { end, shape });
                return self.field_ends();
            }
            Field::Other if length == 0 => return self.field_ends(),
            Field::Other => self.state = State::Skip(length),
        }
        Ok(())
    }

    /// Takes what is there of a field's content.
    fn take<'b>(&mut self, bytes: &'b [u8], left: u64, name: bool) -> Result<&'b [u8], OutOfScope> {
        let count = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let (taken, rest) = bytes.split_at_checked(count).ok_or(OutOfScope::Unreadable)?;
        let left = left - count as u64;
        self.at += count as u64;
        match name {
            true => {
                self.name.extend_from_slice(taken);
                self.state = State::Name(left);
            }
            false => self.state = State::Skip(left),
        }
        match (left, name) {
            (0, true) => self.name_ends()?,
            (0, false) => self.field_ends()?,
            _ => {}
        }
        Ok(rest)
    }

    fn name_ends(&mut self) -> Result<(), OutOfScope> {
        let outermost = self.open.len() == 1;
        let name = std::str::from_utf8(&self.name).map_err(|_| OutOfScope::Unreadable)?;
        // In a batch the inner ones may leave it to the outer one.
        if outermost || !name.is_empty() {
            if !self.scope.covers(name) {
                return Err(OutOfScope::Collection(name.to_owned()));
            }
            self.named |= outermost;
        }
        self.field_ends()
    }

    /// Closes the messages that end here.
    fn field_ends(&mut self) -> Result<(), OutOfScope> {
        while self.open.last().is_some_and(|level| level.end == self.at) {
            self.open.pop();
        }
        self.state = State::Tag(Varint::default());
        if self.open.is_empty() {
            self.state = State::Done;
            if !self.named {
                return Err(OutOfScope::Unnamed);
            }
        }
        Ok(())
    }
}
