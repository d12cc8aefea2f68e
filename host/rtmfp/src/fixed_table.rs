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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_one_cell_which_only_those_who_know_the_secret_can_tell() {
        let mut table = FixedTable::<u32>::new([1; 16], 1024);
        assert!(table.known("a").is_none());
        assert_eq!(table.bytes(), 0, "nothing is made to look");
        *table.cell("a").unwrap().1 = 7;
        assert_eq!(table.bytes(), 4096);
        let (tag, cell) = table.known("a").unwrap();
        assert_eq!((*cell, tag), (7, (table.hash("a") >> 32) as u32));
        let hash = table.hash("a");
        assert_eq!(table.at(hash), Some(&mut 7));
        let zeros = (0..1000).filter(|key| table.cell(key).is_some_and(|(_, cell)| *cell == 0)).count();
        assert!(zeros > 980, "others have other cells");
        assert_ne!(FixedTable::<u32>::new([2; 16], 1024).hash("a"), hash);
    }
}
