//! Broken configurations, each with every word that is said about it. The cases stand in `broken/*.txt`: a line `=== name`, then
//! for each file a line `--- path` and its text, and in the end `--- expect` and the problems.

use std::path::{Path, PathBuf};

use super::Folder;

struct Case {
    name: String,
    files: Vec<(String, String)>,
    expected: String,
}

fn cases(text: &str) -> Vec<Case> {
    let mut cases = Vec::new();
    for case in text.split("=== ").skip(1) {
        let (name, rest) = case.split_once('\n').unwrap();
        let mut files: Vec<(String, String)> = rest
            .split("--- ")
            .skip(1)
            .map(|file| file.split_once('\n').unwrap_or((file, "")))
            .map(|(path, text)| (path.to_owned(), text.to_owned()))
            .collect();
        let (last, expected) = files.pop().unwrap();
        assert_eq!(last, "expect", "the case {name} must end with what is expected");
        cases.push(Case { name: name.to_owned(), files, expected: expected.trim_end().to_owned() });
    }
    cases
}

fn problems(case: &Case) -> String {
    let folder = Folder::new();
    case.files.iter().for_each(|(path, text)| folder.put(path, text));
    folder.problems().trim_end().to_owned()
}

fn check(file: &str, least: usize) {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tests/broken").join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    let cases = cases(&text);
    assert!(cases.len() >= least, "{file} has {} cases", cases.len());
    if std::env::var_os("INTROD_BLESS").is_some() {
        let mut out = String::new();
        for case in &cases {
            out.push_str(&format!("=== {}\n", case.name));
            case.files.iter().for_each(|(path, text)| out.push_str(&format!("--- {path}\n{text}")));
            out.push_str(&format!("--- expect\n{}\n\n", problems(case)));
        }
        std::fs::write(&path, out).unwrap();
        return;
    }
    for case in &cases {
        assert!(!case.expected.is_empty(), "{file}: {} expects nothing", case.name);
        assert_eq!(problems(case), case.expected, "{file}: {}", case.name);
    }
}

#[test]
fn malformed_xml() {
    check("xml.txt", 20);
}

#[test]
fn names_that_do_not_belong() {
    check("names.txt", 16);
}

#[test]
fn values_that_make_no_sense() {
    check("values.txt", 40);
}

#[test]
fn what_adobes_servers_take_is_taken_with_a_word_on_what_it_means() {
    check("tolerated.txt", 35);
}

#[test]
fn variables() {
    check("variables.txt", 14);
}

#[test]
fn files_that_do_not_go_together() {
    check("together.txt", 11);
}

#[test]
fn bytes_that_are_not_utf_8() {
    let folder =
        Folder::new().with("Server.xml", b"<Root>\n<!-- caf\xe9 -->\n</Root>").with("introd.ini", b"A = \xff\n");
    assert_eq!(
        folder.problems(),
        "conf/introd.ini: error: the file is not UTF-8 in line 1; save it in UTF-8\n\
         conf/Server.xml: error: the file is not UTF-8 in line 2; save it in UTF-8, or name its encoding in its first line: \
         <?xml version=\"1.0\" encoding=\"windows-1252\"?>\n"
    );
}

#[test]
fn files_beyond_the_bounds() {
    let huge = format!("<Root><!-- {} --></Root>", "x".repeat(1024 * 1024));
    let folder = Folder::new().with("Server.xml", huge);
    assert_eq!(folder.problems(), "conf/Server.xml: error: the file is larger than 1048576 bytes\n");

    let deep = format!("<Root>{}{}</Root>", "<a>".repeat(100_000), "</a>".repeat(100_000));
    let folder = Folder::new().with("Server.xml", deep);
    assert_eq!(folder.problems(), "conf/Server.xml:1:100: error: elements are nested deeper than 32\n");

    let folder = Folder::new().with("Server.xml", format!("<Root>{}</Root>", "<a/>".repeat(20_001)));
    assert_eq!(folder.problems(), "conf/Server.xml:1:80003: error: more than 20000 elements\n");

    let attributes: String = (0..17).map(|number| format!(" a{number}=''")).collect();
    let folder = Folder::new().with("Server.xml", format!("<Root{attributes}/>"));
    assert_eq!(folder.problems(), "conf/Server.xml:1:109: error: more than 16 attributes\n");
}

#[test]
fn variables_that_grow_without_end() {
    let doubling: String = (1..12).map(|n| format!("V{n} = ${{V{0}}}${{V{0}}}${{V{0}}}${{V{0}}}\n", n - 1)).collect();
    let folder = Folder::new().with("introd.ini", format!("V0 = {}\n{doubling}", "x".repeat(100)));
    let problems = folder.problems();
    assert!(problems.contains("the value is longer than 16384 bytes"), "{problems}");

    let folder = Folder::new().with("introd.ini", format!("V0 =\n{doubling}"));
    let problems = folder.problems();
    assert!(problems.contains("more than 1000 variables in one value"), "{problems}");

    let chain: String = (1..20).map(|n| format!("V{n} = ${{V{}}}\n", n - 1)).collect();
    let folder = Folder::new().with("introd.ini", format!("V0 = 1\n{chain}"));
    let problems = folder.problems();
    assert!(problems.contains("variables refer to each other more than 16 deep"), "{problems}");
}

#[test]
fn a_file_that_is_a_folder() {
    let folder = Folder::new();
    std::fs::create_dir(folder.conf().join("Server.xml")).unwrap();
    let problems = folder.problems();
    assert!(problems.starts_with("conf/Server.xml: error: the file cannot be read: "), "{problems}");
}
