//! The query of a request: names and values, percent-encoded.

/// How many values of a query count.
const MAX_VALUES: usize = 64;

/// The names and values of a query, in their order. Names compare without case, as in AMS's Administration API.
#[derive(Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads a query. What is behind the first 64 values is left out, as is a value that is not UTF-8.
    pub(super) fn parse(text: &str) -> Self {
        let parts = text.split('&').filter(|part| !part.is_empty()).take(MAX_VALUES);
        let pairs = parts.filter_map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            Some((decode(name)?.to_ascii_lowercase(), decode(value)?))
        });
        Self(pairs.collect())
    }

    /// The first value under one of these names, which are in lower case.
    pub(super) fn get(&self, names: &[&str]) -> Option<&str> {
        self.0.iter().find(|(name, _)| names.contains(&name.as_str())).map(|(_, value)| value.as_str())
    }

    /// All values under a name, which is in lower case.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Decodes what browsers encode: `%41` and `+`. `None` if a percent sign stands alone, or the result is not UTF-8.
pub(super) fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        match (first, after) {
            (b'%', [high, low, after @ ..]) => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                bytes.push(digit(high)? << 4 | digit(low)?);
                rest = after;
            }
            (b'%', _) => return None,
            (b'+', _) => bytes.push(b' '),
            (byte, _) => bytes.push(*byte),
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_without_case_and_values_decoded() {
        let query = Query::parse("AUser=ad%6Din&apswd=a%26b%3d%2B+c&&empty&arg=1&arg=2&x==y");
        assert_eq!(query.get(&["auser"]), Some("admin"));
        assert_eq!(query.get(&["apswd"]), Some("a&b=+ c"));
        assert_eq!(query.get(&["empty"]), Some(""));
        assert_eq!(query.get(&["x"]), Some("=y"));
        assert_eq!(query.get(&["none", "arg"]), Some("1"));
        assert_eq!(query.get(&["none"]), None);
        assert_eq!(query.all("arg").collect::<Vec<_>>(), ["1", "2"]);
    }

    #[test]
    fn what_is_encoded_wrongly_is_left_out() {
        for text in ["%", "%4", "%zz", "%ff", "a%"] {
            assert_eq!(decode(text), None, "{text}");
            let query = format!("a={text}&b=1");
            assert_eq!((Query::parse(&query).get(&["a"]), Query::parse(&query).get(&["b"])), (None, Some("1")));
        }
        assert_eq!(decode("%e2%82%ac").as_deref(), Some("€"));
    }

    #[test]
    fn a_bounded_number_of_values_counts() {
        let query = Query::parse(&"a=1&".repeat(1000));
        assert_eq!(query.all("a").count(), MAX_VALUES);
    }
}
