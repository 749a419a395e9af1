//! Properties of the store: filled in two halves, in shards or at once, its bytes are the same.

use super::tiny_spec;
use mappa::Error;
use mappa::activations::{
    ActivationStore, Division, ExtractedActivations, Pooling, Prepared, PromptedDataset, Recording, Shard,
    StoredDtype, TextModel, TokenScope, Verdict,
};
use mappa::artefact::Card;
use mappa::datasets::{Dataset, Prompt, parse};
use mappa::hook_point::HookPoint;
use mappa::model::{AttentionDirection, Place, Spec, Transformer, untrained};
use mappa::progress::{Observer, Progress, Silent};
use mappa::tokenizer::Tokenizer;
use mappa::training::train_tokenizer;
use ndarray::{Axis, s};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;

const N_ENTITIES: usize = 240;
const POOLINGS: [Pooling; 5] = [Pooling::Last, Pooling::First, Pooling::Mean, Pooling::Max, Pooling::Every];

/// A small model and a dataset of towns.
pub(crate) struct Bench {
    transformer: Transformer,
    tokenizer: Tokenizer,
    dataset: Dataset,
    prompt: Prompt,
}

impl Bench {
    pub(crate) fn new(direction: AttentionDirection) -> Bench {
        let name =
            |i: usize| format!("{} {:04}{}", ["Oslo", "Rome", "Lima"][i % 3], i * 7919 % 10_000, i % 7);
        let rows: String = (0..N_ENTITIES).map(|i| format!("{},{i}\n", name(i))).collect();
        let dataset = parse(Path::new("towns.csv"), format!("name,year\n{rows}").as_bytes()).unwrap();
        let lines: Vec<String> = dataset.entities.iter().map(|e| e.name.clone()).collect();
        let json = train_tokenizer(&lines, 270).unwrap();
        let tokenizer = Tokenizer::parse(Path::new("tokenizer.json"), &json).unwrap();
        let mut spec: Spec = tiny_spec(tokenizer.len());
        spec.attention.direction = direction;
        let prompt = Prompt::new("Where is {} now").unwrap();
        Bench { transformer: untrained(&spec, 1).unwrap(), tokenizer, dataset, prompt }
    }

    pub(crate) fn prepared(&self, recording: Recording, shard: Option<Shard>) -> Prepared<'_> {
        let model = TextModel { transformer: &self.transformer, tokenizer: &self.tokenizer };
        let texts = PromptedDataset { dataset: &self.dataset, prompt: &self.prompt };
        Prepared::new(model, texts, recording, division(shard)).unwrap()
    }

    fn spec(&self) -> &Spec {
        &self.transformer.spec
    }

    pub(crate) fn points(&self) -> Vec<HookPoint> {
        HookPoint::choose(
            "embed,blocks.*.hook_resid_post,blocks.0.attn.hook_z,*.hook_post",
            &self.spec().hook_points(),
        )
        .unwrap()
    }
}

pub(crate) fn division(shard: Option<Shard>) -> Division {
    Division { batch_tokens: 50, shard }
}

/// The inputs of a store, without the run's date.
pub(crate) fn card(recording: Recording, shard: Option<Shard>) -> Card {
    division(shard).describe(recording.describe(Card::default().input("dataset", "towns")))
}

/// An observer that requests a stop after a number of queries.
pub(crate) struct StopAfter {
    left: Cell<usize>,
    /// The detail of the first report.
    first: Option<String>,
}

impl StopAfter {
    pub(crate) fn asked(left: usize) -> StopAfter {
        StopAfter { left: Cell::new(left), first: None }
    }

    pub(crate) fn never() -> StopAfter {
        StopAfter::asked(usize::MAX)
    }
}

impl Observer for StopAfter {
    fn progress(&mut self, progress: &Progress) {
        self.first.get_or_insert_with(|| progress.detail.to_string());
    }

    fn should_stop(&self) -> bool {
        self.left.set(self.left.get().saturating_sub(1));
        self.left.get() == 0
    }
}

pub(crate) fn new_store(lab: &Path) -> ActivationStore {
    super::store(lab, ["m", "towns", "empty"])
}

