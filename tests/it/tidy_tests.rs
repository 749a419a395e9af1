//! Tests of the source checks on bad snippets: each check must be able to fail.

use super::source::{Source, blank};
use super::tidy::{faults, machine_path};

const OPENING: &str = "//! A file.\n";

fn of(path: &str, text: &str) -> Vec<String> {
    let crates = ["candle_core", "serde", "serde_json", "rand", "csv"].map(String::from);
    faults(&Source::new(path, &format!("{OPENING}{text}")), &crates)
}

/// The only fault of a snippet.
fn only(path: &str, text: &str) -> String {
    let faults = of(path, text);
    assert_eq!(faults.len(), 1, "{faults:?}");
    faults[0].clone()
}

#[test]
fn a_forbidden_import_is_found_in_every_notation() {
    for text in [
        "use crate::model::Forest;",
        "use crate::{error::{Error, Result}, model::Forest};",
        "use crate::{\n    error::Error,\n    model,\n};",
        "fn f() { let x = crate::model::untrained(); }",
        "use super::super::model;",
    ] {
        assert!(only("src/datasets/load.rs", text).contains("`datasets` may not import `model`"), "{text}");
    }
    assert!(only("src/results.rs", "use super::probes;").contains("`results` may not import `probes`"));
    assert!(only("src/model/families/x.rs", "use super::super::super::probes::Probe;").contains("`probes`"));
    assert!(only("src/painting.rs", "").contains("`painting` is not in the table"));
}

#[test]
fn reading_a_text_without_load_text_is_found() {
    for text in [
        "fn f() { let x = std::fs::read_to_string(path); }",
        "fn f() { let x = String::from_utf8(bytes); }",
        "fn f() { let x = std::str::from_utf8(bytes); }",
        "fn f() { let x: Value = serde_json::from_slice(&bytes); }",
    ] {
        assert!(only("src/datasets/load.rs", text).contains("load_text"), "{text}");
        assert_eq!(of("src/model/gguf/header.rs", text), Vec::<String>::new(), "{text}");
    }
    let allowed = "fn f() { let x = String::from_utf8_lossy(b); }\n#[cfg(test)]\nmod tests { fn f() { std::fs::read_to_string(p); } }";
    assert_eq!(of("src/datasets/load.rs", allowed), Vec::<String>::new());
}

#[test]
fn odd_doc_lines_tuples_and_long_files_are_found() {
    for text in [
        "/// What a model reads.\nstruct A;",
        "/// A thing.\n///\n/// Whether it is.\nstruct A;",
        "//! - `b`: how it is",
    ] {
        assert!(only("src/datasets/load.rs", text).contains("name the thing"), "{text}");
    }
    let allowed =
        "/// A thing\n/// which is long.\nstruct A;\n/// Whatever fits.\nstruct B;\n// What it is for.";
    assert_eq!(of("src/datasets/load.rs", allowed), Vec::<String>::new());
    for text in ["fn f((a, b): (&A, &B)) {}", "fn f<T>(\n    x: T,\n    (a, b): (u8, u8),\n) {}"] {
        assert!(only("src/datasets/load.rs", text).contains("fn f takes a tuple"), "{text}");
    }
    for text in ["fn f(a: (u8, u8), b: &dyn Fn((u8, u8)) -> u8) {}", "fn f() { g((1, 2), |(a, b)| a + b) }"] {
        assert_eq!(of("src/datasets/load.rs", text), Vec::<String>::new(), "{text}");
    }
    assert!(only("src/datasets/load.rs", &"const A: u8 = 1;\n".repeat(321)).contains("321 lines of code"));
    assert_eq!(of("src/datasets/load.rs", &"const A: u8 = 1;\n\n// a\n".repeat(320)), Vec::<String>::new());
}

#[test]
fn allowed_imports_and_imports_within_a_module_pass() {
    for (path, text) in [
        ("src/datasets/load.rs", "use super::model; use crate::datasets::parse; use crate::Result;"),
        ("src/model/families/x.rs", "use super::super::spec::Spec; use crate::error::Error;"),
        ("src/steering/steer.rs", "use crate::model::{Forest, probes}; use candle_core::Tensor;"),
        (
            "src/datasets/load.rs",
            "// use crate::model;\n/* candle_core::Tensor */ const A: &str = \"crate::model\";",
        ),
        ("src/main.rs", "use mappa::{Error, probes::Probe}; use crate::cli;"),
    ] {
        assert_eq!(of(path, text), [""; 0], "{text}");
    }
}

