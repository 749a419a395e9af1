//! The readers of foreign input, each as a function of bytes. Neither a panic nor an abort may follow from any bytes.
//!
//! The fuzz targets call them with random bytes, and `tests/it/fuzzed.rs` with the inputs that once failed.

use mappa::activations::ActivationStore;
use mappa::artefact::Card;
use mappa::datasets::{ImportPlan, IncompleteRows, Prompt};
use mappa::features::Dictionary;
use mappa::lab::{Change, Latent, Prompting, load_prompts};
use mappa::model::{Location, Model, ModelInfo, Precision, load_control_vector};
use mappa::probes::ProbeSet;
use mappa::results::{ScoreRow, SweepRow, parse_rows};
use mappa::steering::{ContrastPairs, Dose, LayerSet, TargetReading, TokenChoice, Vectors};
use mappa::tokenizer::{ChatDate, Tokenizer};
use mappa::word_vectors::{WordVectors, needed_words};
use mappa::{Experiment, HookPoint};
use std::path::Path;

/// A reader, and its name in `fuzz_targets/` and in `corpus/`.
pub type Reader = (&'static str, fn(&[u8]));

/// All readers.
pub const READERS: [Reader; 26] = [
    ("card", card),
    ("chat_template", chat_template),
    ("checkpoint", checkpoint),
    ("config", config),
    ("contrast_pairs", contrast_pairs),
    ("control_vector", control_vector),
    ("csv", csv),
    ("dataset", dataset),
    ("dictionary", dictionary),
    ("dictionary_config", dictionary_config),
    ("experiment", experiment),
    ("gguf", gguf),
    ("hook_points", hook_points),
    ("journal", journal),
    ("json", json),
    ("npz", npz),
    ("parquet", parquet),
    ("pickle", pickle),
    ("probes", probes),
    ("prompt", prompt),
    ("shard_index", shard_index),
    ("steering_words", steering_words),
    ("store", store),
    ("tokenizer_json", tokenizer_json),
    ("vocabulary", vocabulary),
    ("word_vectors", word_vectors),
];

macro_rules! fixture {
    ($path:literal) => {
        include_bytes!(concat!("../tests/fixtures/", $path))
    };
}

/// Calls `read` with a folder that contains these files.
fn with_files(files: &[(&str, &[u8])], read: impl FnOnce(&Path)) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, bytes) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, bytes).expect("a temporary file");
    }
    read(folder.path());
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The card of an artefact.
pub fn card(bytes: &[u8]) {
    let _ = Card::parse(Path::new("card.json"), bytes);
}

/// A chat template.
pub fn chat_template(bytes: &[u8]) {
    let files: [(&str, &[u8]); 3] = [
        ("chat_template.jinja", bytes),
        ("tokenizer.json", fixture!("chat/smol/tokenizer.json")),
        ("tokenizer_config.json", fixture!("chat/smol/tokenizer_config.json")),
    ];
    with_files(&files, |folder| {
        let tokenizer = Tokenizer::open(folder).and_then(|t| t.with_chat(ChatDate::default()));
        let _ = tokenizer.map(|tokenizer| tokenizer.encode_prompt("Where is Oslo?", 9..13).map(drop));
    });
}

/// A safetensors file of weights.
pub fn checkpoint(bytes: &[u8]) {
    let files: [(&str, &[u8]); 2] =
        [("model.safetensors", bytes), ("config.json", fixture!("models/gpt2/config.json"))];
    with_files(&files, |folder| drop(Model::load_transformer(folder, Precision::F32)));
}

/// The index of a checkpoint in several files.
pub fn shard_index(bytes: &[u8]) {
    let files: [(&str, &[u8]); 4] = [
        ("model.safetensors.index.json", bytes),
        ("model-00001-of-00002.safetensors", fixture!("models/llama/model-00001-of-00002.safetensors")),
        ("model-00002-of-00002.safetensors", fixture!("models/llama/model-00002-of-00002.safetensors")),
        ("config.json", fixture!("models/llama/config.json")),
    ];
    with_files(&files, |folder| drop(Model::load_transformer(folder, Precision::F32)));
}