/// All files of a store by name, without hidden files.
pub(crate) fn bytes(store: &ActivationStore) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(&store.folder).unwrap().map(|entry| entry.unwrap());
    let name = |entry: &std::fs::DirEntry| entry.file_name().into_string().unwrap();
    let seen = entries.filter(|entry| !name(entry).starts_with('.'));
    seen.map(|entry| (name(&entry), std::fs::read(entry.path()).unwrap())).collect()
}

fn assert_same(found: &ActivationStore, expected: &ActivationStore) {
    let (found, expected) = (bytes(found), bytes(expected));
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (name, bytes) in &expected {
        if name == "card.json" {
            let parse = |bytes: &[u8]| serde_json::from_slice::<Card>(bytes).unwrap();
            let (a, b) = (parse(&found[name]), parse(bytes));
            assert_eq!((a.inputs, a.notes), (b.inputs, b.notes));
        } else {
            assert!(found[name] == *bytes, "{name} differs");
        }
    }
}

pub(crate) fn filled(
    lab: &Path,
    bench: &Bench,
    recording: Recording,
    points: &[HookPoint],
) -> ActivationStore {
    let store = new_store(lab);
    let filled = store
        .extract(&bench.prepared(recording, None), points, &card(recording, None), &mut StopAfter::never())
        .unwrap();
    assert_eq!((filled.n_points, filled.n_kept, filled.locked), (points.len(), 0, true));
    store
}

fn every_recording(dtype: StoredDtype) -> Vec<Recording> {
    let of = |scope| POOLINGS.map(|pooling| Recording { pooling, scope, dtype });
    [of(TokenScope::Entity), of(TokenScope::Text)].concat()
}

#[test]
fn a_store_has_the_values_of_an_extraction_into_memory_rounded_to_its_dtype() {
    let bench = Bench::new(AttentionDirection::Causal);
    for dtype in [StoredDtype::F32, StoredDtype::F16, StoredDtype::Bf16] {
        for recording in every_recording(dtype) {
            let lab = tempfile::tempdir().unwrap();
            let points = bench.points();
            let store = filled(lab.path(), &bench, recording, &points);
            let memory: ExtractedActivations =
                bench.prepared(recording, None).extract(&points, &mut Silent).unwrap();
            assert_eq!(store.spans().unwrap(), memory.spans);
            assert_eq!(store.hook_points().unwrap().len(), points.len());
            for point in points {
                let (found, expected) = (store.load(point).unwrap(), &memory.arrays[&point]);
                let rounded = expected.mapv(|x| match dtype {
                    StoredDtype::F32 => x,
                    StoredDtype::F16 => half::f16::from_f32(x).to_f32(),
                    StoredDtype::Bf16 => half::bf16::from_f32(x).to_f32(),
                });
                assert_eq!(found, rounded, "{point} {recording:?}");
                let part = store.load_rows(point, 17..101).unwrap();
                assert_eq!(part, found.slice(s![17..101, ..]));
                let n = found.nrows();
                assert!(store.load_rows(point, n..n + 1).unwrap_err().to_string().contains(&n.to_string()));
            }
        }
    }
}

#[test]
fn every_token_agrees_with_last_first_mean_and_max() {
    for direction in [AttentionDirection::Causal, AttentionDirection::Bidirectional] {
        let bench = Bench::new(direction);
        let points = bench.points();
        for scope in [TokenScope::Entity, TokenScope::Text] {
            let read = |pooling| {
                let recording = Recording { pooling, scope, dtype: StoredDtype::F32 };
                bench.prepared(recording, None).extract(&points, &mut Silent).unwrap()
            };
            let [last, first, mean, max, every] = POOLINGS.map(read);
            for point in &points {
                for (i, span) in every.spans.iter().enumerate() {
                    let rows =
                        every.arrays[point].slice(s![span.first_row..span.first_row + span.n_rows, ..]);
                    let n = rows.nrows();
                    assert!(if scope == TokenScope::Entity { n == span.n_tokens } else { n > span.n_tokens });
                    let row = |of: &ExtractedActivations| of.arrays[point].row(i).to_owned();
                    // In another batch, a number may differ in its last bits.
                    let near = |a: &ndarray::Array1<f32>, b: ndarray::ArrayView1<f32>| {
                        let apart = (a - &b).iter().fold(0f32, |most, x| most.max(x.abs()));
                        assert!(apart < 1e-5, "{point} of {}: {apart}", span.name);
                    };
                    near(&row(&last), rows.row(n - 1));
                    near(&row(&first), rows.row(0));
                    near(&row(&mean), rows.mean_axis(Axis(0)).unwrap().view());
                    near(&row(&max), rows.fold_axis(Axis(0), f32::MIN, |a, b| a.max(*b)).view());
                }
            }
        }
    }
}

