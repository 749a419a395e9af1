//! Word vectors learned from texts: the same as NumPy's and SciPy's, laws, bad files, and the command.

use super::program::{done, mappa, refused};
use mappa::progress::Silent;
use mappa::word_vectors::{LearnSettings, LearnedVectors, WordVectors};
use ndarray::Array2;
use serde_json::Value;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/word_vectors/learned").join(name)
}

fn learn(path: &Path, settings: &LearnSettings) -> LearnedVectors {
    LearnedVectors::learn(&[path.to_path_buf()], settings, &mut Silent).unwrap()
}

/// Settings for the small text of the fixture.
fn small() -> LearnSettings {
    LearnSettings { dim: 8, ..LearnSettings::default() }
}

fn settings(of: &Value) -> LearnSettings {
    let (whole, number) =
        (|name: &str| of[name].as_u64().unwrap() as usize, |name: &str| of[name].as_f64().unwrap());
    LearnSettings {
        dim: whole("dim"),
        window: whole("window"),
        weighting: of["weighting"].as_str().unwrap().parse().unwrap(),
        min_count: whole("min_count"),
        cds: number("cds"),
        neg: number("neg"),
        eig: number("eig"),
        ..LearnSettings::default()
    }
}

/// An orthonormal basis of the columns, by Gram and Schmidt.
fn orthonormal(columns: &Array2<f64>) -> Array2<f64> {
    let mut basis = columns.clone();
    for j in 0..basis.ncols() {
        for _ in 0..2 {
            for i in 0..j {
                let along = basis.column(i).dot(&basis.column(j));
                let other = basis.column(i).to_owned();
                basis.column_mut(j).scaled_add(-along, &other);
            }
        }
        let length = basis.column(j).dot(&basis.column(j)).sqrt();
        basis.column_mut(j).mapv_inplace(|value| value / length);
    }
    basis
}

#[test]
fn vectors_equal_those_of_numpy_and_scipy() {
    let cases: Vec<Value> =
        serde_json::from_slice(&std::fs::read(fixture("expected.json")).unwrap()).unwrap();
    assert_eq!(cases.len(), 3);
    let mut worst = [0.0f64; 3];
    for case in &cases {
        let found = learn(&fixture("corpus.txt"), &settings(&case["settings"]));
        let strings = |value: &Value| -> Vec<String> {
            value.as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_string()).collect()
        };
        let numbers = |value: &Value| -> Vec<f64> {
            value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
        };
        assert_eq!(found.words, strings(&case["words"]));
        assert!(found.words.contains(&"winston-salem".into()));
        let counts: Vec<f64> = found.counts.iter().map(|count| *count as f64).collect();
        assert_eq!(counts, numbers(&case["counts"]));
        for (found, expected) in found.singular_values.iter().zip(numbers(&case["singular_values"])) {
            worst[0] = worst[0].max((found / expected - 1.0).abs());
        }
        let rows: Vec<f64> = case["vectors"].as_array().unwrap().iter().flat_map(numbers).collect();
        let expected = Array2::from_shape_vec(found.vectors.dim(), rows).unwrap();
        let vectors = found.vectors.mapv(f64::from);
        worst[1] = (&vectors - &expected).iter().fold(worst[1], |worst, error| worst.max(error.abs()));
        // The part of one basis outside the space of the other: the sine of the largest angle, or more.
        let (a, b) = (orthonormal(&vectors), orthonormal(&expected));
        let outside = &a - &b.dot(&b.t().dot(&a));
        worst[2] = worst[2].max(outside.mapv(|value| value * value).sum().sqrt());
    }
    // Measured: numbers of vectors within 3e-7, spaces within 2e-7.
    println!("singular values {:.1e}, vectors {:.1e}, spaces {:.1e}", worst[0], worst[1], worst[2]);
    assert!(worst[0] < 1e-6 && worst[1] < 1e-5 && worst[2] < 1e-5, "{worst:?}");
}

#[test]
fn vectors_do_not_depend_on_threads_or_the_seed() {
    let learn_on = |n: usize, seed: u64| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
        pool.install(|| learn(&fixture("corpus.txt"), &LearnSettings { seed, ..small() }))
    };
    let (one, three, other) = (learn_on(1, 0), learn_on(3, 0), learn_on(2, 5));
    assert_eq!(one, three);
    assert_eq!(one.words, other.words);
    let largest = (&one.vectors - &other.vectors).iter().fold(0.0f32, |worst, error| worst.max(error.abs()));
    assert!(largest < 1e-5, "{largest}");
}