/// A pickle of torch.
pub fn pickle(bytes: &[u8]) {
    let files: [(&str, &[u8]); 2] =
        [("pytorch_model.bin", bytes), ("config.json", fixture!("models/gpt2_bin/config.json"))];
    with_files(&files, |folder| drop(Model::load_transformer(folder, Precision::F32)));
}

/// The config of a model.
pub fn config(bytes: &[u8]) {
    let files: [(&str, &[u8]); 2] =
        [("config.json", bytes), ("model.safetensors", fixture!("models/gpt2/model.safetensors"))];
    with_files(&files, |folder| drop(Model::load_transformer(folder, Precision::F32)));
}

/// A model in one GGUF file.
pub fn gguf(bytes: &[u8]) {
    with_files(&[("model.gguf", bytes)], |folder| {
        let path = folder.join("model.gguf");
        let _ = ModelInfo::of(&Location::Gguf(path.clone()));
        let _ = Model::load_transformer(&path, Precision::F32);
    });
}

/// Vectors for steering, in a GGUF file.
pub fn control_vector(bytes: &[u8]) {
    with_files(&[("vector.gguf", bytes)], |folder| {
        let _ = load_control_vector(&folder.join("vector.gguf"));
        let _ = Vectors::load(&folder.join("vector.gguf"), -1);
    });
}

/// Pairs of texts for a steering vector, and vectors in a safetensors file.
pub fn contrast_pairs(bytes: &[u8]) {
    with_files(&[("pairs.jsonl", bytes), ("vectors.safetensors", bytes)], |folder| {
        let pairs = folder.join("pairs.jsonl");
        let _ = ContrastPairs::load(&pairs);
        let _ = ContrastPairs::load_two(&pairs, &pairs);
        let _ = Vectors::load(&folder.join("vectors.safetensors"), 0);
    });
}

fn imported(name: &str, bytes: &[u8]) {
    with_files(&[(name, bytes)], |folder| {
        for incomplete in [IncompleteRows::Refused, IncompleteRows::LeftOut] {
            let plan = ImportPlan { name: "fuzzed".into(), incomplete, ..ImportPlan::default() };
            let _ = plan.read(&folder.join(name));
        }
    });
}

/// A table to import, with cells separated by commas or tabs.
pub fn csv(bytes: &[u8]) {
    imported("table.csv", bytes);
    imported("table.tsv", bytes);
}

/// A table in JSON or JSON lines to import.
pub fn json(bytes: &[u8]) {
    imported("table.json", bytes);
    imported("table.jsonl", bytes);
}

/// A Parquet file to import.
pub fn parquet(bytes: &[u8]) {
    imported("table.parquet", bytes);
}

/// A dataset of a lab, and the rows of results.
pub fn dataset(bytes: &[u8]) {
    let _ = mappa::datasets::parse(Path::new("dataset.csv"), bytes);
    let _ = parse_rows::<ScoreRow>(Path::new("scores.csv"), bytes);
    let _ = parse_rows::<SweepRow>(Path::new("sweep.csv"), bytes);
}

/// The weights of a dictionary as SAELens saves them.
pub fn dictionary(bytes: &[u8]) {
    let config: &[u8] = fixture!("features/jumprelu/cfg.json");
    with_files(&[("cfg.json", config), ("sae_weights.safetensors", bytes)], |folder| {
        let _ = Dictionary::load(folder, None);
    });
}

/// The config of a dictionary as SAELens saves it.
pub fn dictionary_config(bytes: &[u8]) {
    let weights: &[u8] = fixture!("features/topk/sae_weights.safetensors");
    with_files(&[("cfg.json", bytes), ("sae_weights.safetensors", weights)], |folder| {
        let _ = Dictionary::load(folder, None);
    });
}

/// A dictionary of Gemma Scope.
pub fn npz(bytes: &[u8]) {
    with_files(&[("params.npz", bytes)], |folder| {
        let _ = Dictionary::load(folder, Some(HookPoint::ResidPost(1)));
    });
}