#[test]
fn adding_hook_points_later_gives_the_same_bytes() {
    let bench = Bench::new(AttentionDirection::Causal);
    let (lab, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let recording = Recording::default();
    let points = bench.points();
    let together = filled(lab.path(), &bench, recording, &points);
    let store = filled(other.path(), &bench, recording, &points[2..4]);
    let mut card = card(recording, None);
    card.record = BTreeMap::from(
        [("date", "2026-01-02"), ("command", "mappa more")].map(|(k, v)| (k.into(), v.into())),
    );
    let more =
        store.extract(&bench.prepared(recording, None), &points, &card, &mut StopAfter::never()).unwrap();
    assert_eq!(more.n_points, points.len() - 2);
    assert_same(&store, &together);
    let kept: Card = serde_json::from_slice(&bytes(&store)["card.json"]).unwrap();
    assert_eq!(kept.record["added 2026-01-02"], "mappa more");
    assert!(store.is_done(&card, &points).unwrap());
    let again =
        store.extract(&bench.prepared(recording, None), &points, &card, &mut StopAfter::asked(1)).unwrap();
    assert_eq!(again.n_points, 0, "all hook points existed already");
}

#[test]
fn shards_are_merged_to_the_bytes_of_one_run() {
    for (direction, pooling, parts) in [
        (AttentionDirection::Causal, Pooling::Last, &[1, 3, 60][..]),
        (AttentionDirection::Bidirectional, Pooling::Mean, &[3]),
        (AttentionDirection::Causal, Pooling::Every, &[3]),
    ] {
        let bench = Bench::new(direction);
        let recording = Recording { pooling, ..Recording::default() };
        let lab = tempfile::tempdir().unwrap();
        let points = bench.points();
        let whole = filled(lab.path(), &bench, recording, &points);
        for &of in parts {
            let lab = tempfile::tempdir().unwrap();
            let store = new_store(lab.path());
            let mut n_empty = 0;
            for index in 1..=of {
                let shard = Shard::new(index, of).unwrap();
                let (part, shard) = (store.of_shard(shard), Some(shard));
                let prepared = bench.prepared(recording, shard);
                n_empty += usize::from(prepared.n_entities() == 0);
                part.extract(&prepared, &points, &card(recording, shard), &mut StopAfter::never()).unwrap();
                if index < of {
                    let message = store.merge(&mut StopAfter::never()).unwrap_err().to_string();
                    assert!(message.contains(&format!("{of}/{of}")), "{message}");
                }
            }
            assert_eq!(n_empty > 0, of == 60, "{n_empty} of {of} shards are empty");
            // Stopped before each shard, the merge is resumed.
            let mut n_runs = 1;
            while let Err(error) = store.merge(&mut StopAfter::asked(n_runs.min(3))) {
                assert!(matches!(error, Error::Stopped { .. }), "{error}");
                n_runs += 1;
            }
            assert!(n_runs > 1);
            assert_same(&store, &whole);
            assert_eq!(store.merge(&mut StopAfter::never()).unwrap().n_points, 0, "merged before");
        }
    }
}

#[test]
fn shards_of_different_sets_are_refused() {
    let bench = Bench::new(AttentionDirection::Causal);
    let (recording, points) = (Recording::default(), bench.points());
    let lab = tempfile::tempdir().unwrap();
    let store = new_store(lab.path());
    let message = store.merge(&mut StopAfter::never()).unwrap_err().to_string();
    assert!(message.contains("no shards") && message.contains("--shard"), "{message}");
    let shards = [1, 2].map(|index| Shard::new(index, 2).unwrap());
    let fill = |shard: Shard, points: &[HookPoint]| {
        let card = card(recording, Some(shard));
        store
            .of_shard(shard)
            .extract(&bench.prepared(recording, Some(shard)), points, &card, &mut StopAfter::never())
            .unwrap();
    };
    fill(shards[0], &points);
    fill(shards[1], &points[1..]);
    let merge = || store.merge(&mut StopAfter::never()).unwrap_err();
    let message = merge().to_string();
    assert!(message.contains("2-of-2") && message.contains(&points[0].to_string()), "{message}");
    fill(shards[1], &points);
    let path = store.of_shard(shards[1]).folder.join("card.json");
    let whole = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, whole.replace("\"towns\"", "\"cities\"")).unwrap();
    let error = merge();
    assert!(matches!(&error, Error::CardMismatch { field, .. } if field == "dataset"), "{error}");
    std::fs::write(&path, whole).unwrap();
    for name in [format!("{}.safetensors", points[1]), "spans.csv".to_string()] {
        let path = store.of_shard(shards[1]).folder.join(&name);
        let whole = std::fs::read(&path).unwrap();
        let mut changed = whole.clone();
        *changed.last_mut().unwrap() ^= 1;
        std::fs::write(&path, changed).unwrap();
        let message = merge().to_string();
        assert!(message.contains(&name) && message.contains("was changed"), "{message}");
        std::fs::write(&path, whole).unwrap();
    }
    store.merge(&mut StopAfter::never()).unwrap();
}

