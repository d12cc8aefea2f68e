//! Sets of bytes: what a character class stands for.

/// A set of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ByteSet([u64; 4]);

impl ByteSet {
    pub(super) const EMPTY: Self = Self([0; 4]);
    pub(super) const ALL: Self = Self([u64::MAX; 4]);

    pub(super) fn one(byte: u8) -> Self {
        let mut set = Self::EMPTY;
        set.add_range(byte, byte);
        set
    }

    pub(super) fn add_range(&mut self, first: u8, last: u8) {
        for byte in first..=last {
            if let Some(word) = self.0.get_mut(usize::from(byte >> 6)) {
                *word |= 1 << (byte & 63);
            }
        }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.0.iter_mut().zip(other.0).for_each(|(word, other)| *word |= other);
    }

    pub(super) fn complement(self) -> Self {
        Self(self.0.map(|word| !word))
    }

    pub(super) fn contains(&self, byte: u8) -> bool {
        self.0.get(usize::from(byte >> 6)).is_some_and(|word| word >> (byte & 63) & 1 == 1)
    }

    /// The class after a `%`: a letter's class, or the byte itself.
    pub(super) fn escaped(letter: u8) -> Self {
        let test: fn(&u8) -> bool = match letter.to_ascii_lowercase() {
            b'a' => u8::is_ascii_alphabetic,
            b'c' => u8::is_ascii_control,
            b'd' => u8::is_ascii_digit,
            b'g' => u8::is_ascii_graphic,
            b'l' => u8::is_ascii_lowercase,
            b'p' => u8::is_ascii_punctuation,
            // C's isspace takes in the vertical tab.
            b's' => |byte| byte.is_ascii_whitespace() || *byte == 0x0b,
            b'u' => u8::is_ascii_uppercase,
            b'w' => u8::is_ascii_alphanumeric,
            b'x' => u8::is_ascii_hexdigit,
            b'z' => |byte| *byte == 0,
            _ => return Self::one(letter),
        };
        let mut set = Self::EMPTY;
        (0..=u8::MAX).filter(test).for_each(|byte| set.add_range(byte, byte));
        if letter.is_ascii_uppercase() { set.complement() } else { set }
    }
}
