//! Cuts Rust source into the tokens that say which names a file uses. Comments, literals and lifetimes are left out.

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Name(String),
    /// `::`
    Separator,
    Mark(char),
    /// The text of a string literal.
    Text(String),
}

#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) line: usize,
}

impl Token {
    pub(crate) fn is(&self, mark: char) -> bool {
        self.kind == Kind::Mark(mark)
    }

    pub(crate) fn name(&self) -> Option<&str> {
        match &self.kind {
            Kind::Name(name) => Some(name),
            _ => None,
        }
    }
}

pub(crate) fn tokens(source: &str) -> Vec<Token> {
    Cutter { chars: source.chars().collect(), at: 0, line: 1, tokens: Vec::new() }.cut()
}

struct Cutter {
    chars: Vec<char>,
    at: usize,
    line: usize,
    tokens: Vec<Token>,
}

impl Cutter {
    fn cut(mut self) -> Vec<Token> {
        while let Some(char) = self.peek(0) {
            let line = self.line;
            let kind = match char {
                '/' if self.peek(1) == Some('/') => self.skip_line(),
                '/' if self.peek(1) == Some('*') => self.skip_block(),
                '"' => Some(self.string()),
                '\'' => self.quote(),
                ':' if self.peek(1) == Some(':') => {
                    self.skip(2);
                    Some(Kind::Separator)
                }
                'r' | 'b' | 'c' if self.raw_string() => None,
                _ if char.is_alphabetic() || char == '_' => Some(Kind::Name(self.word())),
                _ if char.is_ascii_digit() => {
                    self.word();
                    None
                }
                _ if char.is_whitespace() => {
                    self.skip(1);
                    None
                }
                _ => {
                    self.skip(1);
                    Some(Kind::Mark(char))
                }
            };
            self.tokens.extend(kind.map(|kind| Token { kind, line }));
        }
        self.tokens
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn skip(&mut self, count: usize) {
        for _ in 0..count {
            self.line += usize::from(self.peek(0) == Some('\n'));
            self.at += 1;
        }
    }

    fn skip_line(&mut self) -> Option<Kind> {
        while self.peek(0).is_some_and(|char| char != '\n') {
            self.skip(1);
        }
        None
    }

    fn skip_block(&mut self) -> Option<Kind> {
        let mut depth = 0;
        while self.peek(0).is_some() {
            match (self.peek(0), self.peek(1)) {
                (Some('/'), Some('*')) => depth += 1,
                (Some('*'), Some('/')) => depth -= 1,
                _ => {
                    self.skip(1);
                    continue;
                }
            }
            self.skip(2);
            if depth == 0 {
                break;
            }
        }
        None
    }

    /// A name, a keyword, or a number with its suffix.
    fn word(&mut self) -> String {
        let start = self.at;
        while self.peek(0).is_some_and(|char| char.is_alphanumeric() || char == '_') {
            self.skip(1);
        }
        self.chars[start..self.at].iter().collect()
    }

    fn string(&mut self) -> Kind {
        self.skip(1);
        let start = self.at;
        while let Some(char) = self.peek(0).filter(|char| *char != '"') {
            self.skip(if char == '\\' { 2 } else { 1 });
        }
        let text = self.chars[start.min(self.chars.len())..self.at.min(self.chars.len())].iter().collect();
        self.skip(1);
        Kind::Text(text)
    }

    /// A character, or a lifetime: a lifetime has no quote after its first letter.
    fn quote(&mut self) -> Option<Kind> {
        self.skip(1);
        if self.peek(0) == Some('\\') {
            self.skip(2);
            while self.peek(0).is_some_and(|char| char != '\'') {
                self.skip(1);
            }
            self.skip(1);
        } else if self.peek(1) == Some('\'') {
            self.skip(2);
        } else {
            self.word();
        }
        None
    }

    /// Skips `r"..."`, `br#"..."#` and the like if one begins here.
    fn raw_string(&mut self) -> bool {
        let letters = match (self.peek(0), self.peek(1)) {
            (Some('r'), _) => 1,
            (Some('b' | 'c'), Some('r')) => 2,
            _ => return false,
        };
        let hashes = (letters..).take_while(|ahead| self.peek(*ahead) == Some('#')).count();
        if self.peek(letters + hashes) != Some('"') {
            return false;
        }
        self.skip(letters + hashes + 1);
        while self.peek(0).is_some() {
            let ends = self.peek(0) == Some('"') && (1..=hashes).all(|ahead| self.peek(ahead) == Some('#'));
            self.skip(1);
            if ends {
                self.skip(hashes);
                break;
            }
        }
        true
    }
}

#[test]
fn comments_literals_and_lifetimes_are_left_out() {
    let source = r##"
        // crate::one
        /* crate::two /* nested */ still */
        fn f<'a>(c: char) -> &'a str { let _ = ('\'', 'x', b'\n', r#"crate::"three""#, "a\"crate::four"); crate::five }
    "##;
    let tokens = tokens(source);
    let names: Vec<_> = tokens.iter().filter_map(Token::name).collect();
    assert_eq!(names, ["fn", "f", "c", "char", "str", "let", "_", "b", "crate", "five"]);
    assert_eq!(tokens.iter().find(|token| token.name() == Some("five")).map(|token| token.line), Some(4));
}
