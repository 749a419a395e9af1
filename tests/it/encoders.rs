//! Encoders: attention sees the whole text, and an entity's activations are recorded at its last token.

use mappa::activations::{
    ExtractedActivations, PromptedDataset, Recording, Span, TextModel, extract, place_texts,
};
use mappa::datasets::{Dataset, Entity, Prompt, Target, parse};
use mappa::hook_point::HookPoint;
use mappa::model::{
    ActivationFn, Attention, AttentionDirection, Biases, BlockKind, Capture, Embedding, Forest, Head, Layer,
    Mlp, NormKind, Placement, PositionEmbedding, PositionEncoding, Spec, Transformer, untrained,
};
use mappa::progress::Silent;
use mappa::tokenizer::Tokenizer;
use serde_json::{Value, json};
use std::path::Path;

const POINTS: [HookPoint; 3] = [HookPoint::ResidPre(0), HookPoint::ResidPost(0), HookPoint::ResidPost(1)];

/// A minimal BERT: two blocks, two heads, norms after each sum.
fn spec(d_vocab: usize, direction: AttentionDirection) -> Spec {
    Spec {
        family: "bert",
        d_model: 16,
        n_layers: 2,
        n_heads: 2,
        n_kv_heads: 2,
        d_head: 8,
        d_mlp: 24,
        d_vocab,
        n_context: 64,
        embedding: Embedding {
            positions: PositionEmbedding::Learned { offset: 0 },
            n_token_types: Some(2),
            norm: true,
            ..Embedding::PLAIN
        },
        attention: Attention { direction, ..Attention::causal(8) },
        layers: Layer::all(2, PositionEncoding::Nothing),
        norm: NormKind::LayerNorm,
        placement: Placement::AfterSum,
        norm_eps: 1e-12,
        block: BlockKind::Sequential,
        mlp: Mlp::Plain(ActivationFn::Gelu),
        biases: Biases::ALL,
        residual_scale: 1.0,
        head: Some(Head { norm: false, transform: Some(ActivationFn::Gelu), ..Head::plain(true) }),
    }
}

/// A tokenizer.json as in sentence encoders, with truncation and padding: single letters and a few whole words, lower
/// case without accents, `[CLS]` before and `ends` after each text.
fn word_piece(ends: &[&str]) -> Tokenizer {
    let mut words: Vec<String> =
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "sao", "tom", "##e", "st", "john", "東", "京", "now", "then"]
            .map(String::from)
            .into();
    for letter in "abcdefghijklmnopqrstuvwxyz0123456789ł".chars() {
        words.extend([letter.to_string(), format!("##{letter}")]);
    }
    words.extend("'.,()-?".chars().map(String::from));
    let vocab: serde_json::Map<String, Value> =
        words.iter().zip(0..).map(|(w, i)| (w.clone(), json!(i))).collect();
    let special = |name: &str| json!({"id": name, "ids": [vocab[name]], "tokens": [name]});
    let mut single = vec![json!({"SpecialToken": {"id": "[CLS]", "type_id": 0}})];
    single.push(json!({"Sequence": {"id": "A", "type_id": 0}}));
    single.extend(ends.iter().map(|end| json!({"SpecialToken": {"id": end, "type_id": 0}})));
    let added = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"].map(|name| {
        json!({"id": vocab[name], "content": name, "special": true, "single_word": false, "lstrip": false,
               "rstrip": false, "normalized": false})
    });
    let file = json!({
        "version": "1.0",
        "truncation": {"max_length": 5, "strategy": "LongestFirst", "stride": 0, "direction": "Right"},
        "padding": {"strategy": {"Fixed": 40}, "direction": "Right", "pad_to_multiple_of": null,
                    "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"},
        "added_tokens": added,
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                       "strip_accents": null, "lowercase": true},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "TemplateProcessing", "single": single, "pair": single,
                           "special_tokens": {"[CLS]": special("[CLS]"), "[SEP]": special("[SEP]")}},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": vocab},
    });
    Tokenizer::parse(Path::new("tokenizer.json"), file.to_string().as_bytes()).unwrap()
}

fn bert() -> Tokenizer {
    word_piece(&["[SEP]"])
}

fn entity(name: &str) -> Entity {
    Entity { row: 4, name: name.into(), target: Target::Year(1.0), groups: vec![], is_test: false }
}

fn towns(names: impl IntoIterator<Item = String>) -> Dataset {
    let rows: String = names.into_iter().map(|name| format!("{name},1\n")).collect();
    parse(Path::new("towns.csv"), format!("name,year\n{rows}").as_bytes()).unwrap()
}

