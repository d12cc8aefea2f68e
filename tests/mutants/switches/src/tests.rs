use crate::{Fault, File, Genre, Placed, Position, Span, switched};

/// Where a piece of a source that occurs once begins and ends.
fn span(source: &str, piece: &str) -> Span {
    let at = source.find(piece).unwrap();
    let position = |at: usize| {
        let line = source[..at].matches('\n').count() + 1;
        let column = source[..at].rsplit('\n').next().unwrap().chars().count() + 1;
        Position { line, column }
    };
    Span { start: position(at), end: position(at + piece.len()) }
}

/// A source with one fault at a piece of it.
fn with(source: &str, genre: Genre, piece: &str, replacement: &str) -> Result<String, &'static str> {
    let fault = Fault { number: 7, genre, span: span(source, piece), replacement: replacement.to_owned() };
    let switched = switched(&File { path: "a.rs".to_owned(), source: source.to_owned(), faults: vec![fault] }).unwrap();
    match switched.unplaced.get(&7) {
        Some(why) => Err(why),
        None => {
            syn::parse_file(&switched.source).unwrap();
            Ok(switched.source.replace("crate::fault_switch::is_on", "on"))
        }
    }
}

#[test]
fn a_function_returns_at_once() {
    let source = "fn f() -> u8 { g(); 3 }";
    let expected = "fn f() -> u8 { if on(7) { return 0; } g(); 3 }";
    assert_eq!(with(source, Genre::FnValue, "g(); 3", "0").unwrap(), expected);
}

#[test]
fn an_operator_is_exchanged() {
    let source = "fn f(ä: u8) -> bool { ä < 2 }";
    let expected = "fn f(ä: u8) -> bool { (if on(7) { ä <= 2 } else { ä < 2 }) }";
    assert_eq!(with(source, Genre::BinaryOperator, "<", "<=").unwrap(), expected);
    let source = "fn f(mut a: u8) { a += 1; }";
    let expected = "fn f(mut a: u8) { (if on(7) { a -= 1 } else { a += 1 }); }";
    assert_eq!(with(source, Genre::BinaryOperator, "+=", "-=").unwrap(), expected);
    let source = "fn f() -> bool { !g() }";
    assert_eq!(
        with(source, Genre::UnaryOperator, "!", "").unwrap(),
        "fn f() -> bool { (if on(7) { g() } else { !g() }) }"
    );
}

#[test]
fn a_guard_is_exchanged_and_an_arm_without_one_gets_one() {
    let source = "fn f() { match a { 1 | 2 => {} 3 if b => {} _ => {} } }";
    assert_eq!(
        with(source, Genre::MatchArm, "1 | 2 => {}", "").unwrap(),
        "fn f() { match a { 1 | 2 if true && !on(7) => {} 3 if b => {} _ => {} } }"
    );
    assert_eq!(
        with(source, Genre::MatchArmGuard, "b", "true").unwrap(),
        "fn f() { match a { 1 | 2 => {} 3 if (if on(7) { true } else { b }) => {} _ => {} } }"
    );
}

#[test]
fn a_field_is_left_out() {
    let source = "fn f() -> A { A { b: 1, ..c() } }";
    assert_eq!(
        with(source, Genre::StructField, "b: 1,", "").unwrap(),
        "fn f() -> A { (if on(7) { A {  ..c() } } else { A { b: 1, ..c() } }) }"
    );
}

#[test]
fn what_cannot_ask_a_switch_is_said() {
    let constant = Err("a constant cannot ask a switch");
    assert_eq!(with("const A: u8 = 1 + 2;", Genre::BinaryOperator, "+", "-"), constant);
    assert_eq!(with("const fn f() -> bool { a < b }", Genre::BinaryOperator, "<", ">"), constant);
    assert_eq!(with("fn f() { let a: [u8; 1 + 2]; }", Genre::BinaryOperator, "+", "-"), constant);
    let condition = Err("a `let` stands in conditions alone");
    assert_eq!(with("fn f() { if a && let Some(b) = c {} }", Genre::BinaryOperator, "&&", "||"), condition);
    let opaque = Err("a function has one opaque type");
    assert_eq!(with("fn f() -> Option<impl A> { g() }", Genre::FnValue, "g()", "None"), opaque);
    assert_eq!(with("fn f() { a + b; }", Genre::UnaryOperator, "+", ""), Err("nothing of this kind is there"));
}

#[test]
fn switches_in_an_operand_are_not_in_the_code_of_faults() {
    let source = "fn f() -> bool { a + b < c }";
    let fault = |number, piece, replacement: &str| Fault {
        number,
        genre: Genre::BinaryOperator,
        span: span(source, piece),
        replacement: replacement.to_owned(),
    };
    let faults = vec![fault(1, "+", "-"), fault(2, "<", ">"), fault(3, "<", "==")];
    let switched = switched(&File { path: "a.rs".to_owned(), source: source.to_owned(), faults }).unwrap();
    let expected = "fn f() -> bool { (if on(2) { a + b > c } else if on(3) { a + b == c } else { \
                    (if on(1) { a - b } else { a + b }) < c }) }";
    assert_eq!(switched.source.replace("crate::fault_switch::is_on", "on"), expected);
    let code = |number| {
        let Placed { start, end, .. } = switched.placed.iter().find(|placed| placed.number == number).unwrap();
        &switched.source[*start..*end]
    };
    assert_eq!([code(1), code(2), code(3)], ["a - b", "a + b > c", "a + b == c"]);
}

#[test]
fn faults_of_one_piece_share_a_switch() {
    let source = "fn f() -> A { A { b: 1, c: 2, ..d() } }";
    let fault = |number, piece| Fault {
        number,
        genre: Genre::StructField,
        span: span(source, piece),
        replacement: String::new(),
    };
    let faults = vec![fault(1, "b: 1,"), fault(2, "c: 2,")];
    let switched = switched(&File { path: "a.rs".to_owned(), source: source.to_owned(), faults }).unwrap();
    assert_eq!(
        switched.source.replace("crate::fault_switch::is_on", "on"),
        "fn f() -> A { (if on(1) { A {  c: 2, ..d() } } else if on(2) { A { b: 1,  ..d() } } else { A { b: 1, c: 2, ..d() } }) }"
    );
}

#[test]
fn a_guard_and_its_operator_have_switches() {
    let source = "fn f() { match a { b if c < d => {} _ => {} } }";
    let fault = |number, genre, piece, replacement: &str| Fault {
        number,
        genre,
        span: span(source, piece),
        replacement: replacement.to_owned(),
    };
    let faults = vec![
        fault(1, Genre::BinaryOperator, "<", ">"),
        fault(2, Genre::MatchArmGuard, "c < d", "true"),
        fault(3, Genre::MatchArmGuard, "c < d", "false"),
    ];
    let switched = switched(&File { path: "a.rs".to_owned(), source: source.to_owned(), faults }).unwrap();
    assert_eq!(
        switched.source.replace("crate::fault_switch::is_on", "on"),
        "fn f() { match a { b if (if on(2) { true } else if on(3) { false } else { \
         (if on(1) { c > d } else { c < d }) }) => {} _ => {} } }"
    );
}
