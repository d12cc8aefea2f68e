//! A table of fixed size, for what is remembered of networks from which packets come, and may be forgotten.

use std::hash::{DefaultHasher, Hash, Hasher};

/// A number of cells. Where more keys are in use than that, one takes another's cell by chance.
#[derive(Debug)]
pub(crate) struct FixedTable<T> {
    /// So that no sender can choose keys that share a cell.
    secret: [u8; 16],
    count: usize,
    /// Made with the first key.
    cells: Option<Box<[T]>>,
}

impl<T: Clone + Default> FixedTable<T> {
    /// With `count` cells, at least one.
    pub(crate) fn new(secret: [u8; 16], count: usize) -> Self {
        Self { secret, count, cells: None }
    }

    /// The cell of a key, and half of the key's hash, which tells whether another key had the cell before.
    pub(crate) fn cell(&mut self, key: impl Hash) -> Option<(u32, &mut T)> {
        let hash = self.hash(key);
        let cell = self.at(hash)?;
        Some(((hash >> 32) as u32, cell))
    }

    /// The cell of a key with this [hash](Self::hash).
    pub(crate) fn at(&mut self, hash: u64) -> Option<&mut T> {
        let cells = self.cells.get_or_insert_with(|| vec![T::default(); self.count].into_boxed_slice());
        cells.get_mut(hash as usize % self.count)
    }

    /// The same, if there are any cells yet.
    pub(crate) fn known(&mut self, key: impl Hash) -> Option<(u32, &mut T)> {
        self.cells.as_ref()?;
        self.cell(key)
    }

    /// What names a key here.
    pub(crate) fn hash(&self, key: impl Hash) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.secret, key).hash(&mut hasher);
        hasher.finish()
    }

    /// Bytes in use.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.cells.as_ref().map_or(0, |cells| std::mem::size_of_val(&**cells))
    }
}