/// The tokens of a name in a template; the name is in row 4 of the dataset `towns`.
fn place(tokenizer: &Tokenizer, template: &str, name: &str) -> mappa::Result<Span> {
    let dataset = Dataset { entities: vec![entity(name)], ..towns(["A".to_string()]) };
    let (spec, prompt) = (spec(tokenizer.len(), AttentionDirection::Bidirectional), Prompt::new(template)?);
    let texts = PromptedDataset { dataset: &dataset, prompt: &prompt };
    Ok(place_texts(tokenizer, &spec, texts, Recording::default())?.require_all(&dataset)?.remove(0))
}

fn read(
    (transformer, tokenizer): (&Transformer, &Tokenizer),
    dataset: &Dataset,
    template: &str,
) -> ExtractedActivations {
    let (reader, prompt) = (TextModel { transformer, tokenizer }, Prompt::new(template).unwrap());
    extract(reader, PromptedDataset { dataset, prompt: &prompt }, &POINTS, &mut Silent).unwrap()
}

/// The largest difference between two extractions of one entity, at one hook point.
fn apart(a: &ExtractedActivations, b: &ExtractedActivations, point: HookPoint) -> f32 {
    a.arrays[&point].iter().zip(&b.arrays[&point]).map(|(x, y)| (x - y).abs()).fold(0.0, f32::max)
}

/// The tokens of a name in WordPiece, written by hand.
const SPELLED: [(&str, &str); 8] = [
    ("São Tomé", "sao tom ##e"),
    ("Łódź", "ł ##o ##d ##z"),
    ("東京", "東 京"),
    ("O'Fallon", "o ' f ##a ##l ##l ##o ##n"),
    ("St. John's", "st . john ' s"),
    ("I\u{307}zmir", "i ##z ##m ##i ##r"),
    ("İzmir", "i ##z ##m ##i ##r"),
    ("Ωmega 9", "[UNK] 9"),
];

#[test]
fn a_word_piece_span_is_the_entity_whatever_the_normalisation() {
    let tokenizer = bert();
    for (name, spelled) in SPELLED {
        let ids: Vec<u32> = spelled.split(' ').map(|token| tokenizer.id(token).unwrap()).collect();
        for (template, n_before) in [("{}", 1), ("東京 or {} now", 5), ("({}), then", 2)] {
            let span = place(&tokenizer, template, name).unwrap();
            assert_eq!((span.tokens(), span.first), (&ids[..], n_before), "{name} in {template}");
            assert_eq!(span.context(AttentionDirection::Causal).len(), n_before + ids.len());
            let whole = span.context(AttentionDirection::Bidirectional);
            assert_eq!(whole.last(), tokenizer.id("[SEP]").as_ref(), "{name} was cut or padded");
            assert_eq!(whole.first(), tokenizer.id("[CLS]").as_ref());
        }
    }
}

#[test]
fn characters_that_a_tokenizer_removes_may_be_at_the_edges_of_a_name() {
    let tokenizer = bert();
    // A control character, a zero-width space, a separate accent: BERT removes each.
    for name in ["\u{92}Market\u{92}", "\u{200b}\u{200b}Market", "Market\u{301}", "Ma\u{301}rket"] {
        let span = place(&tokenizer, "{}", name).unwrap();
        assert_eq!(tokenizer.spell(span.tokens()).unwrap(), "market", "{name:?}");
    }
}

/// A byte-pair tokenizer of single letters without an unknown token, so that unknown letters vanish.
fn forgetful(normalizer: Value) -> Tokenizer {
    let vocab = json!({"o": 0, "s": 1, "l": 2, "O": 3, " ": 4, "é": 5, "e": 6});
    let model = json!({"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
        "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
        "vocab": vocab, "merges": []});
    let file = json!({"version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": normalizer, "pre_tokenizer": null, "post_processor": null, "decoder": null,
        "model": model});
    Tokenizer::parse(Path::new("tokenizer.json"), file.to_string().as_bytes()).unwrap()
}

#[test]
fn letters_that_vanish_are_refused_and_accents_that_join_their_letter_are_not() {
    let tokenizer = forgetful(json!({"type": "NFC"}));
    let placed = |name: &str| place(&tokenizer, "{}", name);
    for (name, left) in [("Łslo", "s l o"), ("OsŁo", "O s o"), ("OsłoŁ", "O s o")] {
        let message = placed(name).unwrap_err().to_string();
        assert!(message.contains("towns: row 4") && message.contains(&format!("`{left}`")), "{message}");
    }
    assert_eq!(placed("se\u{301}l se\u{301}").unwrap().tokens(), [1, 5, 2, 4, 1, 5]);
}