#[test]
fn code_under_cfg_test_is_exempt_and_code_after_it_is_not() {
    let test =
        "#[cfg(test)]\nmod tests {\n    use crate::model::Forest;\n    fn f() { candle_core::f() }\n}\n";
    assert_eq!(of("src/datasets/load.rs", test), [""; 0]);
    assert!(only("src/datasets/load.rs", &format!("{test}use crate::model;")).contains("`model`"));
    let one = "#[cfg(test)]\n#[path = \"x_tests.rs\"]\nmod tests;\nuse crate::model;";
    assert!(only("src/datasets/load.rs", one).contains("`model`"));
}

#[test]
fn a_crate_outside_the_table_is_found_and_similar_names_are_not() {
    for text in ["use candle_core::Tensor;", "use candle_core;", "fn f() -> candle_core::Tensor {}"] {
        assert!(only("src/probes/ridge.rs", text).contains("the crate `candle_core`"), "{text}");
    }
    // A module of another crate, a longer name, a variable and a macro's argument are not the crate.
    for text in
        ["use linfa::rand::x;", "use my_candle_core::x;", "fn f() { csv.write(); }", "use serde_json::json;"]
    {
        assert_eq!(of("src/probes/ridge.rs", text), [""; 0], "{text}");
    }
}

#[test]
fn length_unsafe_and_the_opening_line_are_found() {
    let tests = "#[cfg(test)]\nmod tests {\n}\n";
    let long = "const A: u8 = 1;\n".repeat(500);
    assert_eq!(of("src/results.rs", &format!("{tests}{long}")), [""; 0]);

    let body = "    let a = '}';\n".repeat(60);
    let fault =
        only("src/results.rs", &format!("impl A {{\n    fn one(a: [u8; 3]) -> u8 {{\n{body}    }}\n}}\n"));
    assert!(fault.contains("fn one has 62 lines"), "{fault}");
    assert_eq!(of("src/results.rs", "trait A {\n    fn one();\n}\n"), [""; 0]);

    assert!(only("tests/it/x.rs", "fn f() { unsafe { g() } }").contains("mmap.rs"));
    assert!(only("src/results.rs", "#![allow(unsafe_code)]").contains("mmap.rs"));
    assert_eq!(of("src/model/weights/mmap.rs", "#![allow(unsafe_code)]\nfn f() { unsafe { g() } }"), [""; 0]);
    assert_eq!(of("src/results.rs", "// unsafe\nconst A: &str = \"unsafe\";"), [""; 0]);

    let bare = faults(&Source::new("src/results.rs", "use std::fmt;\n//! late\n"), &[]);
    assert!(bare[0].contains("does not begin"), "{bare:?}");
}

#[test]
fn literals_and_comments_are_blanked_and_nothing_else() {
    let cases = [
        (r#"a("x\"y{") b"#, "a(       ) b"),
        ("a(r#\"x\"y{\"#) b", "a(         ) b"),
        ("f::<'a>('{', '\\'') // {", "f::<'a>(   ,     )     "),
        ("a /* { /* */ b\nc", "a            b\nc"),
        ("for 'é' in \"Łódź\"", "for      in         "),
    ];
    for (text, expected) in cases {
        let blanked = blank(text);
        assert_eq!(blanked.len(), text.len());
        assert_eq!(
            blanked.split_whitespace().collect::<Vec<_>>(),
            expected.split_whitespace().collect::<Vec<_>>()
        );
    }
}

#[test]
fn a_machine_specific_path_is_found_and_an_address_is_not() {
    for folder in ["work", "root", "opt"] {
        let path = format!("/{folder}/lab/x.csv");
        for text in [format!("see {path} for"), format!("\"{path}\""), path.clone(), format!("LAB={path}")] {
            assert!(machine_path(&text).is_some(), "{text}");
        }
        for text in [format!("https://example.org{path}"), format!("..{path}"), format!("lab{path}")] {
            assert_eq!(machine_path(&text), None, "{text}");
        }
    }
}

#[test]
fn a_foreign_reader_outside_the_seam_is_found() {
    let read = "fn f(text: &str) { toml::from_str(text); }";
    assert!(only("src/lab/run.rs", read).contains("only through artefact::guarded"));
    assert!(only("src/lab/toml_file.rs", read).contains("only through"));
    let caught = "fn f(text: &str) { artefact::caught(|| toml::from_str(text)); }";
    assert!(of("src/lab/toml_file.rs", caught).is_empty());
}
