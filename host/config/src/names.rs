//! Finds the name that was probably meant.

/// Longer names than any that is known earn no suggestion, and no work.
const MAX_NAME: usize = 64;

/// The candidate nearest to `name`, if one is near enough to be what was meant. Case counts for little.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > MAX_NAME {
        return None;
    }
    let wanted: Vec<char> = name.to_lowercase().chars().collect();
    let tolerance = (wanted.len() / 3).max(2);
    candidates
        .into_iter()
        .map(|candidate| (distance(&wanted, &candidate.to_lowercase().chars().collect::<Vec<_>>()), candidate))
        .filter(|(distance, candidate)| *distance <= tolerance && *distance < candidate.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many characters must be put in, left out, changed or swapped with their neighbour to make one of the other.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let at = |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX - 1);
            let mut cost = (at(&last, j + 1) + 1).min(at(&row, j) + 1).min(at(&last, j) + usize::from(x != y));
            let is_swap = i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x);
            if is_swap {
                cost = cost.min(at(&before_last, j - 1) + 1);
            }
            row.push(cost);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(a.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_name_and_a_stranger_finds_none() {
        let known = ["MaxAppIdleTime", "LoadOnStartup", "RTMFP", "Allow"];
        assert_eq!(nearest("MaxAppIdelTime", known), Some("MaxAppIdleTime"));
        assert_eq!(nearest("loadonstartup", known), Some("LoadOnStartup"));
        assert_eq!(nearest("RTMP", known), Some("RTMFP"));
        assert_eq!(nearest("Alow", known), Some("Allow"));
        assert_eq!(nearest("Whatever", known), None);
        assert_eq!(nearest("Zz", ["Ab"]), None);
        assert_eq!(nearest(&"x".repeat(65), known), None);
    }

    #[test]
    fn distance_counts_single_slips_as_one() {
        let distance =
            |a: &str, b: &str| super::distance(&a.chars().collect::<Vec<_>>(), &b.chars().collect::<Vec<_>>());
        assert_eq!(distance("", ""), 0);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", ""), 3);
        assert_eq!(distance("abcd", "abdc"), 1);
        assert_eq!(distance("abc", "axc"), 1);
        assert_eq!(distance("kitten", "sitting"), 3);
    }

    #[test]
    fn how_far_a_name_may_be_off_depends_on_its_length() {
        // A third of the characters, or two.
        assert_eq!(nearest("abcd", ["xxcd"]), Some("xxcd"));
        assert_eq!(nearest("abcd", ["xxxd"]), None);
        assert_eq!(nearest("abcdefghi", ["xxxdefghi"]), Some("xxxdefghi"));
        assert_eq!(nearest("abcdefgh", ["xxxdefgh"]), None);
        assert_eq!(nearest("abcd", ["xxcd", "xbcd", "axcd"]), Some("xbcd"), "the first of the nearest");
        // A name that shares nothing with it is not near, however short.
        assert_eq!(nearest("abc", ["xy"]), None);
        assert_eq!(nearest("abc", ["bc"]), Some("bc"));
        let longest = "x".repeat(64);
        assert_eq!(nearest(&longest, [longest.as_str()]), Some(longest.as_str()));
    }

    #[test]
    fn a_swap_of_neighbours_is_one_slip_and_of_others_two() {
        let distance =
            |a: &str, b: &str| super::distance(&a.chars().collect::<Vec<_>>(), &b.chars().collect::<Vec<_>>());
        assert_eq!(distance("ab", "ba"), 1);
        assert_eq!(distance("abcd", "badc"), 2);
        assert_eq!(distance("abc", "cba"), 2);
        assert_eq!(distance("xab", "xba"), 1);
        assert_eq!(distance("abx", "aby"), 1);
        assert_eq!(distance("aab", "aba"), 1);
        assert_eq!(distance("abab", "baba"), 2);
    }
}