#[test]
fn all_entities_that_cannot_be_placed_are_named_at_once() {
    let tokenizer = forgetful(Value::Null);
    let transformer = untrained(&spec(7, AttentionDirection::Bidirectional), 1).unwrap();
    let reader = TextModel { transformer: &transformer, tokenizer: &tokenizer };
    let dataset = towns(["Oslo", "Łslo", "sol", "Oxo", "Ox"].map(String::from));
    let error = extract(
        reader,
        PromptedDataset { dataset: &dataset, prompt: &Prompt::empty() },
        &POINTS,
        &mut Silent,
    )
    .unwrap_err()
    .to_string();
    for part in ["row 2", "`Łslo`", "2 more cannot be placed, rows 4, 5"] {
        assert!(error.contains(part), "`{part}` is not in: {error}");
    }
}

#[test]
fn an_encoders_vector_equals_that_of_its_text_alone() {
    let tokenizer = bert();
    let transformer = untrained(&spec(tokenizer.len(), AttentionDirection::Bidirectional), 1).unwrap();
    let (template, n_before) = ("now {} then", 2);
    let dataset =
        towns((0..900).map(|i| format!("{} {}", SPELLED[i % 8].0, "Aa".repeat(i % 5) + &i.to_string())));
    let together = read((&transformer, &tokenizer), &dataset, template);
    assert_eq!(together.n_computed, together.n_tokens, "an encoder shares nothing");
    assert!(
        together.n_tokens > 2 * 4096,
        "a single batch holds all tokens, so the boundary between batches is not tested"
    );
    assert_eq!(together.n_unknown, 900 / 8);
    let mut n_tokens = 0;
    for (i, entity) in dataset.entities.iter().enumerate() {
        let ids = tokenizer.encode(&template.replace("{}", &entity.name)).unwrap().ids;
        n_tokens += ids.len();
        let row = &together.spans[i];
        // `then` and [SEP] follow the name.
        assert_eq!((row.position, row.n_tokens), (ids.len() - 3, ids.len() - 2 - n_before), "{}", row.name);
        if i % 37 > 0 {
            continue;
        }
        let mut capture = Capture::all(&POINTS);
        transformer.forward(&Forest::of_text(&ids).unwrap(), None, &mut capture).unwrap();
        for point in POINTS {
            let alone = capture.get(point).unwrap().to_vec2::<f32>().unwrap();
            let ours = together.arrays[&point].row(i);
            let difference =
                ours.iter().zip(&alone[row.position]).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max);
            assert!(difference < 1e-5, "{point} of {}: {difference}", entity.name);
            let beside = ours.iter().zip(&alone[row.position + 1]).any(|(a, b)| (a - b).abs() > 1e-2);
            assert!(beside, "{point}: the token after the name is the same, so the position was not tested");
        }
    }
    assert_eq!(together.n_tokens, n_tokens);
}

#[test]
fn text_after_the_entity_affects_an_encoder_and_not_a_causal_model() {
    let (whole, bare) = (bert(), word_piece(&[]));
    let dataset = towns(["São Tomé".to_string()]);
    for direction in [AttentionDirection::Bidirectional, AttentionDirection::Causal] {
        let model = untrained(&spec(whole.len(), direction), 1).unwrap();
        let now = read((&model, &whole), &dataset, "{} now");
        let then = read((&model, &whole), &dataset, "{} then");
        let (with, without) = (read((&model, &whole), &dataset, "{}"), read((&model, &bare), &dataset, "{}"));
        for (a, b, what) in [(&now, &then, "the word after it"), (&with, &without, "[SEP]")] {
            assert_eq!(apart(a, b, HookPoint::ResidPre(0)), 0.0, "the token itself is the same");
            for point in &POINTS[1..] {
                let apart = apart(a, b, *point);
                match direction {
                    AttentionDirection::Bidirectional => {
                        assert!(apart > 1e-3, "{point}: {what} was not seen");
                    }
                    AttentionDirection::Causal => assert_eq!(apart, 0.0, "{point}: {what} was seen"),
                }
            }
        }
        let n_seen = if direction == AttentionDirection::Causal { 4 } else { 5 };
        assert_eq!((with.n_tokens, without.n_tokens), (n_seen, 4));
    }
}

#[test]
fn the_whole_text_must_fit_an_encoder() {
    let tokenizer = bert();
    let dataset = towns(["abc".to_string()]);
    for (n_context, direction, fits) in [
        (5, AttentionDirection::Bidirectional, true),
        (4, AttentionDirection::Bidirectional, false),
        (4, AttentionDirection::Causal, true),
    ] {
        let model = untrained(&Spec { n_context, ..spec(tokenizer.len(), direction) }, 1).unwrap();
        let reader = TextModel { transformer: &model, tokenizer: &tokenizer };
        let result = extract(
            reader,
            PromptedDataset { dataset: &dataset, prompt: &Prompt::empty() },
            &POINTS,
            &mut Silent,
        );
        assert_eq!(result.is_ok(), fits);
        if let Err(error) = result {
            assert!(error.to_string().contains("found 5 tokens; expected at most 4"), "{error}");
        }
    }
}
