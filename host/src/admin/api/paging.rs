//! Lists page by page: how many items a page has, and where the next one begins.

use super::problem::Problem;
use crate::admin::query::Query;

const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1000;

/// Which page is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page {
    /// The most items of the page.
    pub(super) limit: usize,
    /// The bytes that `next` of the page before stood for.
    pub(super) after: Option<Vec<u8>>,
}

impl Page {
    /// Reads `limit` and `after`.
    pub(super) fn read(query: &Query) -> Result<Self, Problem> {
        let limit = read_limit(query)?;
        let after = query.get(&["after"]).filter(|after| !after.is_empty());
        let after = after.map(|after| hex::decode(after).map_err(|_| not_from_here())).transpose()?;
        Ok(Self { limit, after })
    }
}

/// Reads `limit`: the most items of an answer.
pub(super) fn read_limit(query: &Query) -> Result<usize, Problem> {
    let Some(limit) = query.get(&["limit"]) else { return Ok(DEFAULT_LIMIT) };
    let limit = limit.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
    limit.ok_or_else(|| Problem::parameter("limit", "give a number from 1 to 1000"))
}

/// `after` is not what an answer gave.
pub(super) fn not_from_here() -> Problem {
    Problem::parameter("after", "give what stood as next in the answer before")
}

/// What stands as `next` in an answer.
pub(super) fn next(bytes: &[u8]) -> String {
    hex::encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_bounded_and_begin_where_the_last_one_ended() {
        let read = |query: &str| Page::read(&Query::parse(query)).ok();
        assert_eq!(read(""), Some(Page { limit: 100, after: None }));
        assert_eq!(read("after="), Some(Page { limit: 100, after: None }));
        assert_eq!(read("limit=1000&after=00ff"), Some(Page { limit: 1000, after: Some(vec![0, 255]) }));
        assert_eq!(next(&[0, 255]), "00ff");
        for wrong in ["limit=0", "limit=1001", "limit=-1", "limit=x", "limit=", "after=0", "after=xy"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