/// An experiment, and a file of prompts.
pub fn experiment(bytes: &[u8]) {
    let _ = Experiment::parse(Path::new("experiment.toml"), &text(bytes));
    with_files(&[("prompts.toml", bytes)], |folder| {
        let _ = load_prompts(&folder.join("prompts.toml"), &Prompting::default());
    });
}

/// A list of hook points with stars and braces.
pub fn hook_points(bytes: &[u8]) {
    let _ = HookPoint::choose(&text(bytes), &HookPoint::all(3));
    let _ = text(bytes).parse::<HookPoint>();
}

/// Probes of a lab.
pub fn probes(bytes: &[u8]) {
    with_files(&[("probes.safetensors", bytes)], |folder| {
        let _ = ProbeSet::load(&folder.join("probes.safetensors"));
    });
}

/// A prompt with the columns of a dataset.
pub fn prompt(bytes: &[u8]) {
    let dataset: &[u8] = b"name,country,year\nOslo,Norway,1048\n\xc3\x9cr\xc3\xbcmqi,China,1884\n";
    let dataset = mappa::datasets::parse(Path::new("cities.csv"), dataset).expect("a dataset");
    let prompt = Prompt::find(&text(bytes), &dataset).or_else(|_| Prompt::new(&text(bytes)));
    let Ok(prompt) = prompt else { return };
    if let Ok(texts) = prompt.texts(&dataset) {
        dataset.entities.iter().for_each(|entity| _ = texts.of(entity));
    }
}

/// The words of `mappa steer`: doses, targets, layers, tokens, latents.
pub fn steering_words(bytes: &[u8]) {
    let text = text(bytes);
    let _ = text.parse::<Dose>().map(|dose| dose.deltas());
    let _ = text.parse::<TargetReading>().map(|reading| reading.values(None).map(drop));
    let _ = text.parse::<LayerSet>().map(|layers| layers.check(4));
    let _ = text.parse::<TokenChoice>();
    let _ = text.parse::<Latent>();
    let _ = Change::toward(&text);
}

/// The files of a finished store.
pub fn store(bytes: &[u8]) {
    let folder = "activations/m/d/p";
    let name = |file: &str| format!("{folder}/{file}");
    let (card, spans, sums) = (name("card.json"), name("spans.csv"), name("checksums.csv"));
    let array = name("blocks.0.hook_resid_post.safetensors");
    let good: &[u8] = b"{\"inputs\":{},\"record\":{}}";
    for files in [
        [(&card[..], good), (&spans[..], bytes), (&sums[..], bytes), (&array[..], bytes)],
        [(&card[..], bytes), (&spans[..], b""), (&sums[..], b""), (&array[..], bytes)],
    ] {
        with_files(&files, |lab| {
            let [m, d, p] = ["m", "d", "p"].map(mappa::artefact::FolderName::of_text);
            let store = ActivationStore::new(lab, &m, &d, &p);
            let _ = store.hook_points();
            let _ = store.spans();
            let _ = store.is_done(&Card::default(), &[HookPoint::ResidPost(0)]);
            let _ = store.load(HookPoint::ResidPost(0));
            let _ = store.verify(&mut |_, _| {});
        });
    }
}

