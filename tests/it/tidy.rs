//! Checks of the source: imports between modules, lengths of files and functions, first lines of docstrings.

use super::root;
use super::source::{Source, walk, words};
use super::structure::circles;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// A module, the modules it may import, and the crates it may name; tests within it are free.
type Arrows = (&'static str, &'static [&'static str], &'static [&'static str]);

const ARROWS: &[Arrows] = &[
    ("shown", &[], &[]),
    ("error", &["shown"], &["candle_core", "linfa", "thiserror"]),
    ("limits", &["error"], &["sysinfo"]),
    ("hook_point", &["error"], &[]),
    (
        "artefact",
        &["error", "limits", "shown"],
        &["fs4", "serde", "serde_json", "sha2", "sysinfo", "tempfile"],
    ),
    ("progress", &[], &[]),
    (
        "hub",
        &["error", "artefact", "progress", "shown"],
        &["fs4", "serde", "serde_json", "sha1", "sha2", "ureq"],
    ),
    ("results", &["error", "hook_point", "artefact"], &["csv", "serde"]),
    ("datasets", &["error", "limits", "artefact", "shown"], &["csv", "parquet", "serde", "serde_json"]),
    (
        "tokenizer",
        &["error", "limits", "artefact"],
        &["minijinja", "minijinja_contrib", "rand", "rand_chacha", "serde", "serde_json", "tokenizers"],
    ),
    (
        "model",
        &["error", "limits", "hook_point", "artefact", "tokenizer"],
        &[
            "candle_core",
            "candle_transformers",
            "faer",
            "half",
            "memmap2",
            "pulp",
            "rand",
            "rand_chacha",
            "rand_distr",
            "rayon",
            "safetensors",
            "serde",
            "serde_json",
            "zip",
        ],
    ),
    (
        "activations",
        &["error", "limits", "hook_point", "artefact", "progress", "datasets", "tokenizer", "model", "shown"],
        &[
            "candle_core",
            "csv",
            "fs4",
            "half",
            "ndarray",
            "object_store",
            "rayon",
            "rustls",
            "safetensors",
            "serde",
            "serde_json",
            "sha2",
            "sysinfo",
            "tokio",
            "twox_hash",
            "url",
        ],
    ),
    (
        "word_vectors",
        &["error", "limits", "artefact", "datasets", "progress"],
        &[
            "crc32fast",
            "faer",
            "flate2",
            "half",
            "ndarray",
            "rand",
            "rand_chacha",
            "rayon",
            "safetensors",
            "tempfile",
            "unicode_normalization",
            "zip",
        ],
    ),
    (
        "probes",
        &[
            "error",
            "limits",
            "hook_point",
            "artefact",
            "progress",
            "results",
            "datasets",
            "word_vectors",
            "activations",
        ],
        &[
            "faer",
            "linfa",
            "linfa_linear",
            "ndarray",
            "pulp",
            "rand",
            "rand_chacha",
            "rayon",
            "safetensors",
            "serde",
            "serde_json",
            "unicode_script",
        ],
    ),
    (
        "features",
        &[
            "error",
            "limits",
            "hook_point",
            "artefact",
            "progress",
            "datasets",
            "tokenizer",
            "activations",
            "model",
        ],
        &[
            "candle_core",
            "faer",
            "ndarray",
            "pulp",
            "rand",
            "rand_chacha",
            "rand_distr",
            "rayon",
            "safetensors",
            "serde_json",
            "zip",
        ],
    ),
    (
        "steering",
        &[
            "error",
            "limits",
            "hook_point",
            "artefact",
            "progress",
            "results",
            "datasets",
            "tokenizer",
            "model",
            "probes",
            "features",
        ],
        &["candle_core", "ndarray", "rand", "rand_chacha", "rand_distr", "safetensors", "serde_json"],
    ),
    (
        "lenses",
        &[
            "error",
            "limits",
            "hook_point",
            "artefact",
            "progress",
            "tokenizer",
            "model",
            "activations",
            "probes",
        ],
        &["candle_core", "ndarray", "rand", "rand_chacha", "rayon", "safetensors", "serde", "serde_json"],
    ),
    (
        "causal",
        &["error", "limits", "hook_point", "artefact", "model"],
        &["candle_core", "faer", "ndarray", "rand", "rand_chacha", "rand_distr", "rayon", "safetensors"],
    ),
    (
        "figures",
        &["error", "limits", "results", "shown"],
        &["ab_glyph", "crc32fast", "epaint_default_fonts", "plotters", "png"],
    ),
    (
        "training",
        &["error", "limits", "artefact", "progress", "datasets", "tokenizer", "model"],
        &[
            "candle_core",
            "half",
            "rand",
            "rand_chacha",
            "rayon",
            "safetensors",
            "serde",
            "serde_json",
            "tokenizers",
        ],
    ),
    ("lib", &["error", "lab"], &[]),
    (
        "lab",
        &[
            "error",
            "limits",
            "hook_point",
            "artefact",
            "progress",
            "results",
            "datasets",
            "word_vectors",
            "tokenizer",
            "model",
            "activations",
            "probes",
            "features",
            "steering",
            "lenses",
            "causal",
            "figures",
            "hub",
            "training",
            "shown",
        ],
        &["serde", "toml"],
    ),
    (
        "cli",
        &[
            "lab",
            "error",
            "limits",
            "hook_point",
            "artefact",
            "progress",
            "results",
            "datasets",
            "word_vectors",
            "tokenizer",
            "model",
            "activations",
            "probes",
            "steering",
            "causal",
            "features",
            "lenses",
            "figures",
            "hub",
            "training",
            "shown",
        ],
        &["clap", "indicatif", "signal_hook"],
    ),
];

const MAX_FILE: usize = 320;
const MAX_FUNCTION: usize = 60;

/// The files that may contain `unsafe`, each for a measured gain in speed.
const UNSAFE: [&str; 3] =
    ["src/model/kernels/bf16/kernel.rs", "src/model/kernels/prefetch.rs", "src/model/weights/mmap.rs"];

/// Forbidden ways to print: they would show foreign texts as they are.
const PRINTS: [&str; 3] = ["print!(", "println!(", "stdout().write"];

/// Forbidden ways to read a text: they bypass `artefact::load_text` and `artefact::text_of`, which remove the byte
/// order mark and report other encodings.
const AROUND: [&str; 4] =
    ["read_to_string", "from_utf8", "serde_json::from_slice", "serde_json::from_reader"];

/// Readers of other libraries that may panic, recurse or grow without end on foreign bytes, each with the only files
/// that may name it. These files call it through the [`SEAM`], after checks of sizes and depths.
const FOREIGN_READERS: [(&str, &[&str]); 9] = [
    ("SerializedFileReader::new", &["src/datasets/formats/parquet.rs"]),
    ("read_loop", &["src/model/weights/torch_file.rs"]),
    ("PthTensors", &[]),
    ("NpzTensors", &["src/features/files/gemma_scope.rs"]),
    ("load_buffer", &["src/model/weights/tensor_file.rs"]),
    ("Tokenizer::from_bytes", &["src/tokenizer/library.rs"]),
    ("Tokenizer::from_file", &[]),
    ("add_template_owned", &["src/tokenizer/chat/template.rs"]),
    ("toml::from_str", &["src/lab/toml_file.rs"]),
];

/// The functions that turn the panics of these readers into errors.
const SEAM: [&str; 3] = ["artefact::guarded", "artefact::caught", "artefact::limited"];

/// The files that may read a text in these ways: the file of the two functions, and those that decode parts of binary
/// files or answers of the hub.
const NO_TEXT_FILES: [&str; 10] = [
    "src/artefact/text.rs",
    "src/activations/store/array_file.rs",
    "src/datasets/formats/parquet.rs",
    "src/hub/client.rs",
    "src/model/gguf/header.rs",
    "src/tokenizer/vocabulary/proto.rs",
    // Some files of word vectors have words that are not UTF-8.
    "src/word_vectors/bundled.rs",
    "src/word_vectors/formats/binary.rs",
    "src/word_vectors/formats/source.rs",
    "src/word_vectors/formats/text.rs",
];

/// The faults of a file, each a sentence that names the file.
pub(crate) fn faults(source: &Source, crates: &[String]) -> Vec<String> {
    let Source { path, text, code, .. } = source;
    let mut faults = Vec::new();
    if !text.starts_with("//!") {
        faults.push(format!("{path}: does not begin with a `//!` line"));
    }
    for (line, doc) in source.relative_docs() {
        faults.push(format!("{path}:{line}: `{doc}`; name the thing, or say what the function does"));
    }
    let trusts = ["unsafe", "unsafe_code"].iter().any(|word| words(code, word).next().is_some());
    if trusts && !UNSAFE.contains(&path.as_str()) {
        faults.push(format!("{path}: `unsafe` is allowed only in {}", UNSAFE.join(", ")));
    }
    let is_around = |word: &&&str| words(&source.shipped, word).next().is_some();
    if let Some(word) = AROUND.iter().find(is_around).filter(|_| !NO_TEXT_FILES.contains(&path.as_str())) {
        faults.push(format!("{path}: `{word}`; a text is read by `artefact::load_text` or `text_of` alone"));
    }
    let names = |word: &str| words(&source.shipped, word).next().is_some();
    for (reader, files) in FOREIGN_READERS.iter().filter(|(reader, _)| names(reader)) {
        if !files.contains(&path.as_str()) || !SEAM.iter().any(|seam| names(seam)) {
            faults.push(format!("{path}: `{reader}` is called only through {}", SEAM.join(", ")));
        }
    }
    let is_output = path.starts_with("src/") && path != "src/cli/output.rs";
    if let Some(word) = PRINTS.iter().find(|word| is_output && source.shipped.contains(**word)) {
        faults.push(format!("{path}: `{word}`; `say!` and `tell!` of cli/terminal.rs escape foreign texts"));
    }
    let Some(module) = source.module() else { return faults };
    let n_lines = source.code_lines();
    if n_lines > MAX_FILE && !source.shipped.trim().is_empty() {
        faults.push(format!("{path}: {n_lines} lines of code; at most {MAX_FILE}"));
    }
    for name in source.tuple_parameters() {
        faults.push(format!("{path}: fn {name} takes a tuple; a struct with names, or two parameters"));
    }
    for (name, lines) in source.functions().into_iter().filter(|(_, lines)| *lines > MAX_FUNCTION) {
        faults.push(format!("{path}: fn {name} has {lines} lines; at most {MAX_FUNCTION}"));
    }
    let Some((_, modules, allowed)) = ARROWS.iter().find(|(name, ..)| *name == module) else {
        faults.push(format!("{path}: module `{module}` is not in the table of arrows"));
        return faults;
    };
    for used in
        source.modules_used().iter().filter(|used| *used != module && !modules.contains(&used.as_str()))
    {
        faults.push(format!("{path}: `{module}` may not import `{used}`"));
    }
    for used in source.crates_used(crates).iter().filter(|used| !allowed.contains(used)) {
        faults.push(format!("{path}: `{module}` may not name the crate `{used}`"));
    }
    faults
}

/// The crates in `[dependencies]` of Cargo.toml.
fn dependencies() -> Vec<String> {
    let manifest = std::fs::read_to_string(root("Cargo.toml")).unwrap();
    let section = manifest.split("\n[dependencies]\n").nth(1).unwrap().split("\n[").next().unwrap();
    let name = |line: &str| Some(line.split_once('=')?.0.split('.').next()?.trim().to_string());
    section.lines().filter(|line| line.starts_with(char::is_alphabetic)).filter_map(name).collect()
}

fn crate_names() -> Vec<String> {
    dependencies().iter().map(|name| name.replace('-', "_")).collect()
}

#[test]
fn every_file_follows_the_rules() {
    let crates = crate_names();
    let sources = Source::all();
    let modules: BTreeSet<&str> = sources.iter().filter_map(Source::module).collect();
    let listed: BTreeSet<&str> = ARROWS.iter().map(|(name, ..)| *name).collect();
    assert_eq!(modules, listed, "the modules of src/ and of the table of arrows");
    let faults: Vec<String> = sources.iter().flat_map(|source| faults(source, &crates)).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn no_circle_of_files_and_no_name_for_two_types() {
    let sources = Source::all();
    let mut faults = circles(&sources);
    let mut types: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for source in sources.iter().filter(|source| source.module().is_some()) {
        source.public_types().into_iter().for_each(|name| types.entry(name).or_default().push(&source.path));
    }
    let doubled = types.iter().filter(|(_, files)| files.len() > 1);
    faults.extend(doubled.map(|(name, files)| format!("two public types `{name}`: {}", files.join(", "))));
    assert!(types.len() > 200, "only {} public types were found", types.len());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_dependency_is_named_in_the_architecture() {
    let text = std::fs::read_to_string(root("ARCHITECTURE.md"));
    let text = text.expect("ARCHITECTURE.md names each dependency and why it is there");
    let is_name = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    let names: BTreeSet<&str> = text.split(|c| !is_name(c)).collect();
    let unnamed: Vec<String> =
        dependencies().into_iter().filter(|name| !names.contains(name.as_str())).collect();
    assert!(unnamed.is_empty(), "ARCHITECTURE.md does not name {unnamed:?}");
}

#[test]
fn every_dependency_is_used_by_shipped_code() {
    let (crates, sources) = (crate_names(), Source::all());
    let used: BTreeSet<&str> = sources.iter().flat_map(|source| source.crates_used(&crates)).collect();
    // Only enables a feature, TLS by ring, of a dependency of object_store; no code names it.
    let for_its_features = ["reqwest"];
    let is_unused =
        |name: &&String| !used.contains(name.as_str()) && !for_its_features.contains(&name.as_str());
    let unused: Vec<&String> = crates.iter().filter(is_unused).collect();
    assert!(unused.is_empty(), "{unused:?}: remove them, or move what only tests name to [dev-dependencies]");
}

/// Roots of paths that exist on only one machine; without slashes, so that this file does not match itself.
const MACHINE_ROOTS: [&str; 3] = ["work", "root", "opt"];

/// The first machine-specific absolute path in a text.
pub(crate) fn machine_path(text: &str) -> Option<&str> {
    let starts = |at: &usize| {
        let before = text[..*at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || "._-~*{}/\\".contains(c))
    };
    MACHINE_ROOTS.iter().find_map(|folder| {
        let needle = format!("/{folder}/");
        let at = text.match_indices(&needle).map(|(at, _)| at).find(starts)?;
        Some(text[at..].lines().next().unwrap_or_default())
    })
}

/// The files that git tracks; in a source archive without git, all files in the tracked folders.
fn tracked() -> Vec<String> {
    let git = Command::new("git").args(["ls-files", "-z"]).current_dir(root("")).output();
    if let Some(out) = git.ok().filter(|out| out.status.success()) {
        let paths = String::from_utf8(out.stdout).unwrap();
        return paths.split_terminator('\0').map(String::from).collect();
    }
    let mut paths = vec!["Cargo.toml".to_string()];
    ["src", "tests", "datasets"].iter().for_each(|folder| walk(&root(folder), &mut paths));
    paths
}

#[test]
fn no_tracked_text_contains_a_machine_specific_path() {
    let (mut n_text, mut found) = (0, Vec::new());
    for path in tracked() {
        // Skips files that were moved but not yet committed, and files that are not text, such as weights.
        let Some(text) = std::fs::read(root(&path)).ok().and_then(|bytes| String::from_utf8(bytes).ok())
        else {
            continue;
        };
        n_text += 1;
        found.extend(machine_path(&text).map(|line| format!("{path}: {line}")));
    }
    assert!(n_text > 50, "only {n_text} text files were found");
    assert!(found.is_empty(), "{}", found.join("\n"));
}
