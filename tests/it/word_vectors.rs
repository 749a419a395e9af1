//! Word vectors in every format, bad files, and the bundled vectors of the bundled datasets.

use crate::program::{done, mappa, refused};
use mappa::datasets::{BUNDLED, bundled};
use mappa::word_vectors::{NameVectors, WordVectors, needed_words};
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/word_vectors").join(name)
}

/// The vectors as gensim 4.4.0 held them when it wrote the files.
fn expected() -> BTreeMap<String, Vec<f64>> {
    serde_json::from_slice(&std::fs::read(fixture("expected.json")).unwrap()).unwrap()
}

#[test]
fn all_formats_give_the_same_vectors() {
    let expected = expected();
    let needed: HashSet<String> = expected.keys().cloned().chain(["absent".into()]).collect();
    let files = [
        "glove.txt",
        "glove.txt.gz",
        "glove.zip",
        "word2vec.txt",
        "word2vec.bin",
        "fasttext.vec",
        "arrays.whl",
        "columns.whl",
    ];
    for file in files {
        let found = WordVectors::load(&fixture(file), &needed).unwrap();
        assert_eq!((found.name.as_str(), found.width, found.n_words()), (file, 5, expected.len()));
        for (word, vector) in &expected {
            let found = found.get(word).unwrap_or_else(|| panic!("{file}: no {word}"));
            let near = found.iter().zip(vector).all(|(a, b)| (f64::from(*a) - b).abs() < 1e-6);
            assert!(near, "{file}: {word} {found:?} {vector:?}");
        }
        assert_eq!((found.rank("the"), found.rank("d'or"), found.rank("absent")), (Some(1), Some(12), None));
    }
}

#[test]
fn only_needed_words_are_kept() {
    let found = WordVectors::load(&fixture("glove.txt"), &needed_words(["New York", "Málaga"])).unwrap();
    assert_eq!(found.n_words(), 4, "new, york, málaga, malaga");
    let rows = NameVectors::of(&found, &["Málaga", "MALAGA", "Nowhere"]);
    assert_eq!(rows.rows.row(0).to_vec()[..5], *found.get("málaga").unwrap());
    assert_eq!(rows.rows.row(1).to_vec()[..5], *found.get("malaga").unwrap());
    assert_eq!(rows.n_found(), 2);
}

#[test]
fn the_bundled_vectors_are_complete_for_the_bundled_datasets_only() {
    for name in BUNDLED {
        let dataset = bundled(name).unwrap();
        let names: Vec<&str> = dataset.entities.iter().map(|entity| entity.name.as_str()).collect();
        let vectors = WordVectors::bundled(&needed_words(names.iter().copied())).unwrap().unwrap();
        let found = NameVectors::of(&vectors, &names).n_found();
        assert!(found * 100 >= names.len() * 90, "{name}: {found} of {}", names.len());
    }
    assert_eq!(WordVectors::bundled(&needed_words(["Xyzzyplugh"])).unwrap(), None);
}

#[test]
fn bad_files_are_refused_with_file_and_line() {
    let folder = tempfile::tempdir().unwrap();
    let needed = needed_words(["the", "of"]);
    let wide = format!("the{}\n", " 1".repeat(5000));
    let cases: [(&str, &[u8], &str); 12] = [
        ("lies.txt", b"3 2\nthe 1 2\n", "1 words of 3"),
        ("more.bin", b"1 1\nthe \x00\x00\x80\x3fof \x00\x00\x80\x3f", "more than 1 words"),
        ("long.txt", wide.as_bytes(), "line 1: vectors of 5000 numbers"),
        ("short.txt", b"the 1 2 3\nof 1 2\n", "line 2: fewer than a word and 3 numbers"),
        ("text.txt", b"the 1 2 3\nof 1 x 3\n", "line 2: `x` in the vector of `of`"),
        ("nan.txt", b"the 1 nan 3\n", "line 1: `nan` in the vector of `the`"),
        ("empty.txt", b"", "no lines"),
        ("none.txt", b"and 1 2\n", "no word of any name"),
        ("prose.txt", b"the\nof\n", "line 1: no numbers after the first word"),
        ("wide.txt", b"2 99999999999\nthe 1\n", "line 1: vectors of 99999999999 numbers"),
        ("cut.bin", b"2 2\nthe \x00\x00\x80\x3f\x00\x00\x80\x3fof \x00\x00", "1 words of 2"),
        ("cut.zip", b"PK\x03\x04nothing", "cut.zip"),
    ];
    for (name, bytes, part) in cases {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let error = WordVectors::load(&path, &needed).unwrap_err().to_string();
        assert!(error.contains(part) && error.contains(name) && !error.contains('\n'), "{error}");
    }
    for name in ["glove.zip", "arrays.whl"] {
        let whole = std::fs::read(fixture(name)).unwrap();
        let path = folder.path().join(name);
        for at in (60..whole.len() / 2).step_by(7) {
            let mut flipped = whole.clone();
            flipped[at] ^= 0x10;
            std::fs::write(&path, flipped).unwrap();
            // A changed name or date of a member does not damage the vectors.
            if let Ok(found) = WordVectors::load(&path, &needed) {
                assert_eq!(found.get("the"), WordVectors::load(&fixture(name), &needed).unwrap().get("the"));
            }
        }
    }
    let error = WordVectors::load(&fixture("two.zip"), &needed).unwrap_err().to_string();
    assert!(error.contains("2 files: glove.50d.txt, glove.100d.txt"), "{error}");
}

#[test]
fn a_probe_scores_vectors_surplus_and_verdict() {
    let lab = tempfile::tempdir().unwrap();
    let flags = ["probe", "--dataset", "nyc_place", "--resamples", "40"];
    let shown = done(mappa(lab.path(), &flags));
    for part in ["vectors", "Does the model know more than its text?", "nyc_place: ", "surplus 0."] {
        assert!(shown.contains(part), "no `{part}` in {shown}");
    }
    let scores = std::fs::read_to_string(lab.path().join("probes/atlas/nyc_place/empty/scores.csv")).unwrap();
    for method in ["word-vectors", "text", "ridge+names-only", "ridge+word-vectors", "ridge+text"] {
        assert!(scores.contains(&format!(",{method},test,r2,mean,")), "{method}");
    }
    let card = std::fs::read_to_string(lab.path().join("probes/atlas/nyc_place/empty/card.json")).unwrap();
    assert!(card.contains("names-only, glove.6B.50d") && card.contains("word_vectors_sha256"), "{card}");

    // Another file of the same name is refused, because its scores would differ.
    let file = lab.path().join("own.txt");
    std::fs::copy(fixture("glove.txt"), &file).unwrap();
    let own = [&flags[..], &["--vectors", file.to_str().unwrap()]].concat();
    done(mappa(lab.path(), &own));
    std::fs::copy(fixture("word2vec.txt"), &file).unwrap();
    refused(mappa(lab.path(), &own), &["word_vectors_sha256"]);

    let without = [&flags[..], &["--vectors", "none"]].concat();
    let shown = done(mappa(lab.path(), &without));
    assert!(shown.contains("nyc_place: "), "{shown}");
    let file = fixture("glove.txt").display().to_string();
    refused(
        mappa(lab.path(), &[&flags[..], &["--vectors", &file, "--no-baselines"]].concat()),
        &["--vectors"],
    );
    refused(mappa(lab.path(), &[&flags[..], &["--vectors", "absent.txt"]].concat()), &["absent.txt"]);
}
