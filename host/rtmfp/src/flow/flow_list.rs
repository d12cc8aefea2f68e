//! The flows of one direction in a session.

use std::ops::{Deref, DerefMut};

/// A list that mostly has one element, which takes no memory of its own then.
#[derive(Debug, Default)]
pub(super) enum FlowList<T> {
    #[default]
    None,
    One(T),
    Many(Vec<T>),
}

impl<T> FlowList<T> {
    pub(super) fn push(&mut self, flow: T) {
        self.insert(self.len(), flow);
    }

    /// Inserts a flow before the one at `index`, or as the last one.
    pub(super) fn insert(&mut self, index: usize, flow: T) {
        *self = match std::mem::take(self) {
            Self::None => Self::One(flow),
            Self::One(first) => {
                let both = if index == 0 { [flow, first] } else { [first, flow] };
                Self::Many(both.into())
            }
            Self::Many(mut all) => {
                all.insert(index.min(all.len()), flow);
                Self::Many(all)
            }
        };
    }

    /// Removes the flow at `index`, if there is one.
    pub(super) fn remove(&mut self, index: usize) {
        if index >= self.len() {
            return;
        }
        *self = match std::mem::take(self) {
            Self::None | Self::One(_) => Self::None,
            Self::Many(mut all) => {
                all.remove(index);
                match all.len() {
                    1 => all.pop().map_or(Self::None, Self::One),
                    _ => Self::Many(all),
                }
            }
        };
    }
}

impl<T> Deref for FlowList<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Self::None => &[],
            Self::One(flow) => std::slice::from_ref(flow),
            Self::Many(all) => all,
        }
    }
}

impl<T> DerefMut for FlowList<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        match self {
            Self::None => &mut [],
            Self::One(flow) => std::slice::from_mut(flow),
            Self::Many(all) => all,
        }
    }
}

impl<'a, T> IntoIterator for &'a mut FlowList<T> {
    type Item = &'a mut T;
    type IntoIter = std::slice::IterMut<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::flow::recv::RecvFlow;
    use crate::flow::send::SendFlow;

    #[test]
    fn one_flow_takes_no_more_than_itself() {
        assert_eq!(size_of::<FlowList<SendFlow>>(), size_of::<SendFlow>());
        assert_eq!(size_of::<FlowList<RecvFlow>>(), size_of::<RecvFlow>());
    }

    proptest! {
        /// Insertions before some element, and removals.
        #[test]
        fn as_a_vector(steps in prop::collection::vec((any::<bool>(), 0usize..6), 0..60)) {
            let (mut list, mut vector) = (FlowList::default(), Vec::new());
            for (number, (inserts, at)) in steps.into_iter().enumerate() {
                if inserts {
                    list.insert(at.min(vector.len()), number);
                    vector.insert(at.min(vector.len()), number);
                } else {
                    list.remove(at);
                    if at < vector.len() {
                        vector.remove(at);
                    }
                }
                list.iter_mut().zip(&mut vector).for_each(|(one, other)| (*one, *other) = (*one + 1, *other + 1));
                prop_assert_eq!(&list[..], &vector[..]);
                prop_assert_eq!(matches!(list, FlowList::Many(_)), vector.len() > 1);
            }
        }
    }
}
