//! From a dataset's row to tokens: prompts, chats, BOS, and the position of the entity.

use super::root;
use mappa::activations::{Placed, PromptedDataset, Recording, Span, place_texts};
use mappa::datasets::{Dataset, Entity, Names, Prompt, TargetKind, bundled, load, parse};
use mappa::model::{Model, Precision, Spec};
use mappa::tokenizer::{Bos, ChatDate, Tokenizer};
use serde_json::Value;
use std::path::Path;

const BEGIN: &str = "<|begin_of_text|>";

fn chat_folder(name: &str) -> Tokenizer {
    Tokenizer::open(&root("tests/fixtures/chat").join(name)).unwrap()
}

fn spec(tokenizer: &Tokenizer) -> Spec {
    super::tiny_spec(tokenizer.largest_id().unwrap() as usize + 1)
}

/// A dataset with exactly these names; a CSV file would trim them.
fn named(names: &[&str]) -> Dataset {
    let whole = parse(Path::new("towns.csv"), b"name,year,land\nA,1,Norway\n").unwrap();
    let entity = |(name, i): (&&str, u64)| Entity {
        row: 100 + i,
        name: name.to_string(),
        ..whole.entities[0].clone()
    };
    Dataset { entities: names.iter().zip(0..).map(entity).collect(), ..whole }
}

fn place(tokenizer: &Tokenizer, template: &str, names: &[&str]) -> Placed {
    let prompt = Prompt::new(template).unwrap();
    let texts = PromptedDataset { dataset: &named(names), prompt: &prompt };
    place_texts(tokenizer, &spec(tokenizer), texts, Recording::default()).unwrap()
}

/// The only span, or the reason why there is none.
fn placed(tokenizer: &Tokenizer, template: &str, name: &str) -> Result<Span, String> {
    let Placed { mut spans, mut unplaced } = place(tokenizer, template, &[name]);
    assert_eq!(spans.len() + unplaced.len(), 1);
    spans.pop().ok_or_else(|| unplaced.remove(0).problem)
}