#[test]
fn a_run_stopped_anywhere_is_resumed_to_the_same_bytes() {
    let bench = Bench::new(AttentionDirection::Causal);
    let recording = Recording { pooling: Pooling::Max, scope: TokenScope::Text, dtype: StoredDtype::Bf16 };
    let points = bench.points();
    let lab = tempfile::tempdir().unwrap();
    let whole = filled(lab.path(), &bench, recording, &points);
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let (mut n_stopped, mut n_resumed) = (0, 0);
    for _ in 0..5 {
        let lab = tempfile::tempdir().unwrap();
        let store = new_store(lab.path());
        let mut kept_before = 0;
        loop {
            let mut observer = StopAfter::asked(rng.random_range(1..200));
            let prepared = bench.prepared(recording, None);
            match store.extract(&prepared, &points, &card(recording, None), &mut observer) {
                Err(Error::Stopped { kept, of }) => {
                    assert!(kept >= kept_before && of == N_ENTITIES);
                    // The first report gives the number of kept entities.
                    if kept_before > 0 {
                        let expected = format!("{kept_before} of {N_ENTITIES} entities");
                        assert_eq!(observer.first.unwrap(), expected);
                        n_resumed += 1;
                    }
                    (kept_before, n_stopped) = (kept, n_stopped + 1);
                    assert!(!store.is_done(&card(recording, None), &points).unwrap());
                    assert!(store.load(points[0]).is_err(), "no array is in its final place yet");
                }
                outcome => {
                    assert_eq!(outcome.unwrap().n_damaged, 0);
                    break;
                }
            }
        }
        assert_same(&store, &whole);
        assert!(
            std::fs::read_dir(&store.folder).unwrap().all(|e| !e
                .unwrap()
                .file_name()
                .to_str()
                .unwrap()
                .starts_with('.'))
        );
    }
    println!("{n_stopped} runs were stopped, {n_resumed} of them after one that had recorded something");
    assert!(n_stopped > 10 && n_resumed > 5);
}