#[test]
fn words_of_the_same_contexts_are_near_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("text.txt");
    // `north` and `south` follow the same names, as do the names of each of two regions.
    let line = |i: usize| {
        let (region, name) = (i % 2, i / 2 % 10);
        let side = if (i * 7919) % 31 < 15 { "north" } else { "south" };
        format!("name{region}x{name} {side} of region{region} and place{region}x{}\n", i / 20 % 7)
    };
    std::fs::write(&path, (0..2000).map(line).collect::<String>()).unwrap();
    let found = learn(&path, &LearnSettings { dim: 4, ..LearnSettings::default() });
    assert_eq!(found.nearest("north", 1), ["south"]);
    let near = found.nearest("name0x3", 9);
    assert!(near.iter().all(|word| word.contains("name0") || word.contains("0")), "{near:?}");
    assert!(found.nearest("west", 3).is_empty());
}

#[test]
fn a_text_in_one_long_line_is_read_in_pieces() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long.txt");
    // Longer than a piece; a piece may end within a word, but not its words.
    let words: Vec<String> = (0..400_000u64).map(|i| format!("w{}", i * i % 97)).collect();
    std::fs::write(&path, words.join(" ")).unwrap();
    let found = learn(&path, &LearnSettings { dim: 5, window: 1, ..LearnSettings::default() });
    assert_eq!((found.n_tokens, found.n_distinct), (400_000, 49));
    assert_eq!(found.counts.iter().sum::<u64>(), 400_000);
}

#[test]
fn a_learned_file_is_read_exactly_and_has_a_card() {
    let folder = tempfile::tempdir().unwrap();
    let lab = folder.path();
    let text = fixture("corpus.txt");
    let args = ["vectors", "learn", text.to_str().unwrap(), "--name", "mine", "--dim", "8"];
    let output = done(mappa(lab, &args));
    assert!(output.contains("words with a vector  107") && output.contains("--vectors"), "{output}");
    let file = lab.join("vectors/mine.txt");
    let learned = learn(&text, &small());
    let needed: HashSet<String> = learned.words.iter().cloned().collect();
    let read = WordVectors::load(&file, &needed).unwrap();
    assert_eq!((read.n_words(), read.width), (107, 8));
    for (rank, (word, vector)) in learned.words.iter().zip(learned.vectors.rows()).enumerate() {
        assert_eq!(read.get(word).unwrap(), vector.as_slice().unwrap());
        assert_eq!(read.rank(word), Some(rank as u64 + 1));
    }
    let before = std::fs::read(&file).unwrap();
    assert!(done(mappa(lab, &args)).contains("learned before"));
    let other = ["vectors", "learn", text.to_str().unwrap(), "--name", "mine", "--dim", "9"];
    refused(mappa(lab, &other), &["mine.json", "dim 8, now 9"]);
    assert_eq!(std::fs::read(&file).unwrap(), before);
    let out = lab.join("elsewhere.vec");
    let flags = ["vectors", "learn", text.to_str().unwrap(), "--dim", "8", "--out", out.to_str().unwrap()];
    done(mappa(lab, &flags));
    assert_eq!(std::fs::read(&out).unwrap(), before);
    assert!(lab.join("elsewhere.json").is_file());
}

#[test]
fn texts_that_cannot_be_learned_from_are_refused_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let lab = folder.path();
    let write = |name: &str, bytes: &[u8]| {
        std::fs::write(lab.join(name), bytes).unwrap();
        lab.join(name).to_str().unwrap().to_string()
    };
    let utf16: Vec<u8> = "\u{feff}a b".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let cases = [
        (
            write("latin.txt", b"a b\nc d\nM\xe1laga\n"),
            "latin.txt: found line 3: a byte that is not UTF-8 (0xe1)",
        ),
        (write("nul.txt", b"a b\nc\0d\n"), "line 2: a NUL byte"),
        (write("utf16.txt", &utf16), "UTF-16"),
        (write("wide.txt", "x".repeat(3 << 20).as_bytes()), "without white space"),
        (write("few.txt", b"one two three\n"), "0 words that occur at least 5 times"),
        (write("empty.txt", b""), "0 words"),
        (write("alone.txt", "a\nb\nc\nd\n".repeat(9).as_bytes()), "near each other"),
        (lab.join("absent.txt").to_str().unwrap().into(), "absent.txt"),
    ];
    for (path, part) in cases {
        refused(mappa(lab, &["vectors", "learn", &path, "--name", "x", "--dim", "2"]), &[part]);
    }
    let text = fixture("corpus.txt");
    let text = text.to_str().unwrap();
    refused(mappa(lab, &["vectors", "learn", text]), &["--name NAME or --out FILE"]);
    refused(mappa(lab, &["vectors", "learn", text, "--out", "a.json"]), &["another ending"]);
    refused(mappa(lab, &["vectors", "learn", text, "--name", "x", "--weighting", "no"]), &["harmonic"]);
    let gguf = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/gguf/llama3.Q8_0.gguf");
    refused(mappa(lab, &["vectors", "learn", "--model", gguf.to_str().unwrap()]), &["without a corpus.txt"]);
    assert!(!lab.join("vectors").exists());
}