#[test]
fn tokens_that_mix_a_name_with_its_neighbours_are_reported_with_the_reason() {
    let byte_level = chat_folder("llama3");
    for (template, name, token, beside) in [
        ("in \"{}\"", "York.", r#""."""#, r#""\"""#),
        ("in \"{}\"\n", "York.", r#"".\"\n""#, r#""\"\n""#),
        ("({})", "York)", r#""))""#, r#"")""#),
        ("{}\n", "York.", r#"".\n""#, r#""\n""#),
        ("{}\nNew", "York.", r#"".\n""#, r#""\n""#),
        ("{}\r\n", "York)", r#"")\r\n""#, r#""\r\n""#),
        ("{}o", "Osl", r#""Oslo""#, r#""o""#),
        ("{}.", "U.S.", r#"".""#, r#"".""#),
    ] {
        match placed(&byte_level, template, name) {
            Ok(span) => {
                let spelled = byte_level.spell(span.tokens()).unwrap();
                assert_eq!(
                    spelled.trim_start_matches(' '),
                    name,
                    "{template:?}: placed without being the name"
                );
            }
            Err(problem) => {
                assert!(
                    problem.contains("its last token") && problem.contains(beside),
                    "{template:?} {name}: {problem}, not {token}"
                );
            }
        }
    }
    // These have a token of their own in the vocabulary, so they must be reported.
    for (template, name) in [
        ("in \"{}\"\n", "York."),
        ("{}\n", "York."),
        ("{}\n\n", "York."),
        ("{}o", "Osl"),
        ("({}.\n", "York)"),
    ] {
        assert!(
            placed(&byte_level, template, name).unwrap_err().contains("which follows it"),
            "{template:?} {name}"
        );
    }
    for (template, name) in [("in\n\"{}", "York"), ("in\n\t{}", "York"), ("N{}", "ew")] {
        let problem = placed(&byte_level, template, name).unwrap_err();
        assert!(
            problem.contains("its first token") && problem.contains("stands before it"),
            "{template:?}: {problem}"
        );
    }
    for folder in ["gemma", "mistral"] {
        let tokenizer = chat_folder(folder);
        for (template, name) in
            [("({})", "York"), ("{}.\n\n", "York"), ("{} is", "the"), ("{}\n\tYork", "\"")]
        {
            let problem = placed(&tokenizer, template, name).unwrap_err();
            assert!(
                problem.contains("which follows it") || problem.contains("stands before it"),
                "{folder}: {template:?} {name}: {problem}"
            );
        }
    }
}

#[test]
fn a_name_is_found_with_any_letters_and_beside_its_other_occurrences() {
    let names = [
        "Oslo",
        "New York, New York",
        "Łódź",
        "東京",
        "🙂",
        "e\u{301}a",
        "Zu\u{308}rich",
        "\u{200b}x",
        "x\u{200d}y",
        "Ὀδυσσεύς",
        "القاهرة",
        "O'Fallon",
        "\"Q\"",
        "a\nb",
        "a\r\nb",
        "tab\there",
        "two  spaces",
        "-",
        "...",
        "🏳\u{fe0f}\u{200d}🌈",
        "ﬁn",
        "İzmir",
        "{}",
        "<s",
        "1.5",
    ];
    let templates = [
        "{}",
        "New York, New York: {}",
        "Where is {}?",
        "{} ",
        "\n{} and {{}} Oslo",
        "東京{}é",
        "{}\u{a0}x",
        "é {} é",
    ];
    let bos = Tokenizer::open(&root("tests/fixtures/bos")).unwrap();
    let atlas = Model::bundled(Precision::F32).unwrap().tokenizer;
    let tokenizers = ["llama3", "chatml"].map(chat_folder).into_iter().chain([bos, atlas]);
    for (tokenizer, which) in tokenizers.zip(0..) {
        for template in templates {
            for (i, name) in names.iter().enumerate() {
                let Ok(span) = placed(&tokenizer, template, name) else {
                    // A token of several bytes may join the edge of a name only with its neighbour.
                    let problem = placed(&tokenizer, template, name).unwrap_err();
                    assert!(
                        problem.contains("which follows it") || problem.contains("stands before it"),
                        "{problem}"
                    );
                    assert!(!template.starts_with("Where"), "{which}: {template} {name:?}: {problem}");
                    continue;
                };
                let text = template.replace("{{}}", "\0").replace("{}", name).replace('\0', "{}");
                let start = template.replace("{{}}", "\0\0").find("{}").unwrap();
                let before = tokenizer.spell(&span.ids[..span.first]).unwrap();
                let spelled = tokenizer.spell(span.tokens()).unwrap();
                let composed = |s: &str| tokenizer.characters(s).unwrap();
                assert_eq!(composed(&spelled), composed(name), "{which}: {template:?} {name:?}");
                let before = before.replace("<|text|>", "").replace(BEGIN, "");
                assert_eq!(
                    composed(&before),
                    composed(&text[..start]),
                    "{which}: {template:?}: name {i} found elsewhere"
                );
            }
        }
    }
}

#[test]
fn white_space_around_a_name_is_excluded_and_an_empty_name_is_unplaced() {
    for tokenizer in [
        chat_folder("llama3"),
        chat_folder("gemma"),
        chat_folder("chatml").with_chat(ChatDate::default()).unwrap(),
    ] {
        for name in ["Oslo ", "  Oslo", " Oslo \t"] {
            let span = placed(&tokenizer, "Where is {}", name).unwrap();
            assert_eq!(tokenizer.spell(span.tokens()).unwrap().trim_start_matches(' '), "Oslo");
        }
        for name in ["", "  ", "\n"] {
            assert_eq!(placed(&tokenizer, "Where is {}", name).unwrap_err(), "its name is empty");
        }
    }
}

#[test]
fn an_accent_after_a_name_does_not_belong_to_it() {
    // This tokenizer normalises: `e` and the template's accent become one letter.
    let tokenizer = Tokenizer::open(&root("tests/fixtures/bos")).unwrap();
    let problem = placed(&tokenizer, "{}\u{301} x", "Cafe").unwrap_err();
    assert!(problem.contains("Caf"), "{problem}");
    let span = placed(&tokenizer, "{} x", "Cafe\u{301}").unwrap();
    assert_eq!(tokenizer.spell(span.tokens()).unwrap(), "Café");
}

#[test]
fn unplaced_entities_are_listed_in_order_and_the_others_keep_their_places() {
    let tokenizer = chat_folder("llama3");
    let names = ["Oslo", "York.", "", "Rome", "York.", "tow"];
    let Placed { spans, unplaced } = place(&tokenizer, "{}\n", &names);
    assert_eq!(spans.iter().map(|span| span.entity).collect::<Vec<_>>(), [0, 3, 5]);
    let found: Vec<(usize, u64, &str)> =
        unplaced.iter().map(|one| (one.entity, one.row, &one.name[..])).collect();
    assert_eq!(found, [(1, 101, "York."), (2, 102, ""), (4, 104, "York.")]);
    assert_eq!((&unplaced[0].text[..], &unplaced[1].text[..]), ("York.\n", "{}\n"));
    let error = Placed { spans, unplaced }.require_all(&named(&names)).unwrap_err().to_string();
    for part in ["towns: row 101", "2 more cannot be placed, rows 102, 104", "--skip-unplaced"] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn a_prompt_contains_columns_and_an_unknown_one_is_refused_with_a_list() {
    let rows = "name,country,elevation,latitude,longitude\nOslo,New_Norway,23,59.9,10.7\nX,,5,1,2\n";
    let dataset = parse(Path::new("towns.csv"), rows.as_bytes()).unwrap();
    let text = |template: &str, i: usize| {
        let prompt = Prompt::new(template).unwrap();
        let texts = prompt.texts(&dataset).unwrap();
        texts
            .of(&dataset.entities[i])
            .map(|filled| (filled.text.clone(), filled.text[filled.start..filled.end].to_string()))
    };
    let expect = |text: &str, name: &str| Ok((text.to_string(), name.to_string()));
    assert_eq!(text("{country}: {}, {elevation} m {{up}}", 0), expect("New Norway: Oslo, 23 m {up}", "Oslo"));
    assert_eq!(text("{name}", 0), expect("Oslo", "Oslo"));
    assert_eq!(text("{country}:", 0), expect("New Norway: Oslo", "Oslo"));
    assert_eq!(text("{country}: {}", 1), Err("its column `country` is empty".into()));
    let prompt = Prompt::new("{county}: {}").unwrap();
    let error = prompt.texts(&dataset).err().unwrap().to_string();
    assert!(
        error.contains("`{county}`") && error.contains("towns: {name}, {country}, {elevation}"),
        "{error}"
    );
}

#[test]
fn the_entity_of_an_artwork_is_its_title() {
    let art = bundled("art").unwrap();
    assert_eq!((art.name_column.as_str(), &art.kind), ("title", &TargetKind::Year));
    let prompt = |template: &str| Prompt::new(template).unwrap();
    let whole = prompt("{}");
    for (template, same) in
        [("{creator}'s {title}", true), ("{title}", false), ("{title} by {creator}", false)]
    {
        let prompt = prompt(template);
        let (texts, wholes) = (prompt.texts(&art).unwrap(), whole.texts(&art).unwrap());
        for entity in &art.entities {
            let (ours, whole) = (texts.of(entity).unwrap(), wholes.of(entity).unwrap());
            assert_eq!(ours.text[ours.start..ours.end], whole.text[whole.start..whole.end]);
            assert_eq!(ours.text == whole.text, same, "{}", ours.text);
        }
    }
    let error = prompt("{} {title}").texts(&art).err().unwrap().to_string();
    assert!(error.contains("one place for the name, `{}` or `{title}`"), "{error}");
}

/// A row of `expected.json`: a user's turn as transformers renders it.
#[derive(serde::Deserialize)]
struct Chat {
    folder: String,
    text: String,
    rendered: String,
    ids: Vec<u32>,
}

#[test]
fn chats_equal_those_of_transformers() {
    let path = root("tests/fixtures/chat/expected.json");
    let rows: Vec<Chat> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert_eq!(rows.len(), 60);
    for Chat { folder, text, rendered, ids } in rows {
        let tokenizer = chat_folder(&folder);
        let bos = tokenizer.bos_token();
        let tokenizer = tokenizer.with_chat(ChatDate::default()).unwrap();
        let part = text.len() - text.trim_start().len()..text.trim_end().len();
        let framed = tokenizer.frame(&text, part).unwrap();
        assert_eq!(framed.text, rendered, "{folder}: {text:?}");
        assert_eq!(framed.encoded.ids, ids, "{folder}: {text:?}");
        assert_eq!(&framed.text[framed.part], text.trim(), "{folder}: {text:?}");
        // With any choice, BOS appears once or not at all.
        for (choice, n) in [(Bos::Always, 1), (Bos::Never, 0)] {
            let framed = tokenizer.clone().with_bos(choice).unwrap().frame(&text, 0..text.len());
            let ids = framed.unwrap().encoded.ids;
            let n_bos = ids.iter().take(2).filter(|id| Some(**id) == bos).count();
            assert_eq!(n_bos, n, "{folder}: {text:?} with {choice}");
        }
    }
}

#[test]
fn an_entity_is_found_in_its_chat() {
    for folder in ["llama3", "gemma", "chatml", "mistral", "phi3", "smol"] {
        let tokenizer = chat_folder(folder).with_chat(ChatDate::default()).unwrap();
        for (template, name) in [
            ("Where is {}?", "Rome"),
            ("{}", "user"),
            ("user: {}", "assistant"),
            ("{} ", "東京"),
            ("Q: {} Q", "Qx"),
        ] {
            let span =
                placed(&tokenizer, template, name).unwrap_or_else(|e| panic!("{folder}: {template}: {e}"));
            assert_eq!(tokenizer.spell(span.tokens()).unwrap().trim(), name, "{folder}: {template}");
            let after = tokenizer.spell(&span.ids[span.last + 1..]).unwrap();
            let rest = template.split("{}").nth(1).unwrap().trim_end();
            assert!(after.trim_start().starts_with(rest.trim_start()), "{folder}: {template}: {after:?}");
        }
    }
    // Text of the template directly after the content may be merged with it.
    let smol = chat_folder("mistral").with_chat(ChatDate::default()).unwrap();
    assert!(placed(&smol, "{}", "York").is_ok());
    let phi3 = chat_folder("llama3");
    let error = chat_folder("llama3")
        .with_chat(ChatDate::default())
        .and(Tokenizer::open(&root("tests/fixtures/bos")).unwrap().with_chat(ChatDate::default()));
    assert!(error.unwrap_err().to_string().contains("a model without a chat template"));
    assert!(phi3.has_chat_template());
}

#[test]
fn special_tokens_around_a_text_equal_those_of_transformers() {
    let expected: Value =
        serde_json::from_slice(&std::fs::read(root("tests/fixtures/bos/expected.json")).unwrap()).unwrap();
    let plain: Value =
        serde_json::from_slice(&std::fs::read(root("tests/fixtures/bos/tokenizer.json")).unwrap()).unwrap();
    let rows = expected["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 612);
    let ids = |value: &Value| -> Vec<u32> { serde_json::from_value(value.clone()).unwrap() };
    let folder = tempfile::tempdir().unwrap();
    let save =
        |name: &str, value: &Value| std::fs::write(folder.path().join(name), value.to_string()).unwrap();
    for row in rows {
        let mut json = plain.clone();
        json["post_processor"] = expected["post_processors"][row["post_processor"].as_str().unwrap()].clone();
        save("tokenizer.json", &json);
        save("tokenizer_config.json", &row["tokenizer_config"]);
        save("config.json", &serde_json::json!({"model_type": row["model_type"]}));
        let tokenizer = Tokenizer::open(folder.path()).unwrap();
        let bare = Tokenizer::open(&root("tests/fixtures/bos")).unwrap().encode("Oslo").unwrap().ids;
        let (before, after) = (ids(&row["before"]), ids(&row["after"]));
        let ours = tokenizer.encode("Oslo").unwrap();
        assert_eq!(ours.ids, [&before[..], &bare, &after].concat(), "{row}");
        assert_eq!(ours.n_special(), before.len(), "{row}");
        // The note appears only if the flag contradicts the post-processor.
        let asked = row["tokenizer_config"]["add_bos_token"].as_bool();
        assert_eq!(
            tokenizer.bos_conflict().is_some(),
            asked.is_some_and(|asked| asked == before.is_empty()),
            "{row}"
        );
        // As in the paper: BOS, then the text without special tokens.
        let always = tokenizer.clone().with_bos(Bos::Always).unwrap();
        let ours = always.encode("Oslo").unwrap().ids;
        assert_eq!(ours[1..], [&bare[..], &after].concat(), "{row}");
        let bos = before.first().copied().unwrap_or(ours[0]);
        assert_eq!(ours[0], bos, "{row}");
        assert_eq!(always.special_prefix().unwrap(), always.token(bos));
        let never = tokenizer.with_bos(Bos::Never).unwrap();
        assert_eq!(never.encode("Oslo").unwrap().ids, [&bare[..], &after].concat(), "{row}");
        assert_eq!(never.special_prefix().unwrap(), "none");
    }
}

#[test]
fn a_tokenizer_without_bos_uses_the_token_between_documents_and_one_without_either_is_refused() {
    let bos = |named: &str, vocabulary: &str| {
        let folder = tempfile::tempdir().unwrap();
        let json = std::fs::read_to_string(root("tests/fixtures/bos/tokenizer.json")).unwrap();
        std::fs::write(folder.path().join("tokenizer.json"), json.replace("<|endoftext|>", vocabulary))
            .unwrap();
        std::fs::write(folder.path().join("tokenizer_config.json"), named).unwrap();
        let tokenizer = Tokenizer::open(folder.path()).unwrap().with_bos(Bos::Always)?;
        Ok::<String, mappa::Error>(tokenizer.special_prefix().unwrap())
    };
    assert_eq!(bos(r#"{"bos_token": "<s>", "eos_token": "</s>"}"#, "<|endoftext|>").unwrap(), "<s>");
    assert_eq!(bos(r#"{"bos_token": null, "eos_token": "</s>"}"#, "<|endoftext|>").unwrap(), "<|endoftext|>");
    assert_eq!(bos(r#"{"eos_token": {"content": "</s>"}}"#, "<|other|>").unwrap(), "</s>");
    let error = bos("{}", "<|other|>").unwrap_err().to_string();
    assert!(error.contains("--bos always") && error.contains("eos_token"), "{error}");
}

#[test]
fn random_tokens_come_after_bos_and_depend_only_on_seed_and_row() {
    let dataset = bundled("nyc_place").unwrap();
    let tokenizer = Model::bundled(Precision::F32).unwrap().tokenizer;
    let spec = spec(&tokenizer);
    let spans = |prompt: &str, dataset: &Dataset| {
        let prompt = Prompt::find(prompt, dataset).unwrap();
        let texts = PromptedDataset { dataset, prompt: &prompt };
        place_texts(&tokenizer, &spec, texts, Recording::default()).unwrap().spans
    };
    let plain = spans("empty", &dataset);
    let [first, again, other] = ["random", "random:0", "random:1"].map(|prompt| spans(prompt, &dataset));
    assert_eq!(first, again);
    let drawn = |span: &Span| span.ids[1..11].to_vec();
    let ordinary = tokenizer.ordinary_tokens();
    assert!(!ordinary.contains(&0), "BOS is among the tokens to draw from");
    let mut counts = vec![0; 1 + *ordinary.last().unwrap() as usize];
    for ((plain, first), other) in plain.iter().zip(&first).zip(&other) {
        assert_eq!(first.ids[0], plain.ids[0]);
        assert_eq!(first.ids[11..], plain.ids[1..]);
        assert_eq!((first.first, first.last), (plain.first + 10, plain.last + 10));
        assert_ne!(drawn(first), drawn(other));
        drawn(first).into_iter().for_each(|id| counts[id as usize] += 1);
    }
    let n_drawn: usize = counts.iter().sum();
    assert!(
        ordinary.iter().filter(|id| counts[**id as usize] > 0).count() > ordinary.len() * 2 / 5,
        "{n_drawn} draws"
    );
    let distinct: std::collections::HashSet<Vec<u32>> = first.iter().map(drawn).collect();
    assert!(distinct.len() > first.len() - 3, "rows share their tokens");
    // A shortened dataset has the same tokens in the remaining rows.
    let cut = dataset.without(&[0, 1, 2, 7]);
    let of_cut = spans("random", &cut);
    assert_eq!(of_cut[0].ids, first[3].ids);
    assert_eq!(of_cut[4].ids, first[8].ids);
}

/// Tests prompts of every dataset on every row of the real files.
#[test]
fn every_real_name_is_placed() {
    let folder = root("../shared/data");
    if !folder.is_dir() {
        println!("skipped: 1 test, {} is not there", folder.display());
        return;
    }
    let atlas = Model::bundled(Precision::F32).unwrap().tokenizer;
    let (chat, wild) = (chat_folder("chatml").with_chat(ChatDate::default()).unwrap(), chat_folder("llama3"));
    for (name, text, tokenizer) in [
        ("world_place", "coords", &atlas),
        ("world_place", "“{}”, he said", &wild),
        ("us_place", "{}, {state_name}", &chat),
        ("nyc_place", "{} in {borough_name}", &atlas),
        ("historical_figure", "when_all_caps", &chat),
        ("art", "{title}, {entity_type} by {creator}", &atlas),
        ("headline", "when_w_period", &chat),
        ("headline", "\"{}\"\n", &wild),
    ] {
        let dataset = load(&folder.join(name).with_extension("csv")).unwrap();
        let spec = Spec { n_context: 1 << 16, ..spec(tokenizer) };
        let names = if text.contains('{') { Names::AsWritten } else { Names::Paper };
        let prompt = Prompt::find(text, &dataset).unwrap().with_names(names, &dataset).unwrap();
        let started = std::time::Instant::now();
        let Placed { spans, unplaced } = place_texts(
            tokenizer,
            &spec,
            PromptedDataset { dataset: &dataset, prompt: &prompt },
            Recording::default(),
        )
        .unwrap();
        let seconds = started.elapsed().as_secs_f64();
        println!("{name}, {text:?}: {} placed, {} not, {seconds:.2} s", spans.len(), unplaced.len());
        let is_empty =
            |row: u64| dataset.table.cell(row, dataset.table.column("borough_name").unwrap()) == Some("");
        for one in unplaced {
            let stop = text.ends_with('\n')
                && one.problem.contains("its last token")
                && one.name.ends_with(['.', ')']);
            let known = stop || (one.problem == "its column `borough_name` is empty" && is_empty(one.row));
            assert!(known, "{}: {}", one.text, one.problem);
        }
        for span in spans.iter().step_by(97) {
            let spelled = tokenizer.spell(span.tokens()).unwrap();
            let name = &dataset.entities[span.entity].name;
            if text.contains('{')
                && name.is_ascii()
                && !name.contains(['(', ',', '.'])
                && name.to_uppercase() != *name
            {
                assert!(name.ends_with(spelled.trim().trim_end_matches('.')), "{name}: {spelled}");
            }
        }
    }
}