/// The journal of a killed merge. Its content never changes the merged rows, which are those of the shard.
pub fn journal(bytes: &[u8]) {
    let values: Vec<u8> = [1.0_f32, 2.0, 3.0, 4.0].iter().flat_map(|x| x.to_le_bytes()).collect();
    let mut header =
        r#"{"__metadata__":{"made_by":"mappa"},"activations":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}}"#
            .to_string();
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    let array = [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &values].concat();
    let spans = "row,name,token_ids,decoded,n_tokens,position,first_row,n_rows\n1,Oslo,5,Oslo,1,0,0,1\n2,Rome,6,Rome,1,0,1,1\n";
    let point = HookPoint::ResidPost(0);
    let name = format!("{point}.safetensors");
    let line =
        |file: &str, bytes: &[u8]| format!("{file},{},{}\n", bytes.len(), mappa::artefact::hash(bytes));
    let checksums =
        format!("file,bytes,sha256\n{}{}", line(&name, &array), line("spans.csv", spans.as_bytes()));
    let card = |card: Card| card.to_json().expect("a card");
    let shard = card(Card::default().input("shard", "1/1"));
    let staged = card(Card::default().input("hook_points", point).input("parts", "1 shards"));
    let (below, staging) = ("activations/m/d/p/.shards/1-of-1", "activations/m/d/p/.partial");
    let files: Vec<(String, &[u8])> = vec![
        (format!("{below}/card.json"), &shard),
        (format!("{below}/spans.csv"), spans.as_bytes()),
        (format!("{below}/checksums.csv"), checksums.as_bytes()),
        (format!("{below}/{name}"), &array),
        (format!("{staging}/{name}"), &array),
        (format!("{staging}/journal.csv"), bytes),
        (format!("{staging}/card.json"), &staged),
    ];
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (&name[..], *bytes)).collect();
    with_files(&files, |lab| {
        let [m, d, p] = ["m", "d", "p"].map(mappa::artefact::FolderName::of_text);
        let store = ActivationStore::new(lab, &m, &d, &p);
        let merged = store.merge(&mut mappa::progress::Silent).and_then(|_| store.load(point));
        assert_eq!(merged.expect("merged rows").into_raw_vec_and_offset().0, [1.0, 2.0, 3.0, 4.0]);
    });
}

/// A tokenizer.json.
pub fn tokenizer_json(bytes: &[u8]) {
    let _ = Tokenizer::parse(Path::new("tokenizer.json"), bytes).map(used);
}

/// Encodes and decodes some texts.
fn used(tokenizer: Tokenizer) {
    for text in ["", "a", "Where is Oslo?", "  \u{1f600}\u{301}\u{0}\n<s>"] {
        let _ = tokenizer.encode(text).map(|encoded| tokenizer.decode(&encoded.ids).map(drop));
    }
    let _ = tokenizer.decode(&[0, 1, u32::MAX]);
    let _ = tokenizer.special_prefix();
    let _ = tokenizer.end_tokens();
}

/// A vocabulary without tokenizer.json; the first byte chooses the tokenizer class and the file that the other bytes
/// replace.
pub fn vocabulary(bytes: &[u8]) {
    let Some((choice, bytes)) = bytes.split_first() else { return };
    let folders: [Vec<(&str, &[u8])>; 4] = [
        vec![
            ("config.json", fixture!("tokenizers/bert_cased/config.json")),
            ("tokenizer_config.json", fixture!("tokenizers/bert_cased/tokenizer_config.json")),
            ("vocab.txt", fixture!("tokenizers/bert_cased/vocab.txt")),
        ],
        vec![
            ("config.json", fixture!("tokenizers/gpt_neox/config.json")),
            ("tokenizer_config.json", fixture!("tokenizers/gpt_neox/tokenizer_config.json")),
            ("vocab.json", fixture!("tokenizers/gpt_neox/vocab.json")),
            ("merges.txt", fixture!("tokenizers/gpt_neox/merges.txt")),
        ],
        vec![
            ("config.json", fixture!("tokenizers/llama/config.json")),
            ("tokenizer_config.json", fixture!("tokenizers/llama/tokenizer_config.json")),
            ("tokenizer.model", fixture!("tokenizers/llama/tokenizer.model")),
        ],
        vec![
            ("config.json", fixture!("tokenizers/xlm_roberta/config.json")),
            ("tokenizer_config.json", fixture!("tokenizers/xlm_roberta/tokenizer_config.json")),
            ("sentencepiece.bpe.model", fixture!("tokenizers/xlm_roberta/sentencepiece.bpe.model")),
        ],
    ];
    let mut files = folders[usize::from(*choice) % 4].clone();
    let replaced = usize::from(*choice / 4) % files.len();
    files[replaced].1 = bytes;
    with_files(&files, |folder| drop(Tokenizer::open(folder).map(used)));
}

/// A file of word vectors.
pub fn word_vectors(bytes: &[u8]) {
    with_files(&[("vectors.txt", bytes)], |folder| {
        let needed = needed_words(["the New York of", "Paris"]);
        let _ = WordVectors::load(&folder.join("vectors.txt"), &needed);
    });
}