/// Sets one weight of a token's embedding to `value`.
fn spoilt(bench: &mut Bench, token: u32, value: f32) {
    let spec = bench.spec().clone();
    let bench_again = Transformer::new(spec.clone(), &mut |param, shape| {
        let mut values: Vec<f32> =
            (0..shape.iter().product::<usize>()).map(|i| ((i * 31 % 17) as f32 - 8.0) / 40.0).collect();
        if param.place == Place::Embed {
            values[token as usize * spec.d_model + 3] = value;
        }
        let tensor = candle_core::Tensor::from_vec(values, shape, &candle_core::Device::Cpu)?;
        Ok(mappa::model::Weight::Dense(tensor))
    });
    bench.transformer = bench_again.unwrap();
}

#[test]
fn a_value_that_is_not_finite_is_refused_by_hook_point_entity_and_token() {
    for (bad, scope) in [(f32::NAN, TokenScope::Entity), (f32::INFINITY, TokenScope::Text)] {
        let mut bench = Bench::new(AttentionDirection::Causal);
        let clean = Recording { pooling: Pooling::Every, scope, dtype: StoredDtype::F32 };
        // A token of one name, which occurs in few other names.
        let spans =
            bench.prepared(clean, None).extract(&[HookPoint::ResidPre(0)], &mut Silent).unwrap().spans;
        let ids =
            |i: usize| spans[i].token_ids.split(' ').map(|id| id.parse().unwrap()).collect::<Vec<u32>>();
        let token = ids(7)[2];
        spoilt(&mut bench, token, bad);
        for pooling in [Pooling::Every, Pooling::Mean, Pooling::Max] {
            let recording = Recording { pooling, ..clean };
            let lab = tempfile::tempdir().unwrap();
            let store = new_store(lab.path());
            let points = [HookPoint::ResidPre(0), HookPoint::ResidPost(1)];
            let prepared = bench.prepared(recording, None);
            let error = store
                .extract(&prepared, &points, &card(recording, None), &mut StopAfter::never())
                .unwrap_err();
            let message = error.to_string();
            assert!(matches!(error, Error::NonFinite { .. }), "{message}");
            let spelled = bench.tokenizer.spell(&[token]).unwrap();
            for part in ["blocks.0.hook_resid_pre of `", "(row ", &format!("`{spelled}`"), &bad.to_string()] {
                assert!(message.contains(part), "`{part}` is not in: {message}");
            }
            // The message names the token with the bad weight, which is one of the entity's.
            let row: usize =
                message.split("(row ").nth(1).unwrap().split(')').next().unwrap().parse().unwrap();
            let at: usize =
                message.split("token ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
            let start = spans[row - 1].position + 1 - spans[row - 1].n_tokens;
            assert_eq!(ids(row - 1)[at - start], token, "{message}");
            // Earlier batches are kept, but no row of this batch.
            let journal = std::fs::read_to_string(store.folder.join(".partial/journal.csv")).unwrap();
            let kept: Vec<&str> = journal.lines().map(|line| line.split(',').next().unwrap()).collect();
            let n_batches = kept.len();
            assert_eq!(kept, (0..n_batches).map(|b| b.to_string()).collect::<Vec<_>>());
        }
    }
}

#[test]
fn a_value_too_large_for_16_bits_is_refused_naming_it() {
    let mut bench = Bench::new(AttentionDirection::Causal);
    let points = [HookPoint::ResidPre(0)];
    let spans = bench.prepared(Recording::default(), None).extract(&points, &mut Silent).unwrap().spans;
    spoilt(&mut bench, spans[0].token_ids.split(' ').next().unwrap().parse().unwrap(), 1e5);
    let read = |dtype| {
        let lab = tempfile::tempdir().unwrap();
        let recording = Recording { pooling: Pooling::Every, scope: TokenScope::Text, dtype };
        let prepared = bench.prepared(recording, None);
        new_store(lab.path()).extract(&prepared, &points, &card(recording, None), &mut StopAfter::never())
    };
    let message = read(StoredDtype::F16).unwrap_err().to_string();
    for part in ["blocks.0.hook_resid_pre of `", "100000", "f16 holds at most 6.5504e4", "bf16 or f32"] {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
    read(StoredDtype::Bf16).unwrap();
    read(StoredDtype::F32).unwrap();
}

#[test]
fn other_inputs_are_refused_by_field_in_finished_and_unfinished_stores() {
    let bench = Bench::new(AttentionDirection::Causal);
    let (recording, points) = (Recording::default(), bench.points());
    let lab = tempfile::tempdir().unwrap();
    let store = new_store(lab.path());
    let refuses = |card: &Card, points: &[HookPoint], field: &str| {
        let error = store
            .extract(&bench.prepared(recording, None), points, card, &mut StopAfter::never())
            .unwrap_err();
        assert!(matches!(&error, Error::CardMismatch { field: found, .. } if found == field), "{error}");
    };
    let own = card(recording, None);
    store.extract(&bench.prepared(recording, None), &points, &own, &mut StopAfter::asked(60)).unwrap_err();
    refuses(&own.clone().input("dataset", "cities"), &points, "dataset");
    refuses(&own.clone().input("group_nodes", 51), &points, "group_nodes");
    refuses(&own, &points[1..], "hook_points");
    store.extract(&bench.prepared(recording, None), &points, &own, &mut StopAfter::never()).unwrap();
    refuses(&own.clone().input("dtype", "f16"), &points, "dtype");
    refuses(&own.clone().input("token_position", "first token of the entity"), &points, "token_position");
    let none = [HookPoint::ResidPost(2)];
    let error =
        store.extract(&bench.prepared(recording, None), &none, &own, &mut StopAfter::never()).unwrap_err();
    assert!(matches!(error, Error::UnknownHookPoint { .. }), "{error}");
}

#[test]
fn a_store_is_verified_by_its_checksums_and_repaired_by_the_same_command() {
    let bench = Bench::new(AttentionDirection::Causal);
    let (recording, points) = (Recording::default(), bench.points());
    let (lab, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let whole = filled(lab.path(), &bench, recording, &points);
    let store = filled(other.path(), &bench, recording, &points);
    let verify = || {
        let mut found = BTreeMap::new();
        store.verify(&mut |name, verdict| found.extend([(name.to_string(), verdict)])).unwrap();
        found
    };
    assert_eq!(verify().len(), points.len() + 1);
    assert!(verify().values().all(|verdict| *verdict == Verdict::Whole));
    let names = [0, 1].map(|i| format!("{}.safetensors", points[i]));
    let mut changed = std::fs::read(store.folder.join(&names[0])).unwrap();
    *changed.last_mut().unwrap() ^= 1;
    std::fs::write(store.folder.join(&names[0]), changed).unwrap();
    std::fs::remove_file(store.folder.join(&names[1])).unwrap();
    std::fs::copy(store.folder.join("spans.csv"), store.folder.join("blocks.9.hook_resid_post.safetensors"))
        .unwrap();
    let found = verify();
    assert_eq!(found[&names[0]], Verdict::Changed);
    assert_eq!(found[&names[1]], Verdict::Missing);
    assert_eq!(found["blocks.9.hook_resid_post.safetensors"], Verdict::Unlisted);
    assert_eq!(found["spans.csv"], Verdict::Whole);
    std::fs::remove_file(store.folder.join(&names[0])).unwrap();
    std::fs::remove_file(store.folder.join("blocks.9.hook_resid_post.safetensors")).unwrap();
    let own = card(recording, None);
    let mended =
        store.extract(&bench.prepared(recording, None), &points, &own, &mut StopAfter::never()).unwrap();
    assert_eq!(mended.n_points, 2);
    assert_same(&store, &whole);
    let nothing = new_store(&lab.path().join("nowhere"));
    assert!(nothing.verify(&mut |_, _| ()).unwrap_err().to_string().contains("no checksums"));
}

/// An observer that changes a byte of an unfinished array after some batches are in the journal.
struct Spoiling {
    folder: std::path::PathBuf,
    after: usize,
    spoilt: usize,
}

impl Observer for Spoiling {
    fn progress(&mut self, _: &Progress) {
        let journal = std::fs::read_to_string(self.folder.join("journal.csv")).unwrap_or_default();
        let file = self.folder.join("blocks.0.hook_resid_post.safetensors");
        if self.spoilt > 0 || journal.lines().count() < self.after || !file.is_file() {
            return;
        }
        let mut bytes = std::fs::read(&file).unwrap();
        // A row that is written: one that is not zero.
        let at = bytes.iter().rposition(|byte| *byte != 0).unwrap();
        bytes[at] ^= 8;
        std::fs::write(&file, bytes).unwrap();
        self.spoilt += 1;
    }
}

#[test]
fn rows_that_change_after_they_were_journalled_never_get_a_checksum() {
    let bench = Bench::new(AttentionDirection::Causal);
    let (recording, points) = (Recording::default(), bench.points());
    let (lab, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let whole = filled(lab.path(), &bench, recording, &points);
    for after in [1, 4] {
        let lab = other.path().join(after.to_string());
        let store = new_store(&lab);
        let mut spoiling = Spoiling { folder: store.folder.join(".partial"), after, spoilt: 0 };
        let (prepared, own) = (bench.prepared(recording, None), card(recording, None));
        let error = store.extract(&prepared, &points, &own, &mut spoiling).unwrap_err().to_string();
        assert_eq!(spoiling.spoilt, 1);
        assert!(
            error.contains(".partial") && error.contains("parts") && error.contains("same command"),
            "{error}"
        );
        assert!(!store.folder.join("card.json").exists());
        let mended = store.extract(&prepared, &points, &own, &mut StopAfter::never()).unwrap();
        assert!(mended.n_kept > 0);
        assert_same(&store, &whole);
    }
}

#[test]
fn removed_hashes_of_blocks_are_made_again_but_never_of_changed_rows() {
    let bench = Bench::new(AttentionDirection::Causal);
    let points = bench.points();
    let lab = tempfile::tempdir().unwrap();
    let store = filled(lab.path(), &bench, Recording::default(), &points);
    let (whole, path) = (bytes(&store), |name: &str| store.folder.join(name));
    let blocks = String::from_utf8(whole["blocks.csv"].clone()).unwrap();
    let without_line: String =
        blocks.lines().enumerate().filter(|(i, _)| *i != 2).map(|(_, line)| format!("{line}\n")).collect();
    std::fs::remove_file(path("blocks.csv")).unwrap();
    store.restore_blocks(&points[..1]).unwrap();
    assert!(bytes(&store) == whole, "made again for all hook points");
    std::fs::write(path("blocks.csv"), without_line).unwrap();
    store.check(&points, "towns", &mut Silent).unwrap();
    assert!(bytes(&store) == whole, "one line was removed");
    let name = format!("{}.safetensors", points[1]);
    let mut changed = whole[&name].clone();
    *changed.last_mut().unwrap() ^= 1;
    std::fs::write(path(&name), &changed).unwrap();
    std::fs::remove_file(path("blocks.csv")).unwrap();
    let refusal = store.restore_blocks(&points).unwrap_err().to_string();
    assert!(refusal.contains(&name) && refusal.contains("extract it again"), "{refusal}");
    assert!(!path("blocks.csv").exists());
    store.restore_blocks(&points[..1]).unwrap();
    let made = std::fs::read_to_string(path("blocks.csv")).unwrap();
    assert_eq!(
        made,
        blocks
            .lines()
            .filter(|line| !line.starts_with(&name))
            .fold(String::new(), |all, line| all + line + "\n")
    );
    assert!(store.load(points[1]).is_err());
}

#[test]
fn a_finished_store_that_nothing_reads_is_compared_with_its_hashes() {
    let bench = Bench::new(AttentionDirection::Causal);
    let (recording, points) = (Recording::default(), bench.points());
    let lab = tempfile::tempdir().unwrap();
    let store = filled(lab.path(), &bench, recording, &points);
    let (whole, own) = (bytes(&store), card(recording, None));
    let is_found = || {
        store.is_done(&own, &points).and_then(|is_done| {
            assert!(is_done);
            store.check(&points, "towns", &mut Silent)
        })
    };
    is_found().unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    for (name, right) in
        whole.iter().filter(|(name, _)| name.ends_with(".safetensors") || *name == "spans.csv")
    {
        // The first byte after the length is in the header.
        for at in [9, 40, rng.random_range(150..right.len()), right.len() - 1] {
            let mut changed = right.clone();
            changed[at] ^= 1;
            std::fs::write(store.folder.join(name), changed).unwrap();
            let refusal = is_found().unwrap_err().to_string();
            assert!(refusal.contains(name), "{name} at {at}: {refusal}");
        }
        std::fs::write(store.folder.join(name), right).unwrap();
    }
    let extract = || store.extract(&bench.prepared(recording, None), &points, &own, &mut StopAfter::never());
    let spans = String::from_utf8(whole["spans.csv"].clone()).unwrap();
    let (row, shorter) =
        spans.trim_end().rsplit_once('\n').map(|(rest, row)| (row, format!("{rest}\n"))).unwrap();
    std::fs::write(store.folder.join("spans.csv"), shorter).unwrap();
    assert!(is_found().unwrap_err().to_string().contains("spans.csv"), "without {row}");
    assert!(extract().unwrap_err().to_string().contains("spans.csv"));
    // The checksum of the changed spans is removed too, and then the spans.
    let sums = String::from_utf8(whole["checksums.csv"].clone()).unwrap();
    let without: String =
        sums.lines().filter(|line| !line.starts_with("spans")).map(|line| format!("{line}\n")).collect();
    std::fs::write(store.folder.join("checksums.csv"), &without).unwrap();
    assert!(!store.is_done(&own, &points).unwrap());
    assert!(extract().unwrap_err().to_string().contains("spans that were changed"));
    std::fs::remove_file(store.folder.join("spans.csv")).unwrap();
    extract().unwrap();
    assert!(bytes(&store) == whole);
}

#[test]
fn a_store_with_any_file_changed_cut_or_removed_never_gives_other_values() {
    let bench = Bench::new(AttentionDirection::Causal);
    let (recording, points) = (Recording::default(), bench.points());
    let lab = tempfile::tempdir().unwrap();
    let store = filled(lab.path(), &bench, recording, &points);
    let whole: Vec<_> = points.iter().map(|point| store.load(*point).unwrap()).collect();
    let (spans, files) = (store.spans().unwrap(), bytes(&store));
    std::fs::remove_file(store.folder.join("spans.csv")).unwrap();
    let own = card(recording, None);
    assert!(!store.is_done(&own, &points).unwrap());
    store.extract(&bench.prepared(recording, None), &points, &own, &mut StopAfter::never()).unwrap();
    assert!(bytes(&store) == files);
    assert!(files.contains_key("blocks.csv"));
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut n_refused = 0;
    for is_earlier in [false, true] {
        let names: Vec<&String> = files.keys().filter(|name| !is_earlier || *name != "blocks.csv").collect();
        if is_earlier {
            std::fs::remove_file(store.folder.join("blocks.csv")).unwrap();
        }
        for name in names {
            let (path, right) = (store.folder.join(name), &files[name]);
            for _ in 0..25 {
                let (at, mut bytes) = (rng.random_range(0..right.len()), right.clone());
                match rng.random_range(0..8) {
                    0 => bytes.truncate(at),
                    _ => bytes[at] ^= 1 << rng.random_range(0..8),
                }
                std::fs::write(&path, bytes).unwrap();
                for (point, right) in points.iter().zip(&whole) {
                    match store.load(*point) {
                        Ok(found) => assert!(found == *right, "{name} at {at}: other values of {point}"),
                        Err(error) => {
                            n_refused += 1;
                            let error = error.to_string();
                            assert!(
                                [".safetensors", ".csv", "card.json"].iter().any(|name| error.contains(name)),
                                "{name}: {error}"
                            );
                        }
                    }
                }
                let found = store.spans();
                assert!(
                    found.as_ref().is_err() || *found.as_ref().unwrap() == spans,
                    "{name} at {at}: other spans"
                );
                n_refused += usize::from(found.is_err());
            }
            std::fs::write(&path, right).unwrap();
        }
    }
    assert!(n_refused > 200, "{n_refused}");
}
