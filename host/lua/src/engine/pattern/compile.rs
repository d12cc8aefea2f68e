//! Parses patterns.

use super::byte_set::ByteSet;
use super::error::{MAX_CAPTURES, PatternError};

/// A pattern.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Pattern {
    /// Whether it begins with `^`.
    pub(super) anchored: bool,
    pub(super) items: Vec<Item>,
}

/// One item of a pattern.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// Bytes of a class.
    Bytes(ByteSet, Repeat),
    /// `(`
    Open,
    /// `()`
    Position,
    /// `)`, of the capture of that number.
    Close(usize),
    /// `%bxy`
    Balanced(u8, u8),
    /// `%f[set]`
    Frontier(ByteSet),
    /// `%1` to `%9`, counted from 0.
    Back(usize),
    /// `$` at the end.
    End,
}

/// How often a class may match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeat {
    Once,
    /// `?`
    Optional,
    /// `*` and `+`: as often as possible, and at least so often.
    Greedy(usize),
    /// `-`: as seldom as possible.
    Lazy,
}

impl Pattern {
    /// Parses a pattern. `anchors` says whether `^` at the beginning is an anchor.
    pub(super) fn new(text: &[u8], anchors: bool) -> Result<Self, PatternError> {
        let anchored = anchors && text.first() == Some(&b'^');
        let mut reader = Reader { rest: if anchored { &text[1..] } else { text } };
        let mut items = Vec::new();
        let mut open: Vec<usize> = Vec::new();
        let mut captures: Vec<bool> = Vec::new();
        while let Some(byte) = reader.next() {
            let set = match byte {
                b'(' => {
                    if captures.len() == MAX_CAPTURES {
                        return Err(PatternError::Malformed("too many captures"));
                    }
                    let is_position = reader.take(b')');
                    if !is_position {
                        open.push(captures.len());
                    }
                    captures.push(is_position);
                    items.push(if is_position { Item::Position } else { Item::Open });
                    continue;
                }
                b')' => {
                    let capture = open.pop().ok_or(PatternError::Malformed("invalid pattern capture"))?;
                    if let Some(is_closed) = captures.get_mut(capture) {
                        *is_closed = true;
                    }
                    items.push(Item::Close(capture));
                    continue;
                }
                b'$' if reader.rest.is_empty() => {
                    items.push(Item::End);
                    continue;
                }
                b'%' => match reader.next().ok_or(PatternError::Malformed("ends with '%'"))? {
                    b'b' => {
                        const MISSING: PatternError = PatternError::Malformed("missing arguments to '%b'");
                        let (left, right) = (reader.next().ok_or(MISSING)?, reader.next().ok_or(MISSING)?);
                        items.push(Item::Balanced(left, right));
                        continue;
                    }
                    b'f' => {
                        if !reader.take(b'[') {
                            return Err(PatternError::Malformed("missing '[' after '%f'"));
                        }
                        items.push(Item::Frontier(reader.set()?));
                        continue;
                    }
                    digit @ b'0'..=b'9' => {
                        let capture = usize::from(digit - b'0').checked_sub(1);
                        let capture = capture.filter(|capture| captures.get(*capture) == Some(&true));
                        let capture = capture.ok_or(PatternError::Malformed("invalid capture index"))?;
                        items.push(Item::Back(capture));
                        continue;
                    }
                    letter => ByteSet::escaped(letter),
                },
                b'[' => reader.set()?,
                b'.' => ByteSet::ALL,
                byte => ByteSet::one(byte),
            };
            items.push(Item::Bytes(set, reader.repeat()));
        }
        if !open.is_empty() {
            return Err(PatternError::Malformed("unfinished capture"));
        }
        Ok(Self { anchored, items })
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn take(&mut self, byte: u8) -> bool {
        let is_there = self.rest.first() == Some(&byte);
        if is_there {
            self.next();
        }
        is_there
    }

    fn repeat(&mut self) -> Repeat {
        let repeat = match self.rest.first() {
            Some(b'?') => Repeat::Optional,
            Some(b'*') => Repeat::Greedy(0),
            Some(b'+') => Repeat::Greedy(1),
            Some(b'-') => Repeat::Lazy,
            _ => return Repeat::Once,
        };
        self.next();
        repeat
    }

    /// Parses the rest of a set, behind its `[`. A `]` that comes first is one of its bytes.
    fn set(&mut self) -> Result<ByteSet, PatternError> {
        const MISSING: PatternError = PatternError::Malformed("missing ']'");
        let is_negated = self.take(b'^');
        let mut set = ByteSet::EMPTY;
        let mut is_first = true;
        loop {
            match self.next().ok_or(MISSING)? {
                b']' if !is_first => break,
                b'%' => set.add(ByteSet::escaped(self.next().ok_or(MISSING)?)),
                first => match *self.rest {
                    [b'-', last, ..] if last != b']' => {
                        self.rest = self.rest.get(2..).unwrap_or_default();
                        set.add_range(first, last);
                    }
                    _ => set.add_range(first, first),
                },
            }
            is_first = false;
        }
        Ok(if is_negated { set.complement() } else { set })
    }
}
